"""How far scores can be trusted, and what they are camera by camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError, real_number, unknown_name, whole_number
from nlreid.evaluation.ranking.scores import RankingScores, per_query, ranked

SCORES = ("mAP", "mINP", "rank-1", "rank-5", "rank-10", "rank-20")
_DRAWS = 2**20  # queries that are drawn at a time


class Interval(NamedTuple):
    """Between which values a score lies with some confidence."""

    low: float
    high: float


def confidence_interval(
    scores: RankingScores, score: str = "mAP", *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The percentile bootstrap over queries (Efron 1979): how much the score depends on which queries there happen to be.

    The valid queries are drawn anew with replacement, as many as there are; the score is averaged over each draw. Queries of
    one person are not independent, so the interval is rather too narrow than too wide.

    Args:
        scores: From `nlreid.evaluate`.
        score: `"mAP"`, `"mINP"` or `"rank-k"` with a number, as in `"rank-1"`.
        level: The share of draws within the interval, between 0 and 1.
        resamples: How many draws.
        seed: Of the draws, at least 0.

    Raises:
        InputError: If an argument is out of its range.
        UnknownNameError: If there is no such score.
    """
    if not 0 < real_number("level", level) < 1:
        raise InputError(f"level is between 0 and 1; got {level}")
    values = _of_queries(scores, score)[scores.first_hit > 0]
    generator = np.random.default_rng(whole_number("seed", seed, least=0))
    means = np.empty(whole_number("resamples", resamples))
    step = max(1, _DRAWS // len(values))
    for at in range(0, resamples, step):
        drawn = generator.integers(len(values), size=(min(step, resamples - at), len(values)))
        means[at : at + step] = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _of_queries(scores: RankingScores, score: str) -> NDArray[np.float64]:
    if score == "mAP":
        return scores.average_precision
    if score == "mINP":
        return scores.inverse_negative_penalty
    kind, _, k = str(score).partition("-")
    if kind != "rank" or not k.isdecimal() or len(k) > 9 or int(k) < 1:
        raise unknown_name("score", score, SCORES, "Allowed: mAP, mINP, rank-k for any k.")
    return (scores.first_hit <= int(k)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class CameraMatrix:
    """The scores between each two cameras, as the official evaluation of MARS gives them.

    Args:
        cameras: The cameras of queries and right answers, rising.
        rank1: The share of queries of camera i whose first answer in camera j is right, `(c, c)`; NaN where there is none.
        mAP: Mean average precision, `(c, c)`.
        queries: How many queries each is the average of, int64 `(c, c)`.
    """

    cameras: tuple[int, ...]
    rank1: NDArray[np.float64]
    mAP: NDArray[np.float64]  # noqa: N815
    queries: NDArray[np.int64]


def camera_matrix(scores: RankingScores) -> CameraMatrix:
    """Scores by the camera of the query and the camera of the right answers.

    For one pair of cameras only the right answers in the second count; those in other cameras are left out of the ranking,
    wrong answers stay, whatever their camera. On the diagonal the right answers are the other tracklets of the query's
    own camera. The query itself, where the gallery holds it, is left out: the entry of its name, if both sides have
    `tracks`, else one of the same features. Of given distances without names nothing tells it, and the diagonal is NaN.

    Args:
        scores: From `nlreid.evaluate`; the kind of average precision is that which was asked for there.
    """
    matches = scores.matches
    itself = np.zeros(len(matches.camids), dtype=np.bool_) if matches.itself is None else matches.itself
    seen = np.union1d(matches.query_camids, matches.camids)
    rank1, mean, count = (np.full((len(seen), len(seen)), np.nan) for _ in range(3))
    for column, camera in enumerate(seen.tolist()):
        right = (matches.camids == camera) & ~itself
        owners = matches.queries[right]
        precision, _, first = per_query(owners, *ranked(matches, right), len(matches.query_camids), scores.ap)
        for row, query_camera in enumerate(seen.tolist()):
            some = (matches.query_camids == query_camera) & (first > 0)
            if row == column and matches.itself is None:
                some[:] = False
            count[row, column] = some.sum()
            if some.any():
                rank1[row, column], mean[row, column] = (first[some] == 1).mean(), precision[some].mean()
    return CameraMatrix(tuple(seen.tolist()), rank1, mean, count.astype(np.int64))


class Spread(NamedTuple):
    """A score over several splits."""

    mean: float
    std: float


def over_splits(scores: Sequence[RankingScores]) -> dict[str, Spread]:
    """The mean and the standard deviation of each score over several splits, as papers report iLIDS-VID and PRID2011.

    The standard deviation is that of the splits as a sample (n - 1); of a single one it is NaN.

    Args:
        scores: One of each split, with one `max_rank` and one `ap`.

    Raises:
        InputError: If there is none, or they are not of one kind.
    """
    if not isinstance(scores, Sequence) or not all(isinstance(one, RankingScores) for one in scores):
        raise InputError(f"scores are a list of what nlreid.evaluate answers; got {scores!r:.80}")
    tables = [{name: value for name, value in one.as_dict().items() if isinstance(value, float)} for one in scores]
    if not tables or any(table.keys() != tables[0].keys() for table in tables) or len({one.ap for one in scores}) > 1:
        raise InputError(f"scores are at least one, all with one max_rank and one kind of ap; got {len(tables)}")
    columns = {name: np.array([table[name] for table in tables]) for name in tables[0]}
    std = {name: float(column.std(ddof=1)) if len(column) > 1 else float("nan") for name, column in columns.items()}
    return {name: Spread(float(column.mean()), std[name]) for name, column in columns.items()}
