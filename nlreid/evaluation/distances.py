"""Distances that are the same whatever the block, the device and the order: float64, behind a fast float32 filter.

A matrix product gives a distance with a rounding error that depends on the shape of the matrices and on the machine. Here it
only sorts out what is certain: its error is bounded (Higham, Accuracy and Stability of Numerical Algorithms, Eq. 3.5), and
where two distances are nearer than the bound, both are computed anew from their two rows, in float64, in one fixed way.

Everything is on a scale on which a query's distances keep their order: for `"euclidean"` the squared distance less the squared
length of the query, |g|² - 2 q·g; for `"cosine"` the negative cosine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError, unknown_name
from nlreid.evaluation.labelled import Features

METRICS = ("euclidean", "cosine")
_CHUNK = 256  # terms that one product adds up: fewer, and the error is bounded more closely
_PAIRS = 2**17  # numbers in the rows that are compared one by one at a time: they fit a cache
_LOOKED_AT = 4096  # queries that are checked together
_FLOAT32_LENGTHS = (1e-10, 1e15)  # squares of which float32 holds


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


class Distances:
    """The distances of one metric between the rows of two matrices.

    Args:
        query: Floating point `(q, d)`.
        gallery: `(g, d)`.
        metric: `"euclidean"` or `"cosine"`; a row of zeros has cosine 0 with everything.
        device: Where blocks are compared.

    Raises:
        UnknownNameError: If there is no such metric.
    """

    def __init__(self, query: Features, gallery: Features, metric: str, device: torch.device) -> None:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
        self.query, self.gallery, self.metric, self.device = query, gallery, metric, device
        self.factor = 2.0 if metric == "euclidean" else 1.0
        double = any(str(side.dtype).endswith("float64") for side in (query, gallery))
        reduced = torch.get_float32_matmul_precision() != "highest"  # TF32 and the like have no bound that helps
        self._dtype = torch.float64 if double or reduced else torch.float32

    def check_queries(self) -> None:
        """Look at every query once; the gallery is looked at as it is compared.

        Raises:
            InputError: If one is not finite, or too large to be squared.
        """
        for start in range(0, len(self.query), _LOOKED_AT):
            self._prepare("query", as_tensor(self.query[start : start + _LOOKED_AT]), start)

    def queries(self, rows: NDArray[np.int64]) -> Rows:
        """Some queries, ready to be compared."""
        return Rows(take(self.query, rows).to(self.device), cosine=self.metric == "cosine")

    def blocks(self, size: int) -> Iterator[tuple[int, Rows]]:
        """The gallery, `size` rows at a time, each with the place of its first row."""
        for start in range(0, len(self.gallery), size):
            yield start, self._prepare("gallery", as_tensor(self.gallery[start : start + size]), start)

    def _prepare(self, name: str, rows: Tensor, start: int) -> Rows:
        prepared = Rows(rows.to(self.device), cosine=self.metric == "cosine")
        unsound = prepared.first_unsound()
        if unsound is not None:
            raise InputError(
                f"features of the {name} are finite and not too large to be squared; those of row {start + unsound} are not"
            )
        return prepared

    def approximate(self, query: Rows, gallery: Rows, dtype: torch.dtype) -> Tensor:
        """All distances of two blocks, as a product of matrices, no farther off than `bound` says.

        Args:
            query: q rows.
            gallery: g rows.
            dtype: What to compute in.

        Returns:
            `(q, g)` of this type.
        """
        q, g = query.values(dtype), gallery.values(dtype)
        out = gallery.squares.to(dtype).expand(len(q), -1).clone()
        with torch.autocast(self.device.type, enabled=False):
            for first in range(0, q.shape[1], _CHUNK):
                columns = slice(first, first + _CHUNK)
                out.addmm_(q[:, columns], g[:, columns].T, alpha=-self.factor)
        return out

    def filter_type(self, query: Rows, gallery: Rows) -> torch.dtype:
        """The fastest type in which these rows can be compared."""
        lengths = (float(query.lengths.max()), float(gallery.lengths.max()))
        plain = all(_FLOAT32_LENGTHS[0] < length < _FLOAT32_LENGTHS[1] for length in lengths)
        return self._dtype if plain else torch.float64

    def bound(self, query: Rows, longest: float, dtype: torch.dtype) -> Tensor:
        """The largest error that the approximate distances of each query can have, that of `comparable` ones included.

        Args:
            query: q rows.
            longest: No row of the gallery is longer.
            dtype: What they were computed in.

        Returns:
            float64 `(q,)`.
        """
        d = self.query.shape[1]
        terms = self.factor * query.lengths * longest + (longest**2 if self.metric == "euclidean" else 0.0)
        products = _gamma(min(d, _CHUNK) + d // _CHUNK + 8, dtype) * terms  # 8: rounded rows, the squares, the sum
        exact = _gamma(d + 8, torch.float64) * 2 * (query.lengths + longest).square()
        return 1.1 * (products + exact) + d * torch.finfo(dtype).tiny

    def exact(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> Tensor:
        """The distances of pairs of rows, in float64: each is computed from its two rows alone, on the CPU.

        Args:
            query: A row of the query for each pair, `(n,)`.
            gallery: A row of the gallery for each pair, `(n,)`.

        Returns:
            The distances, as `nlreid.evaluate` and `nearest` mean them: not squared, and 1 - cos; float64 `(n,)`.
        """
        distances = torch.empty(len(query), dtype=torch.float64)  # at once: small results would lie between large ones
        step = max(1, _PAIRS // self.query.shape[1])
        for at in range(0, len(query), step):
            part = slice(at, at + step)
            distances[part] = self._pairs(take(self.query, query[part]).cpu(), take(self.gallery, gallery[part]).cpu())
        return distances

    def equal(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the two rows of each pair are the same, number for number, `(n,)`."""
        step = max(1, _PAIRS // self.query.shape[1])
        same = np.zeros(len(query), dtype=np.bool_)
        for at in range(0, len(query), step):
            q, g = take(self.query, query[at : at + step]).cpu(), take(self.gallery, gallery[at : at + step]).cpu()
            same[at : at + step] = (q == g).all(dim=1).numpy()
        return same

    def _pairs(self, q: Tensor, g: Tensor) -> Tensor:
        if self.metric == "cosine":
            return 1 - unit_rows(q, row_lengths(q)).mul_(unit_rows(g, row_lengths(g))).sum(dim=1)
        return q.double().sub_(g).square_().sum(dim=1).sqrt_()

    def comparable(self, distances: Tensor, query: Rows) -> Tensor:
        """Exact distances of one query each on the scale of the approximate ones.

        Args:
            distances: From `exact`, `(q, m)`.
            query: The q rows.
        """
        if self.metric == "cosine":
            return distances - 1
        return distances.square() - query.squares.cpu()[:, None]


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


def _gamma(terms: int, dtype: torch.dtype) -> float:
    """How far a sum of so many products can be off, in any order, as a fraction of the sum of their absolute values."""
    unit = torch.finfo(dtype).eps / 2
    return terms * unit / (1 - terms * unit)
