"""Writing checkpoints, on this disk and to the Hub."""
