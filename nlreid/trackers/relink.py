"""`relink`: which of a tracker's tracks are of one person, by their embeddings and times."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import whole_number
from nlreid.evaluation import Threshold
from nlreid.evaluation.distances.exact import cosine_distance
from nlreid.evaluation.labelled import Features
from nlreid.evaluation.search.answers import largest_distance
from nlreid.trackers.intervals import checked_tracks

_PAIRS = 2**16  # whose distances are computed together
_DIGITS = 12  # of mean distances that are compared: further ones depend on the order in which people were joined


class Link(NamedTuple):
    """A track that goes on in another.

    Args:
        before: The row of the one that ends.
        after: The row of the one that begins.
        distance: The cosine distance of these two.
        gap: How many frames lie between them.
    """

    before: int
    after: int
    distance: float
    gap: int


@dataclass(frozen=True, eq=False)
class Relinked:
    """What belongs together.

    Args:
        links: From each track of a person to the next one, in the order in which the later ones begin.
        heads: Of each row, the row of the first track of its person: int64 `(n,)`, its own where nothing was joined.
    """

    links: tuple[Link, ...]
    heads: Tensor


def relink(
    features: Features,
    first: Any,
    last: Any,
    *,
    threshold: float | Threshold,
    max_gap: int | None = None,
) -> Relinked:
    """Join broken tracks of one camera.

    >>> found = relink(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]]), [1, 5, 30], [20, 25, 40], threshold=0.1)
    >>> [tuple(link[:2]) for link in found.links], found.heads
    ([(0, 2)], tensor([0, 1, 0]))

    The two people who look most alike are made one, and again, until none are left who may be. A person is at first one
    track, later several, in time order. Two may be one if none of their tracks are ever in the picture at the same time, if
    the mean distance of the tracks of the one from those of the other is at most `threshold`, and if in between two tracks
    that follow each other there are then at most `max_gap` frames (average linkage, with what cannot be left out). That
    a track counts with all others of its person keeps chains from drifting from one look to another. The same input gives the
    same answer; of pairs that are equally near, that of the first rows comes first. Memory grows with the square of the tracks,
    and time a little faster: thousands are seconds, so give a day of video in parts.

    Args:
        features: One vector a track, floating point and finite `(n, d)`: those of `nlreid.embed`.
        first: The frame in which each begins, whole numbers `(n,)`.
        last: The frame in which each ends, that one included.
        threshold: The largest cosine distance; a number, or what `nlreid.evaluation.calibrate` or `together_threshold`
            answers.
        max_gap: The largest number of frames between a track and the next one of its person; by default any.

    Raises:
        InputError: If shapes or types do not fit, a value is not finite, a track ends before it begins, `max_gap` is no
            whole number from 0, or `threshold` is no number or of another metric.
    """
    limit = largest_distance(threshold, "cosine")
    longest = None if max_gap is None else whole_number("max_gap", max_gap, least=0)
    rows, begins, ends = checked_tracks(features, first, last)
    distances = _distances(rows)
    people = _People(distances, begins, ends, limit, longest).join()
    links = [
        Link(before, after, float(distances[before, after]), int(begins[after] - ends[before] - 1))
        for tracks in people
        for before, after in pairwise(tracks)
    ]
    links.sort(key=lambda link: (int(begins[link.after]), link.after))
    heads = torch.arange(len(rows))
    for tracks in people:
        heads[tracks] = tracks[0]
    return Relinked(tuple(links), heads)


class _People:
    """Who is one person so far."""

    def __init__(
        self,
        distances: NDArray[np.float64],
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        limit: float,
        max_gap: int | None,
    ) -> None:
        self.begins, self.ends, self.limit, self.max_gap = begins, ends, limit, max_gap
        self.tracks = [[row] for row in range(len(begins))]  # those of a person, in time order
        self.together = (begins[:, None] <= ends[None]) & (begins[None] <= ends[:, None])  # with itself, too
        self.means = distances.copy()  # mean distances of people
        self.allowed = np.full_like(distances, np.inf)  # the same, of those who may be one
        for row in range(len(begins)):
            self._allow(row)

    def join(self) -> list[list[int]]:
        """Make one of two, the nearest first, as long as there are two who may be; the tracks of each person in time order."""
        while len(self.tracks):
            one, other = sorted(map(int, np.unravel_index(self.allowed.argmin(), self.allowed.shape)))
            if np.isinf(self.allowed[one, other]):
                break
            self._merge(one, other)
        return [tracks for tracks in self.tracks if tracks]

    def _merge(self, one: int, other: int) -> None:
        here, there = len(self.tracks[one]), len(self.tracks[other])
        means = (here * self.means[one] + there * self.means[other]) / (here + there)
        self.means[one], self.means[:, one] = means, means
        together = self.together[one] | self.together[other]
        self.together[one], self.together[:, one] = together, together
        self.together[other], self.together[:, other] = True, True  # is nobody any more
        self.tracks[one] = sorted(self.tracks[one] + self.tracks[other], key=lambda row: (self.begins[row], row))
        self.tracks[other] = []
        self.allowed[other], self.allowed[:, other] = np.inf, np.inf
        self._allow(one)

    def _allow(self, one: int) -> None:
        """See anew with whom a person may be one."""
        apart = self.together[one] | (self.means[one] > self.limit)
        values = np.where(apart, np.inf, self.means[one].round(_DIGITS))
        if self.max_gap is not None:
            for other in np.flatnonzero(np.isfinite(values)).tolist():
                values[other] = values[other] if self._gap(one, other) <= self.max_gap else np.inf
        self.allowed[one], self.allowed[:, one] = values, values

    def _gap(self, one: int, other: int) -> int:
        """The longest time between tracks that follow each other, if these two were one."""
        order = sorted(self.tracks[one] + self.tracks[other], key=lambda row: self.begins[row])
        gaps: NDArray[np.int64] = self.begins[order[1:]] - self.ends[order[:-1]] - 1
        return int(gaps.max())


def _distances(rows: Tensor) -> NDArray[np.float64]:
    """The cosine distance of each row from each, `(n, n)`: single pairs, so that it is the same in whatever company."""
    one, other = np.triu_indices(len(rows), 1)
    found = np.zeros((len(rows), len(rows)))
    for start in range(0, len(one), _PAIRS):
        some, others = one[start : start + _PAIRS], other[start : start + _PAIRS]
        found[some, others] = found[others, some] = cosine_distance(rows[some], rows[others]).numpy()
    return found
