"""Which of two rows is nearer, where the rounding of a matrix product leaves it open."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nlreid.evaluation.distances.exact import squared_euclidean

# How many pairs of rows are subtracted at a time, and of how many rows all distances are looked at again.
PAIRS = 4096
ROWS = 64


def settle(rows: Tensor, shifted: Tensor, squares: Tensor, index: Tensor, squared: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` nearest rows of each row, in the order of exactly summed differences; of equal ones the first row first.

    |a|^2 + |b|^2 - 2ab by matrix products is rounded in an order that depends on the shapes, but its error has a bound.
    Where two neighbours are closer to each other than that, the differences themselves are squared and summed.

    Args:
        rows: Floating, `(N, d)`.
        shifted: The rows, moved to where the products were made, float64, `(N, d)`.
        squares: |a|^2 of these, `(N,)`.
        index: The nearest rows by the products, `(N, width)`, nearest first.
        squared: Their squared distances by the products, `(N, width)`, float64.
        count: How many are wanted, 1 to `width`.

    Returns:
        Rows and squared distances, `(N, count)` each.
    """
    margin = _margin(squares, shifted.shape[1])
    limit = squared[:, count - 1] + margin
    close = (squared[:, : count + 1].diff(dim=1) <= margin[:, None]).any(1)
    more = (squared[:, -1] <= limit) & (index.shape[1] < len(rows))  # candidates that the products did not keep
    index, squared, kept = index[:, :count].clone(), squared[:, :count].clone(), index
    for some in torch.split((close & ~more).nonzero().squeeze(1), ROWS):
        candidates = kept[some].sort(1).values
        exact = pair_distances(rows, some.repeat_interleave(kept.shape[1]), candidates.flatten()).view_as(candidates)
        squared[some], order = (part[:, :count] for part in exact.sort(dim=1, stable=True))
        index[some] = candidates.gather(1, order)
    if more.any():
        distinct, kind = torch.unique(rows, dim=0, return_inverse=True)  # many candidates are mostly copies of few
        for i, candidates in _within(shifted, squares, more.nonzero().squeeze(1), limit):
            kinds, back = torch.unique(kind[candidates], return_inverse=True)
            exact = pair_distances(distinct, kind[i].expand_as(kinds), kinds)[back]
            squared[i], order = (part[:count] for part in exact.sort(stable=True))
            index[i] = candidates[order]
    return index, squared


def pair_distances(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances of some pairs of rows, `(p,)`, float64: the same numbers however many are asked for.

    Args:
        rows: Floating, `(N, d)`.
        first: One row of each pair, `(p,)`.
        second: The other one, `(p,)`.
    """
    pairs = zip(torch.split(first, PAIRS), torch.split(second, PAIRS), strict=True)
    return torch.cat([squared_euclidean(rows[one], rows[other]) for one, other in pairs])


def _margin(squares: Tensor, width: int) -> Tensor:
    """How far apart two squared distances from a row must be for their order to be certain, `(N,)`.

    A product of d terms is off by at most d roundings of |a||b|, in whatever order it is summed (Higham, Accuracy and
    Stability of Numerical Algorithms, Sec. 3.1); 32 more are for the shift, the other sums and the exact distance itself.
    """
    limits = torch.finfo(torch.float64)
    return 2 * ((width + 32) * limits.eps * (squares + squares.max()) + limits.tiny)


def _within(shifted: Tensor, squares: Tensor, places: Tensor, limit: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each of some rows, its place and all rows within its limit, rising."""
    for some in torch.split(places, ROWS):
        squared = torch.addmm(squares[some, None] + squares[None, :], shifted[some], shifted.T, alpha=-2)
        for i, near in zip(some, squared <= limit[some, None], strict=True):
            yield i, near.nonzero().squeeze(1)
