"""How many threads torch computes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for a while, in the whole process.

    Many small operations are faster so, far faster where other work is going on, and rounded alike on every machine: torch
    interpolates pictures by other instructions where it shares them out among threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
