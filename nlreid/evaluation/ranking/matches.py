"""Where the right answers of each query stand in its ranking, without ranking anything else.

All scores of re-identification follow from the places of the right answers. They are few, so each block of the gallery is
compared with their distances: how many wrong answers come before the first, the second, ... No matrix of all distances and
no sort of it is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.distances.rows import as_tensor
from nlreid.evaluation.labelled import JUNK, Labelled, Labels, check_features, check_labels, device_of, features_of
from nlreid.evaluation.ranking.counting import Entries, count_between
from nlreid.processes import ALONE, Processes

_QUERIES = 1024  # queries that go through the gallery together
_OTHER_RUN = 0.01  # how far the features of one tracklet may be apart, as a fraction, when it is embedded again or rounded
_SEEN = 256  # rows by which processes tell whether they have the same
_EDGES = 2**21  # distances of right answers, both sides of each, that are held at a time


@dataclass(frozen=True, eq=False)
class Matches:
    """The gallery entries of each query's own identity, nearest first; those of its own camera among them.

    Entries of query i are `starts[i]:starts[i + 1]`. Of equally distant entries the first of the gallery is nearer.

    Args:
        starts: int64 `(q + 1,)`.
        gallery: The row of the gallery, int64 `(n,)`.
        distances: From the query, float64 `(n,)`.
        negatives: How many entries of other identities, junk aside, are nearer, int64 `(n,)`.
        camids: The camera of each entry, int64 `(n,)`.
        itself: Whether the entry is the query itself, bool `(n,)`: the one of its camera with its name and nearly its
            features, where both sides have names; else the nearest with just its features. None where this cannot be told.
        query_camids: The camera of each query, int64 `(q,)`.
    """

    starts: NDArray[np.int64]
    gallery: NDArray[np.int64]
    distances: NDArray[np.float64]
    negatives: NDArray[np.int64]
    camids: NDArray[np.int64]
    itself: NDArray[np.bool_] | None
    query_camids: NDArray[np.int64]

    @property
    def queries(self) -> NDArray[np.int64]:
        """The query of each entry, int64 `(n,)`."""
        return np.repeat(np.arange(len(self.query_camids)), np.diff(self.starts))


def find_matches(query: Labelled, gallery: Labelled, metric: str, team: Processes = ALONE) -> Matches:
    """Find where the entries of each query's identity stand.

    Memory beyond the inputs does not grow with the gallery, only with the number of entries found.

    Args:
        query: What is searched with.
        gallery: What is searched in, in blocks; it may be mapped from a file.
        metric: `"euclidean"` or `"cosine"`.
        team: The processes that share the gallery; each has all of both sides, and goes through a stretch of the gallery.

    Raises:
        InputError: If features or labels are not what they should be or do not fit each other.
        UnknownNameError: If there is no such metric.
        ProcessesError: If another process failed.
    """
    with team.together():
        features = check_features(features_of("query", query), features_of("gallery", gallery))
        labels = check_labels("query", query, len(features[0])), check_labels("gallery", gallery, len(features[1]))
        distances = Distances(*features, metric, device_of(features[0]))
        digest = _digest(distances, *labels) if team.count > 1 else ""
    team.check_same("query, gallery and metric", digest)
    with team.together():
        distances.check_queries()
        (query_pids, query_camids), (pids, camids) = labels
        starts, rows, exact = _own_distances(distances, query_pids, pids)
        itself = _themselves(distances, query, gallery, starts, rows, camids[rows] == np.repeat(query_camids, np.diff(starts)))
        negatives = _negatives(distances, starts, Entries(rows, exact), query_pids, pids, team)
    return Matches(starts, rows, exact, team.summed(negatives), camids[rows], itself, query_camids)


def _own_distances(
    distances: Distances, query_pids: NDArray[np.int64], pids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where the entries of each query's identity start, their gallery rows and their distances, nearest first."""
    starts, owners, rows = _own_entries(query_pids, pids)
    return starts, *_nearest_first(owners, rows, distances.exact(owners, rows).numpy())


def _themselves(
    distances: Distances,
    query: Labelled,
    gallery: Labelled,
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    same_camera: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which entries are the query itself, one of each query at most."""
    own_camera = np.flatnonzero(same_camera)
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    named = _names_agree(query, gallery, owners[own_camera], rows[own_camera])
    likely = own_camera if named is None else own_camera[named]
    equal = likely[distances.equal(owners[likely], rows[likely], 0.0 if named is None else _OTHER_RUN)]
    itself = np.zeros(len(rows), dtype=np.bool_)
    itself[equal[np.unique(owners[equal], return_index=True)[1]]] = True
    return itself


def _negatives(
    distances: Distances,
    starts: NDArray[np.int64],
    own: Entries,
    query_pids: NDArray[np.int64],
    pids: NDArray[np.int64],
    team: Processes,
) -> NDArray[np.int64]:
    """How many wrong answers among this process's stretch of the gallery are nearer than each entry of `own`, `(n,)`."""
    among = team.stretch_of(len(pids))
    negatives = np.zeros(len(own.rows), dtype=np.int64)
    for some in _query_blocks(np.diff(starts)):
        places, real = _slots(starts, some)
        entries = Entries(np.where(real, own.rows[places], len(pids)), np.where(real, own.distances[places], np.inf))
        counted = count_between(distances, some, entries, torch.from_numpy(query_pids[some]), torch.from_numpy(pids), among)
        negatives[places[real]] = counted.cumsum(axis=1)[:, :-1][real]
    return negatives


def _digest(distances: Distances, *labels: tuple[NDArray[np.int64], NDArray[np.int64]]) -> str:
    """A checksum of what is compared: metric, shapes, types, labels, and the first rows of either side."""
    digest = sha256(f"{distances.metric} {distances.query.dtype} {distances.gallery.dtype}".encode())
    for side, both in zip((distances.query, distances.gallery), labels, strict=True):
        digest.update(f" {tuple(side.shape)}".encode())
        digest.update(as_tensor(side[:_SEEN]).double().cpu().numpy().tobytes())
        for values in both:
            digest.update(values.tobytes())
    return digest.hexdigest()


def matches_in(distances: NDArray[np.floating[Any]], query: Labels, gallery: Labels) -> Matches:
    """The same from distances that are given, such as re-ranked ones.

    Args:
        distances: Between each query and each gallery entry, `(q, g)`.
        query: The labels of the queries.
        gallery: Those of the gallery.

    Raises:
        InputError: If labels are not what they should be.
    """
    (query_pids, query_camids), (pids, camids) = (
        check_labels("query", query, distances.shape[0]),
        check_labels("gallery", gallery, distances.shape[1]),
    )
    starts, owners, rows = _own_entries(query_pids, pids)
    rows, own = _nearest_first(owners, rows, distances[owners, rows].astype(np.float64))
    itself = _names_agree(query, gallery, owners, rows)
    if itself is not None:
        itself &= camids[rows] == query_camids[owners]
    negatives = np.zeros(len(rows), dtype=np.int64)
    for index in np.flatnonzero(np.diff(starts)).tolist():
        part = slice(starts[index], starts[index + 1])
        wrong = np.flatnonzero((pids != query_pids[index]) & (pids != JUNK))
        negatives[part] = _before(distances[index, wrong].astype(np.float64), wrong, own[part], rows[part])
    return Matches(starts, rows, own, negatives, camids[rows], itself, query_camids)


def _names_agree(
    query: Labels, gallery: Labels, owners: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Whether the two tracklets of each pair are called the same, if both sides have names (`nlreid.Embeddings.tracks`)."""
    names = _names(query, owners), _names(gallery, rows)
    if names[0] is None or names[1] is None:
        return None
    same: NDArray[np.bool_] = names[0] == names[1]
    return same


def _names(side: Labels, rows: NDArray[np.int64]) -> NDArray[np.object_] | None:
    """The names of some rows, each looked up once and in order: they may lie in files."""
    tracks = getattr(side, "tracks", None)
    if not isinstance(tracks, Sequence) or not len(tracks) or len(tracks) != len(side.pids):
        return None
    asked, back = np.unique(rows, return_inverse=True)
    found = [tracks[row] for row in asked.tolist()]
    if not all(hasattr(track, "name") for track in found):
        return None
    return np.array([track.name for track in found], dtype=object)[back]


def _before(
    values: NDArray[np.float64], places: NDArray[np.int64], own: NDArray[np.float64], own_places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many values come before each of the rising `own`; of equal ones the first place comes first."""
    sure, level = np.searchsorted(own, values, side="left"), np.searchsorted(own, values, side="right")
    for at in np.flatnonzero(sure != level).tolist():
        sure[at] += np.searchsorted(own_places[sure[at] : level[at]], places[at])
    counted: NDArray[np.int64] = np.bincount(sure, minlength=len(own) + 1).cumsum()
    return counted[:-1]


def _nearest_first(
    owners: NDArray[np.int64], rows: NDArray[np.int64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Entries in the order of their queries, of the distance, of the place in the gallery."""
    order = np.lexsort((rows, distances, owners))
    return rows[order], distances[order]


def _own_entries(
    query_pids: NDArray[np.int64], pids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The gallery rows of each query's identity: where those of each query start, the query and the row of each."""
    by_pid = np.argsort(pids, kind="stable")
    first = np.searchsorted(pids, query_pids, side="left", sorter=by_pid)
    counts = np.searchsorted(pids, query_pids, side="right", sorter=by_pid) - first
    counts[query_pids == JUNK] = 0
    starts = np.concatenate([[0], np.cumsum(counts)])
    owners = np.repeat(np.arange(len(query_pids)), counts)
    within = np.arange(starts[-1]) - starts[owners]
    return starts, owners, by_pid[first[owners] + within].astype(np.int64)


def _query_blocks(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Queries that have an entry, those with about as many together, as many as can be held."""
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    while len(order):
        size = int(min(_QUERIES, max(1, _EDGES // (2 * counts[order[0]]))))
        yield order[:size]
        order = order[size:]


def _slots(starts: NDArray[np.int64], some: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The entries of some queries side by side, and which of the places hold one: `(q, m)` each."""
    counts = starts[some + 1] - starts[some]
    slots = np.arange(counts.max())
    real = slots < counts[:, None]
    return np.where(real, starts[some][:, None] + slots, 0), real
