"""How many wrong answers stand between the right ones: a block of the gallery against a few distances a query."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.distances.rows import Rows
from nlreid.evaluation.labelled import JUNK

_BLOCK = 2**20  # numbers that are held at a time: distances, and rows of the gallery
_UNSURE = 0.02  # share of a block, from which it is faster to compare it in float64 than to compare so many pairs


@dataclass(frozen=True, eq=False)
class Entries:
    """The gallery entries of each query's own identity, nearest first, side by side.

    Args:
        rows: The row of the gallery, int64 `(q, m)`; behind the last entry of a query, a number larger than all rows.
        distances: From the query, float64 `(q, m)`; behind the last entry, infinity.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def count_between(
    distances: Distances, some: NDArray[np.int64], entries: Entries, query_pids: Tensor, pids: Tensor, among: range
) -> NDArray[np.int64]:
    """Count the gallery entries of other identities, junk aside, between the entries of each query's own.

    Args:
        distances: What to compare by.
        some: Which queries, `(q,)`.
        entries: The entries of their own, `(q, m)`.
        query_pids: Their identities, `(q,)`.
        pids: The identities of the gallery, `(g,)`.
        among: Which rows of the gallery are counted; counts of several stretches add up.

    Returns:
        How many have exactly k own entries before them, int64 `(q, m + 1)`.
    """
    query = distances.queries(some)
    levels = distances.comparable(torch.from_numpy(entries.distances), query).to(distances.device)
    counter = _Counter(distances, some, entries, query, levels)
    query_pids = query_pids.to(levels.device)[:, None]
    for start, block in distances.blocks(max(1, _BLOCK // (len(some) + distances.query.shape[1])), among):
        block_pids = pids[start : start + len(block)].to(levels.device)
        wrong = (block_pids != query_pids) & (block_pids != JUNK)
        dtype = distances.filter_type(query, block)
        if not counter.add(start, block, wrong, dtype):
            counter.add(start, block, wrong, torch.float64)
    return counter.counted.cpu().numpy()


@dataclass(frozen=True)
class _Edges:
    """Around each own entry of a query, the stretch in which approximate distances do not tell before from after.

    Args:
        values: Where stretches begin and end, rising, `(q, w)`, filled up with infinity.
        begun: How many have begun below each of the gaps between them, `(q, w + 1)`.
        ended: How many have ended.
        highest: Where the last one ends, `(q, 1)`.
    """

    values: Tensor
    begun: Tensor
    ended: Tensor
    highest: Tensor


class _Counter:
    def __init__(self, distances: Distances, some: NDArray[np.int64], entries: Entries, query: Rows, levels: Tensor) -> None:
        self.distances, self.some, self.entries, self.query, self.levels = distances, some, entries, query, levels
        self.counted = torch.zeros(len(some), levels.shape[1] + 1, dtype=torch.int64, device=levels.device)
        self._edges: dict[tuple[float, torch.dtype], _Edges] = {}

    def add(self, start: int, block: Rows, wrong: Tensor, dtype: torch.dtype) -> bool:
        """Count the wrong answers of a block; False, and nothing counted, if float32 leaves too many of them unsure."""
        edges = self._edges_for(float(block.lengths.max()), dtype)
        values = self.distances.approximate(self.query, block, dtype)
        rows, columns = ((values <= edges.highest) & wrong).nonzero(as_tuple=True)  # the others come after every entry
        place = _edges_below(edges.values, rows, values[rows, columns])
        begun, ended = edges.begun[rows, place], edges.ended[rows, place]
        unsure = (begun != ended).nonzero().flatten()
        if dtype != torch.float64 and len(unsure) > _UNSURE * values.numel():
            return False
        del values, place, ended
        sure = begun.clone()
        sure[unsure] = self._exactly(rows[unsure], columns[unsure] + start).to(sure.device)
        width = self.counted.shape[1]
        self.counted += torch.bincount(rows * width + sure, minlength=self.counted.numel()).view_as(self.counted)
        return True

    def _edges_for(self, longest: float, dtype: torch.dtype) -> _Edges:
        # to the next quarter of a power of two: the bound is a little wider, and is the same for most blocks
        longest = 2 ** (math.ceil(4 * math.log2(longest)) / 4) if longest > 0 else 0.0
        if (longest, dtype) not in self._edges:
            self._edges[longest, dtype] = _edges(self.levels, self.distances.bound(self.query, longest, dtype), dtype)
        return self._edges[longest, dtype]

    def _exactly(self, rows: Tensor, columns: Tensor) -> Tensor:
        """How many own entries come before each of some gallery rows: by distance, then by place in the gallery."""
        row, column = rows.cpu().numpy(), columns.cpu().numpy()
        exact = self.distances.exact(self.some[row], column).numpy()
        before = np.zeros(len(row), dtype=np.int64)
        step = max(1, _BLOCK // self.entries.rows.shape[1])
        for at in range(0, len(row), step):
            part = slice(at, at + step)
            own, own_rows = self.entries.distances[row[part]], self.entries.rows[row[part]]
            nearer, level = own < exact[part, None], own == exact[part, None]
            before[part] = (nearer | (level & (own_rows < column[part, None]))).sum(axis=1)
        return torch.from_numpy(before)


def _edges(levels: Tensor, bound: Tensor, dtype: torch.dtype) -> _Edges:
    infinity = torch.tensor(math.inf, dtype=dtype, device=levels.device)
    low = torch.nextafter((levels - bound[:, None]).to(dtype), -infinity)
    high = torch.nextafter((levels + bound[:, None]).to(dtype), infinity)
    highest = high.where(levels < math.inf, -infinity).amax(dim=1, keepdim=True)
    count = levels.shape[1]
    values, order = torch.cat([low, high], dim=1).sort(dim=1)
    begun = torch.nn.functional.pad((order < count).cumsum(dim=1), (1, 0))
    ended = torch.arange(2 * count + 1, device=levels.device) - begun
    width = 2 ** (2 * count).bit_length() - 1  # so that a search can halve it without remainder
    return _Edges(torch.nn.functional.pad(values, (0, width - 2 * count), value=math.inf), begun, ended, highest)


def _edges_below(edges: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """How many edges of its row are not above each value: a binary search in many rows at a time."""
    width = edges.shape[1]
    flat, start = edges.flatten(), rows * width
    place = torch.zeros_like(rows)
    step = (width + 1) // 2
    while step:
        below = flat.take(start + place + (step - 1)) <= values
        place += below * step
        step //= 2
    return place
