"""Folders listed in another order, as another disk might."""

from __future__ import annotations

import os
import random


def shuffle_listings(monkeypatch, seed):
    """From now on `os.scandir` and `os.listdir` give entries in an order that changes from call to call."""
    rng, scandir, listdir = random.Random(seed), os.scandir, os.listdir

    def shuffled(entries):
        return rng.sample(entries := list(entries), len(entries))

    class Shuffled:
        def __init__(self, path="."):
            with scandir(path) as entries:
                self.entries = shuffled(entries)

        def __iter__(self):
            return iter(self.entries)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    monkeypatch.setattr(os, "listdir", lambda path=".": shuffled(listdir(path)))
