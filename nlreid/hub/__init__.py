"""Checkpoints as data: what is known about them, and how they are fetched, read, converted and written."""
