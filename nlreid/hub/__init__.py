"""Checkpoints as data: reading them safely. Finding, verifying and converting published ones will live here too."""
