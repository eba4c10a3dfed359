"""Readers of data sets: from disk to tracklets, and nothing else."""
