"""When a query is not in the gallery: a largest distance, from labelled embeddings (open-set re-identification)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError, real_number
from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.labelled import JUNK, Labelled, check_features, check_labels, device_of, features_of
from nlreid.evaluation.ranking.matches import find_matches
from nlreid.evaluation.search.answers import Threshold
from nlreid.evaluation.search.neighbours import nearest_allowed


def calibrate(
    query: Labelled,
    gallery: Labelled,
    *,
    false_accept_rate: float = 0.01,
    metric: Literal["euclidean", "cosine"] = "cosine",
) -> Threshold:
    """The largest threshold at which at most a share of searches for absent persons finds somebody.

    Each query is searched for as if its person were not in the gallery: the entries of its identity are left out, junk as
    well, and the nearest of the others is what would be found by mistake. The more entries a gallery has, the nearer that
    is: calibrate on a gallery about as large as the one that will be searched. A rate below 1 / queries cannot be told.

    Args:
        query: `nlreid.Embeddings` with pids and camids, or the like.
        gallery: The same of what is searched in.
        false_accept_rate: The share that is allowed, from 0 to below 1.
        metric: The metric that will be searched with.

    Raises:
        InputError: If features or labels do not fit, the rate is out of range, or no query has an entry of another identity.
        UnknownNameError: If there is no such metric.
    """
    if not 0 <= real_number("false_accept_rate", false_accept_rate) < 1:
        raise InputError(f"false_accept_rate is from 0 to below 1; got {false_accept_rate}")
    wrong, right = _nearest_wrong(query, gallery, metric), _nearest_right(query, gallery, metric)
    if not len(wrong):
        raise InputError("no query has an entry of another identity in the gallery, by which to calibrate")
    allowed = min(
        int(false_accept_rate * len(wrong) + 1e-9), len(wrong) - 1
    )  # so many may be accepted; the one after them must not
    distance = float(np.nextafter(np.sort(wrong)[allowed], -np.inf))
    return Threshold(
        distance=distance,
        false_accept_rate=float((wrong <= distance).mean()),
        false_reject_rate=float((right > distance).mean()) if len(right) else float("nan"),
        impostors=len(wrong),
        genuine=len(right),
        metric=metric,
    )


def _nearest_wrong(query: Labelled, gallery: Labelled, metric: str) -> NDArray[np.float64]:
    """Of each query that is not junk, the distance of the nearest entry of another identity, where there is one."""
    features = check_features(features_of("query", query), features_of("gallery", gallery))
    query_pids, _ = check_labels("query", query, len(features[0]))
    pids, _ = check_labels("gallery", gallery, len(features[1]))

    def others(some: NDArray[np.int64], start: int, stop: int) -> NDArray[np.bool_]:
        own, block = query_pids[some, None], pids[None, start:stop]
        allowed: NDArray[np.bool_] = (own != block) & (block != JUNK) & (own != JUNK)
        return allowed

    distances = Distances(*features, metric, device_of(features[0]))
    found: NDArray[np.float64] = nearest_allowed(distances, 1, others).distances.numpy()[:, 0]
    return found[np.isfinite(found)]


def _nearest_right(query: Labelled, gallery: Labelled, metric: str) -> NDArray[np.float64]:
    """Of each query that has a right answer, the distance of the nearest one."""
    matches = find_matches(query, gallery, metric)
    right = matches.camids != matches.query_camids[matches.queries]
    _, first = np.unique(matches.queries[right], return_index=True)
    nearest: NDArray[np.float64] = matches.distances[right][first]
    return nearest
