"""What a search answers, and the distance beyond which it answers nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from nlreid.errors import InputError, real_number


class Neighbours(NamedTuple):
    """The nearest gallery entries of each query, nearest first.

    Args:
        distances: float64 `(q, top)`; infinity where there is no further entry.
        rows: Their rows in the gallery, int64 `(q, top)`; -1 where there is none.
    """

    distances: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Threshold:
    """A largest distance of answers, and what it did on the embeddings that it was calibrated on.

    Args:
        distance: The largest distance of an answer.
        false_accept_rate: The share of queries that, were their person not in the gallery, would have got an answer.
        false_reject_rate: The share of queries with a right answer, all of whose right answers are beyond the threshold.
        impostors: How many queries the first is a share of.
        genuine: How many the second is a share of.
        metric: What distances are meant.
    """

    distance: float
    false_accept_rate: float
    false_reject_rate: float
    impostors: int
    genuine: int
    metric: str


def largest_distance(threshold: float | Threshold, metric: str) -> float:
    """The distance of a threshold, if it is one for this metric.

    Raises:
        InputError: If it is of another metric, or is no finite number.
    """
    if not isinstance(threshold, Threshold):
        return real_number("threshold", threshold, "a finite number, or what `calibrate` answers")
    if threshold.metric != metric:
        raise InputError(f"the threshold is one of {threshold.metric} distances; calibrate one for metric {metric!r}")
    return threshold.distance
