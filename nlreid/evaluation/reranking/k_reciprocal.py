"""Re-ranking with k-reciprocal encoding (Zhong, Zheng, Cao, Li, CVPR 2017, arXiv 1701.08398)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nlreid.errors import InputError, real_number, whole_number
from nlreid.evaluation.labelled import Features
from nlreid.evaluation.reranking.encoding import encode, expand_queries
from nlreid.evaluation.reranking.jaccard import mix
from nlreid.evaluation.reranking.neighbours import find_neighbours
from nlreid.evaluation.stacked import in_memory


@torch.no_grad()
def rerank(
    query_features: Features,
    gallery_features: Features,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> Tensor:
    """Distances between queries and gallery, by which neighbours they have in common.

    Two rows are close if the sets of their k-reciprocal neighbours, among queries and gallery together, are alike: the
    result is `(1 - lambda_value) * Jaccard + lambda_value * original` (Eq. 12). The original distance is the squared
    Euclidean one, divided by the largest of the query's row, as in the authors' code; features are taken as they are,
    so normalise them first where the cosine is meant. Nothing depends on labels: leave out junk before, if it must not
    be a neighbour.

    >>> query, gallery = torch.tensor([[0.0]]), torch.tensor([[1.0], [1.5], [-9.0], [-9.5]])
    >>> rerank(query, gallery, k1=2, k2=1)
    tensor([[0.0114, 0.0185, 0.9693, 1.0000]])

    Agrees with the authors' code to rounding, with these differences: neighbours are found in float64; of equal
    distances the first row comes first, queries before the gallery, where an unstable sort decides there; and where all
    rows coincide the original distance is 0, not NaN. As there, k1 and k2 count for no more than there are rows. If more
    than k1 others coincide with a row, it may be missing among its own nearest ones: it then has neighbours through the
    query expansion only.

    Never a matrix of all N = q + g rows by all: memory is some `(512, N)` blocks, the features in float64, and a few
    numbers a neighbour, besides the result.

    Args:
        query_features: Floating and finite, `(q, d)`, none of the axes empty; a tensor, a NumPy array, or
            `nlreid.evaluation.Stacked`, which is read as a whole.
        gallery_features: Of the same type, `(g, d)`.
        k1: How many neighbours are looked at for being reciprocal, from 1; half as many where the set is extended.
        k2: Over how many neighbours, the row itself counted, a feature is averaged, from 1; 1 for not at all.
        lambda_value: Share of the original distance, 0 to 1.

    Returns:
        Distances from 0 to 1, float32 `(q, g)`, on the device of the features (on the CPU if that has no float64).

    Raises:
        InputError: If shapes, types or devices do not fit, a value is not finite or too large, or a number is not in its
            range.
    """
    k1, k2, share = whole_number("k1", k1), whole_number("k2", k2), _share(lambda_value)
    query, gallery = _rows("query_features", query_features), _rows("gallery_features", gallery_features)
    if query.shape[1] != gallery.shape[1] or query.dtype != gallery.dtype or query.device != gallery.device:
        raise InputError(
            f"query and gallery features are of one width, type and device; got {tuple(query.shape)} {query.dtype} "
            f"on {query.device} and {tuple(gallery.shape)} {gallery.dtype} on {gallery.device}"
        )
    k1, k2 = (min(k, len(query) + len(gallery)) for k in (k1, k2))
    rows = torch.cat([query, gallery])
    rows = rows.to("cpu" if rows.device.type == "mps" else rows.device, torch.promote_types(rows.dtype, torch.float32))
    neighbours = find_neighbours(rows, len(query), min(max(k1 + 1, k2), len(rows)))
    features = encode(rows, neighbours, k1)
    if k2 > 1:
        features = expand_queries(features, neighbours.nearest[:, :k2])
    return mix(neighbours.original, features, share)


def _share(value: float) -> float:
    wanted = "a number from 0 to 1"
    share = real_number("lambda_value", value, wanted)
    if not 0 <= share <= 1:
        raise InputError(f"lambda_value is {wanted}; got {value!r}")
    return share


def _rows(name: str, features: Features) -> Tensor:
    """Features as a tensor, if they are what they must be."""
    features = in_memory(features)
    if isinstance(features, np.ndarray) and features.dtype.kind == "f" and features.dtype.itemsize <= 8:
        features = torch.from_numpy(np.array(features, dtype=features.dtype.newbyteorder("=")))  # a copy: read-only is fine
    if not isinstance(features, Tensor) or not features.is_floating_point():
        kind = getattr(features, "dtype", type(features).__name__)
        raise InputError(f"{name} is a floating tensor or array; got {kind}")
    if features.ndim != 2 or features.numel() == 0:
        raise InputError(f"{name} is (rows, channels), neither of them 0; got {tuple(features.shape)}")
    if not features.isfinite().all():
        raise InputError(f"{name} is finite; got infinite values or NaN, which have no distance")
    return features
