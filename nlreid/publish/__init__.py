"""Checkpoints for others: saved with everything that is needed to load them, and pushed to the Hub."""
