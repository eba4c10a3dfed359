"""The nearest rows of each row, exactly, without an N x N matrix: what re-ranking starts from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nlreid.errors import InputError
from nlreid.evaluation.reranking.sparse import BLOCK
from nlreid.evaluation.reranking.ties import settle

# How many rows beyond the wanted ones are kept, so that those at nearly equal distances are seldom more.
SPARE = 8


class Neighbours(NamedTuple):
    """What re-ranking needs of all distances between N rows, of which the first q are queries.

    Args:
        nearest: The nearest rows of each row, `(N, count)`, nearest first; a row is at distance 0 from itself.
        squared: Their squared Euclidean distances, `(N, count)`, float64.
        farthest: The largest squared distance from each row, `(N,)`, float64; 1 where all rows coincide.
        original: Squared distances of the queries to the other rows, over their `farthest`, `(q, N - q)`, float32.
    """

    nearest: Tensor
    squared: Tensor
    farthest: Tensor
    original: Tensor


def find_neighbours(rows: Tensor, queries: int, count: int, block: int = BLOCK) -> Neighbours:
    """The `count` nearest rows of each row, and the distances between queries and gallery.

    Nearest is what has the smallest sum of squared differences, in float64; of equal ones the first row comes first. So
    it does not depend on `block`.

    Args:
        rows: Floating and finite, `(N, d)`.
        queries: How many of them, from the first, are queries.
        count: How many to find, 1 to N.
        block: Rows at a time.

    Raises:
        InputError: If the rows are so far apart that the square of a distance is no float64.
    """
    # From the first row, not from 0: what all rows have in common would cost digits, and equal rows become exactly 0.
    shifted = rows.to(torch.float64, copy=True)
    shifted -= shifted[0].clone()
    squares = torch.linalg.vecdot(shifted, shifted)
    if not (8 * squares).isfinite().all():
        raise InputError("features are too far apart for their distances to be squared in float64; divide them by a number")
    nearest = _Nearest(len(rows), min(count + SPARE, len(rows)), rows.device)
    original = torch.empty(queries, len(rows) - queries, dtype=torch.float32, device=rows.device)
    for start in range(0, len(rows), block):
        stop = min(start + block, len(rows))
        squared = _squared(shifted, squares, start, stop)
        nearest.merge(squared, start, start)
        nearest.merge(squared[:, stop - start :].T, stop, start)  # seen from the later rows: each product is made once
        if start < queries:  # the farthest row of these is known by now
            end = min(stop, queries)
            original[start:end] = squared[: end - start, queries - start :] / nearest.scale()[start:end, None]
    index, squared = settle(rows, shifted, squares, nearest.index, nearest.squared, count)
    return Neighbours(index, squared, nearest.scale(), original)


class _Nearest:
    """The nearest rows among those seen so far, `(N, width)`, nearest first, and how far the farthest is."""

    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        self.squared = torch.full((rows, width), torch.inf, dtype=torch.float64, device=device)
        self.index = torch.zeros(rows, width, dtype=torch.int64, device=device)
        self.farthest = torch.zeros(rows, dtype=torch.float64, device=device)

    def merge(self, squared: Tensor, first_row: int, first_column: int) -> None:
        """Take in the squared distances `(r, c)` of some rows to some others."""
        width, rows = self.index.shape[1], slice(first_row, first_row + len(squared))
        self.farthest[rows] = torch.maximum(self.farthest[rows], squared.amax(1))
        found = squared.topk(min(width, squared.shape[1]), largest=False)
        values = torch.cat([self.squared[rows], found.values], dim=1)
        index = torch.cat([self.index[rows], found.indices + first_column], dim=1)
        self.squared[rows], place = values.topk(width, largest=False)
        self.index[rows] = index.gather(1, place)

    def scale(self) -> Tensor:
        """What to divide the squared distances of each row by, `(N,)`."""
        return self.farthest.masked_fill(self.farthest == 0, 1)


def _squared(shifted: Tensor, squares: Tensor, start: int, stop: int) -> Tensor:
    """|a|^2 + |b|^2 - 2ab between the rows of a block and them and all later ones, `(stop - start, N - start)`."""
    squared = squares[start:stop, None] + squares[None, start:]
    squared.addmm_(shifted[start:stop], shifted[start:].T, alpha=-2).clamp_(min=0)
    squared.diagonal().zero_()
    return squared
