"""The parts of `reproduce_table_2.py`."""
