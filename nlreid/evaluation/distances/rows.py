"""Some rows of features, as comparisons need them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.evaluation.distances.exact import folded, near_one, root
from nlreid.evaluation.labelled import Features
from nlreid.evaluation.stacked import Stacked

_TOGETHER = 128  # rows that are in float64 at a time
LONGEST = 1e150  # rows of which the difference has a square


class Rows:
    """Some rows, moved to where products lose few digits: scaled to length one, or counted from a common origin.

    Euclidean distances do not depend on the origin, but the digits that |g|² - 2 q·g loses do: features that have much in
    common, as those behind a ReLU, are long, and their differences are not.

    Args:
        count: How many, at least one.
        read: Some of them as they were given, `(p, d)`; read anew when another type is asked for.
        origin: What is subtracted, float64 `(d,)`; None scales the rows to length one instead.

    Attributes:
        lengths: Of the moved rows, float64 `(n,)`.
    """

    def __init__(self, count: int, read: Callable[[slice], Tensor], origin: Tensor | None) -> None:
        self._count, self._read, self._origin = count, read, origin
        self._as_type: dict[torch.dtype, Tensor] = {}
        self.lengths = self._fill(torch.float32)

    def __len__(self) -> int:
        return self._count

    def values(self, dtype: torch.dtype) -> Tensor:
        """The moved rows, `(n, d)`, rounded once to this type."""
        if dtype not in self._as_type:
            self._fill(dtype)
        return self._as_type[dtype]

    def _fill(self, dtype: torch.dtype) -> Tensor:
        """Read and move the rows, a few at a time; their lengths."""
        lengths = []
        for at in range(0, self._count, _TOGETHER):
            part = slice(at, min(at + _TOGETHER, self._count))
            rows = self._moved(self._read(part))
            if not at:
                self._as_type[dtype] = torch.empty(self._count, rows.shape[1], dtype=dtype, device=rows.device)
            self._as_type[dtype][part] = rows
            lengths.append(root(folded(rows.square_())))
        return torch.cat(lengths)

    def _moved(self, rows: Tensor) -> Tensor:
        if self._origin is not None:
            return rows.to(torch.float64, copy=True).sub_(self._origin)
        rows = near_one(rows)
        lengths = root(folded(rows.square()))
        return rows.div_(lengths.where(lengths > 0, 1.0)[:, None])


def first_unsound(rows: Tensor) -> int | None:
    """The first row that is not finite, or too large to be squared."""
    sound = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64) < LONGEST
    return None if sound.all() else int(sound.int().argmin())


def as_tensor(features: Features) -> Tensor:
    """A block of features as a tensor; of a NumPy array, which may be a file that must not be written, a copy."""
    if isinstance(features, Stacked):
        return features[:]
    return features.detach() if isinstance(features, Tensor) else torch.from_numpy(np.array(features))


def take(features: Features, rows: NDArray[np.int64]) -> Tensor:
    """Some rows of features, copied."""
    if isinstance(features, Stacked):
        return features[rows]
    if isinstance(features, Tensor):
        return features.detach().index_select(0, torch.from_numpy(rows).to(features.device))
    return torch.from_numpy(features[rows])
