"""Matrices that are mostly zeros, row after row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# How many entries are looked at together, at most, and in how many rows: what lies in memory at a time.
ENTRIES = 2**20
BLOCK = 512


class SparseRows(NamedTuple):
    """A matrix that is mostly zeros.

    Args:
        starts: Where each row begins in the other two, and where the last one ends, `(rows + 1,)`.
        columns: The columns of the entries, rising within a row.
        values: The entries, float64.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The entries of some rows, one row after the other.

        Args:
            rows: Which, `(r,)`, in any order, also more than once.

        Returns:
            For each entry its place in `rows`, its column and its value.
        """
        first, counts = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        owner = torch.arange(len(rows), device=rows.device).repeat_interleave(counts)
        begun = counts.cumsum(0) - counts
        place = torch.arange(len(owner), device=rows.device) + (first - begun)[owner]
        return owner, self.columns[place], self.values[place]

    def dense(self, start: int, stop: int, width: int) -> Tensor:
        """A range of rows with their zeros.

        Args:
            start: The first row.
            stop: The one after the last.
            width: How many columns the matrix has.

        Returns:
            `(stop - start, width)`, float64.
        """
        owner, columns, values = self.take(torch.arange(start, stop, device=self.starts.device))
        full = values.new_zeros(stop - start, width)
        full[owner, columns] = values
        return full


def sparse_rows(owner: Tensor, columns: Tensor, values: Tensor, rows: int) -> SparseRows:
    """A sparse matrix from its entries, which are in the order of their rows.

    Args:
        owner: The row of each entry, rising.
        columns: Its column.
        values: Its value.
        rows: How many rows there are.
    """
    counts = torch.bincount(owner, minlength=rows)
    return SparseRows(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), columns, values)


def rows_at_a_time(entries: int) -> int:
    """How many rows to work on together, if each takes so many entries; a block at most."""
    return max(1, min(BLOCK, ENTRIES // max(1, entries)))
