"""Covariances of differences between cameras, from sums instead of pairs (Liao et al., CVPR 2015, Sec. 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.errors import InputError


def cross_view_covariances(rows: Tensor, people: Tensor, cameras: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of (a - b)(a - b)' over all pairs of rows from different cameras: of one person, and of two.

    Over the pairs within n rows it sums up to n Σ aa' - ss', s the sum of the rows. The pairs across cameras are all
    pairs less those within a camera; those of one person are the person's pairs less the ones within a camera. So sums
    over such groups are enough, as the paper has it for two cameras.

    Args:
        rows: float64 `(n, d)`, best with a mean of 0: differences of large sums lose digits.
        people: The person of each row, numbers from 0, `(n,)`.
        cameras: The camera of each row, numbers from 0, `(n,)`.

    Returns:
        Intra-personal and extra-personal covariance, `(d, d)` each.

    Raises:
        InputError: If no two rows of one person, or of two, are from different cameras.
    """
    sightings = torch.unique(people * (cameras.max() + 1) + cameras, return_inverse=True)[1]  # a person in a camera
    intra, intra_pairs = _across(rows, people, sightings)
    every, every_pairs = _across(rows, torch.zeros_like(people), cameras)
    if every_pairs == 0:
        raise InputError("all features are of one camera; learning what changes between cameras takes two")
    if intra_pairs == 0:
        raise InputError("no person was seen by two cameras; give features of at least one who was, and check the labels")
    if every_pairs == intra_pairs:
        raise InputError("no two persons were seen by different cameras; give features of more persons")
    return intra / intra_pairs, (every - intra) / (every_pairs - intra_pairs)


def _across(rows: Tensor, groups: Tensor, parts: Tensor) -> tuple[Tensor, int]:
    """Sum of (a - b)(a - b)' over the pairs of one group but different parts of it, and how many these are."""
    partners = torch.bincount(groups)[groups] - torch.bincount(parts)[parts]  # of each row
    whole, split = _sums(rows, groups), _sums(rows, parts)
    return rows.T @ (partners[:, None] * rows) - whole.T @ whole + split.T @ split, int(partners.sum()) // 2


def _sums(rows: Tensor, groups: Tensor) -> Tensor:
    """The sum of the rows of each group, `(groups, d)`."""
    return rows.new_zeros(int(groups.max()) + 1, rows.shape[1]).index_add_(0, groups, rows)
