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
from nlreid.evaluation.distances.exact import cosine_similarity, squared_euclidean
from nlreid.evaluation.distances.rows import Rows, as_tensor, take
from nlreid.evaluation.labelled import Features

METRICS = ("euclidean", "cosine")
_CHUNK = 256  # terms that one product adds up: fewer, and the error is bounded more closely
_PAIRS = 2**17  # numbers in the rows that are compared one by one at a time: they fit a cache
_LOOKED_AT = 4096  # queries that are checked together
_FLOAT32_LENGTHS = (1e-10, 1e15)  # squares of which float32 holds


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
        """The distances of pairs of rows, in float64: each is computed from its two rows alone.

        Args:
            query: A row of the query for each pair, `(n,)`.
            gallery: A row of the gallery for each pair, `(n,)`.

        Returns:
            The distances, as `nlreid.evaluate` and `nearest` mean them: not squared, and 1 - cos; float64 `(n,)`, on the CPU.
        """
        distances = torch.empty(len(query), dtype=torch.float64)  # at once: small results would lie between large ones
        for part in self._parts(len(query)):
            q, g = self._pairs(query[part], gallery[part])
            distances[part] = squared_euclidean(q, g).sqrt_() if self.metric == "euclidean" else 1 - cosine_similarity(q, g)
        return distances

    def equal(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the two rows of each pair are the same, number for number, `(n,)`."""
        same = torch.empty(len(query), dtype=torch.bool)
        for part in self._parts(len(query)):
            q, g = self._pairs(query[part], gallery[part])
            same[part] = (q == g).all(dim=1)
        return same.numpy()

    def _parts(self, pairs: int) -> Iterator[slice]:
        step = max(1, _PAIRS // self.query.shape[1])
        return (slice(at, at + step) for at in range(0, pairs, step))

    def _pairs(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return take(self.query, query).to(self.device), take(self.gallery, gallery).to(self.device)

    def comparable(self, distances: Tensor, query: Rows) -> Tensor:
        """Exact distances of one query each on the scale of the approximate ones.

        Args:
            distances: From `exact`, `(q, m)`.
            query: The q rows.
        """
        if self.metric == "cosine":
            return distances - 1
        return distances.square() - query.squares.cpu()[:, None]


def _gamma(terms: int, dtype: torch.dtype) -> float:
    """How far a sum of so many products can be off, in any order, as a fraction of the sum of their absolute values."""
    unit = torch.finfo(dtype).eps / 2
    return terms * unit / (1 - terms * unit)
