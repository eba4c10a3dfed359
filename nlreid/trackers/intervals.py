"""Tracks as numbers: a vector each, and from which frame to which."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError
from nlreid.evaluation.labelled import Features, check_features, whole_numbers
from nlreid.evaluation.stacked import in_memory


def checked_tracks(features: Features, first: Any, last: Any) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]:
    """Features as float64 on the CPU, and when each track begins and ends.

    Args:
        features: Floating point `(n, d)`.
        first: The frame in which each begins, whole numbers `(n,)`.
        last: The frame in which each ends, that one included.

    Raises:
        InputError: If shapes or types do not fit, a value is not finite, or a track ends before it begins.
    """
    check_features(features, features)
    features = in_memory(features)
    rows = torch.as_tensor(np.array(features) if isinstance(features, np.ndarray) else features).detach().cpu().double()
    if not rows.isfinite().all():
        raise InputError(f"features are finite; those of row {int(rows.isfinite().all(1).int().argmin())} are not")
    begins, ends = whole_numbers("first", first), whole_numbers("last", last)
    if not len(rows) == len(begins) == len(ends):
        raise InputError(f"features, first and last have an entry a track; got {len(rows)}, {len(begins)} and {len(ends)}")
    if (ends < begins).any():
        row = int((ends < begins).argmax())
        raise InputError(f"a track ends where it begins, or later; that of row {row} is from {begins[row]} to {ends[row]}")
    return rows, begins, ends
