"""The parts of `ablation.py`."""
