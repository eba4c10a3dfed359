"""Figures of matplotlib, made without pyplot; the only part of the library that imports matplotlib (extra `[viz]`)."""
