"""A threshold without labels: two tracks that are in the picture together are two people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError, real_number
from nlreid.evaluation import Threshold
from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.labelled import Features
from nlreid.evaluation.search.neighbours import nearest_allowed
from nlreid.trackers.intervals import checked_tracks


def together_threshold(features: Features, first: Any, last: Any, *, false_accept_rate: float = 0.05) -> Threshold:
    """The largest distance at which at most a share of the tracks would be taken for one that is there at the same time.

    Of each track the nearest one counts that overlaps with it in time: another person, who could be mistaken for it. It is
    what `nlreid.evaluation.calibrate` does, with overlaps in the place of labels, so it is of the very camera, light and
    clothes that it is for. A tracker that puts two tracks on one person at once makes it smaller than it need be. Over a
    longer time there are more people to be mistaken for than are there at once: then it is too large, and labels are better.

    Args:
        features: One vector a track, floating point and finite `(n, d)`.
        first: The frame in which each begins, whole numbers `(n,)`.
        last: The frame in which each ends, that one included.
        false_accept_rate: The share that is allowed, from 0 to below 1.

    Returns:
        A cosine distance, at least 0. Nothing is known of right answers: `false_reject_rate` is NaN and `genuine` 0.

    Raises:
        InputError: If shapes or types do not fit, a value is not finite, a track ends before it begins, the rate is out of
            range, or no two tracks are there at the same time.
    """
    if not 0 <= real_number("false_accept_rate", false_accept_rate) < 1:
        raise InputError(f"false_accept_rate is from 0 to below 1; got {false_accept_rate}")
    rows, begins, ends = checked_tracks(features, first, last)

    def together(some: NDArray[np.int64], start: int, stop: int) -> NDArray[np.bool_]:
        other = np.arange(start, stop)
        overlap = (begins[some, None] <= ends[other]) & (begins[other] <= ends[some, None])
        allowed: NDArray[np.bool_] = overlap & (some[:, None] != other)
        return allowed

    found = nearest_allowed(Distances(rows, rows, "cosine", rows.device), min(1, len(rows)), together).distances.numpy()
    wrong = np.sort(found[np.isfinite(found)])
    if not len(wrong):
        raise InputError("no two tracks are there at the same time, by which to know other people; give a threshold")
    accepted = min(int(false_accept_rate * len(wrong) + 1e-9), len(wrong) - 1)
    distance = max(float(np.nextafter(wrong[accepted], -np.inf)), 0.0)
    return Threshold(distance, float((wrong <= distance).mean()), float("nan"), len(wrong), 0, "cosine")
