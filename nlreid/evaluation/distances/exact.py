"""Distances of single pairs of rows that are the same on every device and in whatever company: float64, summed by halves."""

from __future__ import annotations

import numpy as np
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
    """1 - cos of the angle between the two rows of each pair, in 0..2; 1 where one is a row of zeros, 0 of equal rows.

    Args:
        first: Floating point `(p, d)`.
        second: The same.

    Returns:
        float64 `(p,)`.
    """
    first, second = near_one(first), near_one(second)
    squares = folded(first.square()).mul_(folded(second.square()))  # of equal rows the root of this is exact
    return 1 - (folded(first * second) / root(squares.where(squares > 0, 1.0))).clamp_(-1, 1)


def root(values: Tensor) -> Tensor:
    """Square roots in place, rounded as IEEE 754 asks: those of torch 2.14 on CPUs with AVX-512 can be off in the last bit.

    Args:
        values: float64, of any shape, at least 0, without a gradient.
    """
    if values.device.type != "cpu":
        return values.sqrt_()
    array = values.numpy()  # the same memory
    np.sqrt(array, out=array)
    return values


def near_one(rows: Tensor) -> Tensor:
    """Rows in float64, each times a power of two, which changes no angle and rounds nothing, so that squares are numbers.

    Args:
        rows: Floating point `(n, d)`; only float64 has numbers whose squares it does not have.
    """
    if rows.dtype != torch.float64:
        return rows.double()
    exponents = torch.frexp(rows.abs().amax(dim=1, keepdim=True)).exponent
    half = exponents // 2  # of the largest power and the smallest there is, the other is no number
    ones = torch.ones_like(exponents, dtype=torch.float64)
    return rows * torch.ldexp(ones, -half) * torch.ldexp(ones, half - exponents)


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
