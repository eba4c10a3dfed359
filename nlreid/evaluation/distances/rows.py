"""Some rows of features, as comparisons need them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.evaluation.labelled import Features


class Rows:
    """Some rows, ready to be compared; those of `"cosine"` are scaled to length one.

    Args:
        rows: `(n, d)`, as they were given.
        cosine: Whether to scale them.

    Attributes:
        lengths: Their lengths, float64 `(n,)`; 1 where they are scaled.
        squares: What is added to -2 q·g: the squared lengths, or 0 where they are scaled; float64 `(n,)`.
    """

    def __init__(self, rows: Tensor, *, cosine: bool) -> None:
        self._rows, self._cosine = rows, cosine
        self._own_lengths = row_lengths(rows)
        self.lengths = torch.ones_like(self._own_lengths) if cosine else self._own_lengths
        self.squares = torch.zeros_like(self.lengths) if cosine else self.lengths.square()
        self._as_type: dict[torch.dtype, Tensor] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def first_unsound(self) -> int | None:
        """The first row that is not finite, or too large to be squared."""
        finite = self._own_lengths.isfinite()
        return None if finite.all() else int(finite.int().argmin())

    def values(self, dtype: torch.dtype) -> Tensor:
        """The rows, `(n, d)`, rounded once to this type."""
        if dtype not in self._as_type:
            rows = unit_rows(self._rows, self._own_lengths) if self._cosine else self._rows
            self._as_type[dtype] = rows.to(dtype)
        return self._as_type[dtype]


def as_tensor(features: Features) -> Tensor:
    """A block of features as a tensor; of a NumPy array, which may be a file that must not be written, a copy."""
    return features.detach() if isinstance(features, Tensor) else torch.from_numpy(np.array(features))


def take(features: Features, rows: NDArray[np.int64]) -> Tensor:
    """Some rows of features, copied."""
    if isinstance(features, Tensor):
        return features.detach().index_select(0, torch.from_numpy(rows).to(features.device))
    return torch.from_numpy(features[rows])


def row_lengths(rows: Tensor) -> Tensor:
    """The Euclidean length of each row, float64 `(n,)`."""
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return lengths


def unit_rows(rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows of length one, float64; a row of zeros stays one."""
    return rows.double() / lengths.where(lengths > 0, 1.0)[:, None]
