"""Distances that are the same whatever the block, the device and the order: float64, behind a fast float32 filter.

A matrix product gives a distance with a rounding error that depends on the shape of the matrices and on the machine. Here it
only sorts out what is certain: its error is bounded (Higham, Accuracy and Stability of Numerical Algorithms, Eq. 3.5), and
where two distances are nearer than the bound, both are computed anew from their two rows, in float64, in one fixed way.

Products are on a scale on which a query's distances keep their order: for `"euclidean"` the squared distance less the squared
length of the query, |g|² - 2 q·g; for `"cosine"` the negative cosine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError, unknown_name
from nlreid.evaluation.distances.exact import cosine_distance, root, squared_euclidean
from nlreid.evaluation.distances.rows import Rows, as_tensor, first_unsound, take
from nlreid.evaluation.labelled import Features

METRICS = ("euclidean", "cosine")
_CHUNK = 256  # terms that one product adds up: fewer, and the error is bounded more closely
_PAIRS = 2**17  # numbers in the rows that are compared one by one at a time: they fit a cache
_FEW_ROWS, _MANY_PAIRS = 4096, 16  # so few rows, each in so many pairs, that it pays to look for copies among them
_LOOKED_AT = 512  # queries that are checked together
_LONGEST_FLOAT32 = 1e15  # whose square float32 holds
_MIDDLE_OF = 256  # rows of the gallery in the middle of which the origin is


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
        self._origin = _middle(gallery).to(device) if metric == "euclidean" else None
        double = any(str(side.dtype).endswith("float64") for side in (query, gallery))
        self._dtype = torch.float64 if double or _float32_is_reduced() else torch.float32

    def check_queries(self) -> None:
        """Look at every query once; the gallery is looked at as it is compared.

        Raises:
            InputError: If one is not finite, or too large to be squared.
        """
        for start in range(0, len(self.query), _LOOKED_AT):
            self._check("query", as_tensor(self.query[start : start + _LOOKED_AT]), start)

    def queries(self, rows: NDArray[np.int64]) -> Rows:
        """Some queries, ready to be compared."""
        return Rows(len(rows), lambda part: take(self.query, rows[part]).to(self.device), self._origin)

    def blocks(self, size: int, among: range | None = None) -> Iterator[tuple[int, Rows]]:
        """The gallery, or a stretch of it, `size` rows at a time, each with the place of its first row."""
        among = range(len(self.gallery)) if among is None else among
        for start in among[::size]:
            rows = as_tensor(self.gallery[start : min(start + size, among.stop)]).to(self.device)
            self._check("gallery", rows, start)
            yield start, Rows(len(rows), rows.__getitem__, self._origin)

    def _check(self, name: str, rows: Tensor, start: int) -> None:
        unsound = first_unsound(rows)
        if unsound is not None:
            raise InputError(
                f"features of the {name} are finite and not too large to be squared; those of row {start + unsound} are not"
            )

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
        squares = gallery.lengths.square() if self.metric == "euclidean" else torch.zeros_like(gallery.lengths)
        out = squares.to(dtype).expand(len(q), -1).clone()
        product = torch.empty_like(out)
        with torch.autocast(self.device.type, enabled=False):
            for first in range(0, q.shape[1], _CHUNK):
                columns = slice(first, first + _CHUNK)
                # apart from the sum: some libraries would go on adding to it term by term, with an error that d makes
                torch.mm(q[:, columns], g[:, columns].T, out=product)
                out.sub_(product, alpha=self.factor)
        return out

    def filter_type(self, query: Rows, gallery: Rows) -> torch.dtype:
        """The fastest type in which these rows can be compared."""
        longest = max(float(query.lengths.max()), float(gallery.lengths.max()))
        return self._dtype if longest < _LONGEST_FLOAT32 else torch.float64

    def bound(self, query: Rows, longest: float, dtype: torch.dtype) -> Tensor:
        """The largest error that the approximate distances of each query can have, that of `comparable` ones included.

        Args:
            query: q rows.
            longest: No row of the gallery is longer.
            dtype: What they were computed in.

        Returns:
            float64 `(q,)`.
        """
        d, lengths = self.query.shape[1], query.lengths
        terms = self.factor * lengths * longest + (longest**2 if self.metric == "euclidean" else 0.0)
        products = _gamma(min(d, _CHUNK) + d // _CHUNK + 8, dtype) * terms  # 8: rounded rows, the squares, the sum
        exact = 4 * _gamma(math.ceil(math.log2(d)) + 8, torch.float64) * (lengths + longest).square()  # summed by halves
        vanished = 4 * d * torch.finfo(dtype).tiny * (1 + lengths + longest)
        return 1.1 * (products + exact) + vanished

    def exact(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> Tensor:
        """The distances of pairs of rows, in float64: each is computed from its two rows alone.

        Args:
            query: A row of the query for each pair, `(n,)`.
            gallery: A row of the gallery for each pair, `(n,)`.

        Returns:
            The distances, as `nlreid.evaluate` and `nearest` mean them: not squared, and 1 - cos; float64 `(n,)`, on the CPU.
        """
        asked = np.unique(gallery)
        if len(asked) > _FEW_ROWS or len(query) < _MANY_PAIRS * len(asked):
            return self._exact(query, gallery)
        first = asked[self._first_equals(asked)]  # many pairs in doubt are mostly copies of few: see each of these once
        pairs, back = np.unique(query * len(self.gallery) + first[np.searchsorted(asked, gallery)], return_inverse=True)
        return self._exact(*np.divmod(pairs, len(self.gallery)))[torch.from_numpy(back)]

    def _first_equals(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each of some gallery rows, the place among them of one and the same row that it equals."""
        kinds = torch.unique(take(self.gallery, rows), dim=0, return_inverse=True)[1].cpu().numpy()
        first: NDArray[np.int64] = np.unique(kinds, return_index=True)[1][kinds]
        return first

    def _exact(self, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> Tensor:
        # all at once: small results, one after the other, would lie between large blocks of memory and hold them
        distances = torch.empty(len(query), dtype=torch.float64, device="cpu")
        for part in self._parts(len(query)):
            q, g = self._pairs(query[part], gallery[part])
            distances[part] = root(squared_euclidean(q, g)) if self.metric == "euclidean" else cosine_distance(q, g)
        return distances

    def equal(self, query: NDArray[np.int64], gallery: NDArray[np.int64], tolerance: float = 0.0) -> NDArray[np.bool_]:
        """Whether the two rows of each pair are the same, `(n,)`.

        Args:
            query: A row of the query for each pair, `(n,)`.
            gallery: A row of the gallery for each pair, `(n,)`.
            tolerance: How long their difference may be, as a fraction of the first row; 0 is number for number.
        """
        same = torch.empty(len(query), dtype=torch.bool, device="cpu")
        for part in self._parts(len(query)):
            q, g = self._pairs(query[part], gallery[part])
            allowed = tolerance * torch.linalg.vector_norm(q.double(), dim=1)
            same[part] = torch.linalg.vector_norm(q.double() - g, dim=1) <= allowed
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
        return distances.square() - query.lengths.to(distances.device).square()[:, None]


def _middle(gallery: Features) -> Tensor:
    """The mean of the first rows, float64 `(d,)`, as far as they are sound: any origin is right, this one is near."""
    rows = as_tensor(gallery[:_MIDDLE_OF]).double()
    middle = rows.mean(dim=0) if len(rows) else rows.new_zeros(rows.shape[1])
    return middle.nan_to_num(0.0, 0.0, 0.0)


def _float32_is_reduced() -> bool:
    """Whether products of float32 are computed with fewer digits (TF32 and the like), which no bound here covers."""
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # it was set in another way, of which this function does not know
        return True


def _gamma(terms: int, dtype: torch.dtype) -> float:
    """How far a sum of so many products can be off, in any order, as a fraction of the sum of their absolute values."""
    unit = torch.finfo(dtype).eps / 2
    return terms * unit / (1 - terms * unit)
