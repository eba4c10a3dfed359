"""The nearest gallery entries of each query, exactly, and where to stop believing them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import whole_number
from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.distances.rows import Rows
from nlreid.evaluation.labelled import Features, check_features, device_of
from nlreid.evaluation.search.answers import Neighbours, Threshold, largest_distance

_QUERIES = 1024  # queries that go through the gallery together
_BLOCK = 2**19  # distances that are held at a time
_UNSURE = 0.02  # share of a block, from which it is faster to compare it in float64 than to compare so many pairs

Allowed = Callable[[NDArray[np.int64], int, int], NDArray[np.bool_]]
"""Which of the gallery rows start..stop some queries may have as an answer: (queries, start, stop) -> (q, stop - start)."""


def nearest(
    query: Features,
    gallery: Features,
    top: int = 5,
    *,
    metric: Literal["euclidean", "cosine"] = "cosine",
    threshold: float | Threshold | None = None,
) -> Neighbours:
    """The nearest gallery rows of each query row.

    >>> nearest(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0], [1.0, 1.0]]), top=2)
    Neighbours(distances=tensor([[0.0000, 0.2929]], dtype=torch.float64), rows=tensor([[1, 2]]))

    The gallery is gone through once for each 1,024 queries, in blocks, and may be mapped from a file: memory does not grow
    with it. Answers are exact: the distances are those of float64, of equal ones the first row comes first, and they do
    not depend on the device. Time grows with `top`, for which FAISS and the like are better once it is thousands.

    Args:
        query: Floating point and finite, `(q, d)`: a tensor or a NumPy array.
        gallery: The same, `(g, d)`.
        top: How many to give.
        metric: `"cosine"`: 1 - cos, from 0 to 2; a row of zeros is at distance 1 from all. `"euclidean"`: the features as
            they are.
        threshold: The largest distance of an answer, or what `nlreid.evaluation.calibrate` answers; beyond it a query is
            said to be not in the gallery.

    Returns:
        min(top, g) answers of each query, on the CPU.

    Raises:
        InputError: If shapes or types do not fit, a value is not finite, `top` is below 1, or `threshold` is no number or
            of another metric.
        UnknownNameError: If there is no such metric.
    """
    top = min(whole_number("top", top), len(check_features(query, gallery)[1]))
    found = nearest_allowed(Distances(query, gallery, metric, device_of(query)), top)
    if threshold is not None:
        beyond = found.distances > largest_distance(threshold, metric)
        found.distances[beyond], found.rows[beyond] = math.inf, -1
    return found


def nearest_allowed(distances: Distances, top: int, allowed: Allowed | None = None) -> Neighbours:
    """The nearest allowed gallery rows of each query row.

    Args:
        distances: What to compare.
        top: How many to give.
        allowed: Which answers a query may have; by default all.

    Raises:
        InputError: If a feature is not finite.
    """
    distances.check_queries()
    queries = np.arange(len(distances.query))
    parts = [_Search(distances, queries[at : at + _QUERIES], top).run(allowed) for at in range(0, len(queries), _QUERIES)]
    if not parts:
        found, rows = (torch.zeros(0, top, dtype=dtype, device="cpu") for dtype in (torch.float64, torch.int64))
        return Neighbours(found, rows)
    found, rows = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
    return Neighbours(found, torch.where(found < math.inf, rows, -1))


class _Search:
    """The answers of some queries so far."""

    def __init__(self, distances: Distances, some: NDArray[np.int64], top: int) -> None:
        self.distances, self.some, self.top = distances, some, top
        self.query = distances.queries(some)
        self.best = np.full((len(some), top), np.inf)
        self.rows = np.full((len(some), top), np.iinfo(np.int64).max)

    def run(self, allowed: Allowed | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Go through the gallery."""
        if not self.top:
            return self.best, self.rows
        for start, block in self.distances.blocks(max(self.top, _BLOCK // len(self.some))):
            mask = None if allowed is None else torch.from_numpy(allowed(self.some, start, start + len(block)))
            self._merge(*self._candidates(start, block, mask))
        return self.best, self.rows

    def _candidates(self, start: int, block: Rows, mask: Tensor | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Queries and gallery rows of the pairs that may be among the nearest."""
        near = self._near(block, mask, self.distances.filter_type(self.query, block))
        if near.sum() > _UNSURE * near.numel() + len(self.some) * self.top:
            near = self._near(block, mask, torch.float64)
        row, column = near.nonzero(as_tuple=True)
        return row.cpu().numpy(), column.cpu().numpy() + start

    def _near(self, block: Rows, mask: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Which pairs may be among the nearest, bool `(q, g)`."""
        values = self.distances.approximate(self.query, block, dtype)
        if mask is not None:
            values.masked_fill_(~mask.to(values.device), math.inf)
        bound = self.distances.bound(self.query, float(block.lengths.max()), dtype)
        last = torch.from_numpy(self.best[:, -1:]).to(values.device)
        limit = self.distances.comparable(last, self.query)[:, 0] + bound
        if last.isinf().any() and values.shape[1] >= self.top:  # so many of this block alone are nearer than that
            here = values.topk(self.top, dim=1, largest=False).values[:, -1]
            limit = limit.minimum(here.double() + 2 * bound)
        near = values <= torch.nextafter(limit.to(dtype), limit.new_tensor(math.inf).to(dtype))[:, None]
        return near if mask is None else near & (values < math.inf)

    def _merge(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
        touched, place = np.unique(row, return_inverse=True)
        if not len(touched):
            return
        exact = self.distances.exact(self.some[row], column).numpy()
        owners = np.concatenate([np.repeat(np.arange(len(touched)), self.top), place])
        values = np.concatenate([self.best[touched].ravel(), exact])
        rows = np.concatenate([self.rows[touched].ravel(), column])
        order = np.lexsort((rows, values, owners))
        within = np.arange(len(order)) - np.searchsorted(owners[order], owners[order])
        kept = order[within < self.top]  # each has `top` at least: those that it had
        self.best[touched], self.rows[touched] = values[kept].reshape(-1, self.top), rows[kept].reshape(-1, self.top)
