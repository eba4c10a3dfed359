"""Distances of single pairs of rows that are the same on every device and in whatever company: float64, summed by halves."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_euclidean(first: Tensor, second: Tensor) -> Tensor:
    """The squared Euclidean distance of the two rows of each pair.

    Args:
        first: Floating point `(p, d)`.
        second: The same.

    Returns:
        float64 `(p,)`.
    """
    return folded((first.double() - second).square_())


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of the angle between the two rows of each pair; 0 where one is a row of zeros.

    Args:
        first: Floating point `(p, d)`.
        second: The same.

    Returns:
        float64 `(p,)`.
    """
    return folded(_unit(first).mul_(_unit(second)))


def folded(terms: Tensor) -> Tensor:
    """The sum of each row, `(p, d)` to `(p,)`, by halves: an order that the number of rows or the device cannot change.

    The terms are overwritten.
    """
    while terms.shape[1] > 1:
        half = (terms.shape[1] + 1) // 2
        rest = terms[:, half:]
        terms = terms[:, :half]
        terms[:, : rest.shape[1]] += rest
    return terms.squeeze(1)


def _unit(rows: Tensor) -> Tensor:
    rows = rows.to(torch.float64, copy=True)
    lengths = folded(rows.square()).sqrt_()
    return rows.div_(lengths.where(lengths > 0, 1.0)[:, None])
