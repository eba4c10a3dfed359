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


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """1 - cos of the angle between the two rows of each pair; 1 where one is a row of zeros.

    Args:
        first: Floating point `(p, d)`.
        second: The same.

    Returns:
        float64 `(p,)`.
    """
    lengths = row_lengths(first).mul_(row_lengths(second))
    return 1 - folded(first.double() * second) / lengths.where(lengths > 0, 1.0)


def row_lengths(rows: Tensor) -> Tensor:
    """The Euclidean length of each row, float64 `(n,)`."""
    return folded(rows.to(torch.float64, copy=True).square_()).sqrt_()


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
