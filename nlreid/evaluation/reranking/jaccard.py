"""The Jaccard distance of k-reciprocal features (Zhong et al., CVPR 2017, arXiv 1701.08398, Sec. 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from nlreid.evaluation.reranking import sparse
from nlreid.evaluation.reranking.sparse import SparseRows, sparse_rows

# How much longer it takes to find a pair of entries in the inverted index than to compare two numbers side by side.
DENSE = 32


def mix(original: Tensor, features: SparseRows, share: float) -> Tensor:
    """`share` of the original distance, and for the rest the Jaccard distance, 1 - Σ min / Σ max (Eq. 10 and 12).

    Features add up to 1, so Σ max = 2 - Σ min.

    Args:
        original: Distances of queries and gallery, `(q, g)`; they are overwritten.
        features: Of the queries, then of the gallery, `(q + g, q + g)`.
        share: 0 to 1.

    Returns:
        `original`.
    """
    queries, gallery = original.shape
    holders = _inverted(features, queries)
    pairs = _pair_counts(features, holders, queries)
    many = int(pairs[-1]) > queries * gallery * (queries + gallery) // DENSE
    for start, stop, shared in _by_difference(features, queries) if many else _by_index(features, holders, pairs, gallery):
        jaccard = (1 - shared / (2 - shared)).clamp_(min=0)  # rounding may take it below
        original[start:stop] = share * original[start:stop] + (1 - share) * jaccard
    return original


def _by_index(features: SparseRows, holders: SparseRows, pairs: Tensor, gallery: int) -> Iterator[tuple[int, int, Tensor]]:
    """Σ min of ranges of queries and the gallery: of the entries in common only, found by the inverted index."""
    for start, stop in _portions(pairs):
        owner, columns, values = features.take(torch.arange(start, stop, device=pairs.device))
        entry, holder, theirs = holders.take(columns)
        shared = values.new_zeros((stop - start) * gallery)
        shared.index_add_(0, owner[entry] * gallery + holder, torch.minimum(values[entry], theirs))
        yield start, stop, shared.view(-1, gallery)


def _by_difference(features: SparseRows, queries: int) -> Iterator[tuple[int, int, Tensor]]:
    """The same where most entries are there: min(a, b) = (a + b - |a - b|) / 2, of all columns."""
    count = len(features.starts) - 1
    for start in range(0, queries, sparse.BLOCK):
        stop = min(start + sparse.BLOCK, queries)
        own, parts = features.dense(start, stop, count), []
        for first in range(queries, count, sparse.BLOCK):
            theirs = features.dense(first, min(first + sparse.BLOCK, count), count)
            parts.append((own.sum(1)[:, None] + theirs.sum(1)[None, :] - torch.cdist(own, theirs, p=1)) / 2)
        yield start, stop, torch.cat(parts, dim=1)


def _inverted(features: SparseRows, queries: int) -> SparseRows:
    """For each column, which rows of the gallery have an entry there."""
    first, count = int(features.starts[queries]), len(features.starts) - 1
    columns, order = features.columns[first:].sort(stable=True)
    owner = features.take(torch.arange(queries, count, device=columns.device))[0]
    return sparse_rows(columns, owner[order], features.values[first:][order], count)


def _pair_counts(features: SparseRows, holders: SparseRows, queries: int) -> Tensor:
    """How many pairs of entries the queries before each one have with the gallery, and all together, `(q + 1,)`."""
    sizes = holders.starts.diff()[features.columns[: int(features.starts[queries])]]
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])[features.starts[: queries + 1]]


def _portions(pairs: Tensor) -> Iterator[tuple[int, int]]:
    """Ranges of queries, a block at most, with so many pairs as are looked at together."""
    edges, queries = [0], len(pairs) - 1
    while edges[-1] < queries:
        fit = int(torch.searchsorted(pairs, pairs[edges[-1]] + sparse.ENTRIES, right=True)) - 1
        edges.append(min(max(fit, edges[-1] + 1), edges[-1] + sparse.BLOCK, queries))
    return pairwise(edges)
