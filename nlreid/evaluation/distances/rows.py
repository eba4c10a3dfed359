"""Some rows of features, as comparisons need them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.evaluation.distances.exact import folded, near_one
from nlreid.evaluation.labelled import Features

LONGEST = 1e150  # rows of which the difference has a square


class Rows:
    """Some rows, moved to where products lose few digits: scaled to length one, or counted from a common origin.

    Euclidean distances do not depend on the origin, but the digits that |g|² - 2 q·g loses do: features that have much in
    common, as those behind a ReLU, are long, and their differences are not.

    Args:
        rows: `(n, d)`, as they were given.
        origin: What is subtracted, float64 `(d,)`; None scales the rows to length one instead.

    Attributes:
        lengths: Of the moved rows, float64 `(n,)`.
    """

    def __init__(self, rows: Tensor, origin: Tensor | None) -> None:
        self._rows, self._origin = rows, origin
        moved = self._moved()
        self.lengths = folded(moved.square()).sqrt_()
        self._as_type = {torch.float32: moved.float()}

    def __len__(self) -> int:
        return len(self._rows)

    def _moved(self) -> Tensor:
        if self._origin is not None:
            return self._rows.to(torch.float64, copy=True).sub_(self._origin)
        rows = near_one(self._rows)
        lengths = folded(rows.square()).sqrt_()
        return rows.div_(lengths.where(lengths > 0, 1.0)[:, None])

    def first_unsound(self) -> int | None:
        """The first row that is not finite, or too large to be squared."""
        sound = torch.linalg.vector_norm(self._rows, dim=1, dtype=torch.float64) < LONGEST
        return None if sound.all() else int(sound.int().argmin())

    def values(self, dtype: torch.dtype) -> Tensor:
        """The moved rows, `(n, d)`, rounded once to this type."""
        if dtype not in self._as_type:
            self._as_type[dtype] = self._moved().to(dtype)
        return self._as_type[dtype]


def as_tensor(features: Features) -> Tensor:
    """A block of features as a tensor; of a NumPy array, which may be a file that must not be written, a copy."""
    return features.detach() if isinstance(features, Tensor) else torch.from_numpy(np.array(features))


def take(features: Features, rows: NDArray[np.int64]) -> Tensor:
    """Some rows of features, copied."""
    if isinstance(features, Tensor):
        return features.detach().index_select(0, torch.from_numpy(rows).to(features.device))
    return torch.from_numpy(features[rows])
