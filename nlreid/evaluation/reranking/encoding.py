"""k-reciprocal neighbours and the features made of them (Zhong et al., CVPR 2017, arXiv 1701.08398, Sec. 3.2 to 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.evaluation.reranking.neighbours import Neighbours
from nlreid.evaluation.reranking.sparse import SparseRows, rows_at_a_time, sparse_rows
from nlreid.evaluation.reranking.ties import pair_distances


def encode(rows: Tensor, neighbours: Neighbours, k1: int) -> SparseRows:
    """The k-reciprocal feature of each row, `(N, N)`: a Gaussian of its distances to its k-reciprocal set (Eq. 7).

    Two things are as in the authors' code and not as in the paper: each feature adds up to 1, and a set is extended by those
    that share more than 2/3 with it (Eq. 4: at least 2/3). A row that more than k1 others coincide with may be missing
    among its own neighbours; its set is then empty and its feature 0.

    Args:
        rows: Floating, `(N, d)`.
        neighbours: Theirs, at least k1 + 1 where there are as many.
        k1: How many neighbours to look at, the row itself not counted.
    """
    half = round(k1 / 2)  # of two whole numbers the even one
    reciprocal, small = _mutual(neighbours.nearest, k1), _mutual(neighbours.nearest, half)
    parts, block = [], rows_at_a_time(reciprocal.shape[1] * small.shape[1])
    for start in range(0, len(rows), block):
        members = _expanded(neighbours.nearest, reciprocal, small, start, start + block)  # (b, N)
        owner, columns = members.nonzero().unbind(1)
        squared = _distances(rows, neighbours, start, start + block, owner, columns)
        parts.append((owner + start, columns, torch.exp(-squared / neighbours.farthest[owner + start])))
    owner, columns, weights = (torch.cat(part) for part in zip(*parts, strict=True))
    totals = weights.new_zeros(len(rows)).index_add_(0, owner, weights)
    return sparse_rows(owner, columns, weights / totals[owner], len(rows))


def expand_queries(features: SparseRows, nearest: Tensor) -> SparseRows:
    """Each feature replaced by the mean of those of its nearest rows (local query expansion, Eq. 11).

    Args:
        features: `(N, N)`.
        nearest: The k2 nearest rows of each row, itself among them, `(N, k2)`.
    """
    parts, block = [], rows_at_a_time(nearest.shape[1] * int(features.starts.diff().max()))
    for start in range(0, len(nearest), block):
        some = nearest[start : start + block]
        owner, columns, values = features.take(some.flatten())
        mean = values.new_zeros(len(some) * len(nearest))
        mean.index_add_(0, owner // some.shape[1] * len(nearest) + columns, values / some.shape[1])
        places = mean.nonzero().squeeze(1)
        parts.append((places // len(nearest) + start, places % len(nearest), mean[places]))
    owner, columns, values = (torch.cat(part) for part in zip(*parts, strict=True))
    return sparse_rows(owner, columns, values, len(nearest))


def _mutual(index: Tensor, k: int) -> Tensor:
    """Which of the k nearest rows of a row, and itself, have it among theirs (Eq. 3), `(N, min(k + 1, width))`."""
    nearest, own = index[:, : k + 1], torch.arange(len(index), device=index.device)[:, None]
    return torch.isin(nearest * len(index) + own, own * len(index) + nearest)  # pairs as numbers, turned round


def _expanded(index: Tensor, reciprocal: Tensor, small: Tensor, start: int, stop: int) -> Tensor:
    """The k-reciprocal sets of a block of rows, with those of their members that overlap enough (Eq. 4), bool `(b, N)`."""
    nearest, chosen = index[start:stop, : reciprocal.shape[1]], reciprocal[start:stop]
    members = torch.zeros(len(nearest), len(index), dtype=torch.bool, device=index.device).scatter_(1, nearest, chosen)
    others = index[:, : small.shape[1]][nearest]  # (b, k1 + 1, k1 / 2 + 1)
    theirs = small[nearest] & chosen[:, :, None]
    common = members.gather(1, others.flatten(1)).view_as(others) & theirs
    taken = theirs & (3 * common.sum(2) > 2 * theirs.sum(2))[:, :, None]
    owner = torch.arange(len(nearest), device=index.device)[:, None, None].expand_as(others)
    members[owner[taken], others[taken]] = True
    return members


def _distances(rows: Tensor, neighbours: Neighbours, start: int, stop: int, owner: Tensor, columns: Tensor) -> Tensor:
    """Squared distances of some pairs: of a row of a block, and any row."""
    near = neighbours.nearest[start:stop]
    known = neighbours.squared.new_full((len(near), len(rows)), -1).scatter_(1, near, neighbours.squared[start:stop])
    squared = known[owner, columns]
    missing = squared < 0
    squared[missing] = pair_distances(rows, owner[missing] + start, columns[missing])
    return squared
