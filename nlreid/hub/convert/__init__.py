"""Converters: one file a layout, each a pure function from tensors by name to tensors by name."""
