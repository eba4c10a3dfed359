"""What `nlreid evaluate` says: scores in tables to read, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from nlreid.cli import several
from nlreid.embedding import Embeddings
from nlreid.evaluation import (
    RankingScores,
    camera_matrix,
    confidence_interval,
    evaluate,
    evaluate_distances,
    over_splits,
    rerank,
)
from nlreid.evaluation.labelled import JUNK

RERANKING: dict[str, Any] = {"k1": 20, "k2": 6, "lambda_value": 0.3}  # as in the paper
LEVEL = 0.95

_AFTER = "re-ranked, " + ", ".join(f"{name} {value}" for name, value in RERANKING.items())


@dataclass(frozen=True)
class Problem:
    """Who is searched with and who is searched in.

    Args:
        name: What it is, for people to read.
        query: Embeddings with pids and camids.
        gallery: The same.
        notes: What differs from the published data set.
    """

    name: str
    query: Embeddings
    gallery: Embeddings
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What came out.

    Args:
        problem: What was asked.
        scores: Of the ranking by the metric.
        reranked: Of the ranking after re-ranking, where that was asked for.
    """

    problem: Problem
    scores: RankingScores
    reranked: RankingScores | None


def solve(problem: Problem, metric: Any, ap: Any, *, reranking: bool) -> Result:
    """Rank and score.

    Args:
        problem: What is asked.
        metric: As for `nlreid.evaluate`.
        ap: As for `nlreid.evaluate`.
        reranking: Whether to score the re-ranked distances, too; junk is nobody's neighbour there.
    """
    query, gallery = problem.query, problem.gallery
    scores = evaluate(query, gallery, metric=metric, ap=ap, share=several.count() > 1)
    if not reranking:
        return Result(problem, scores, None)
    if gallery.pids is not None:
        gallery = gallery.select((gallery.pids != JUNK).nonzero().flatten().tolist())
    features = [torch.as_tensor(side.features[:]) for side in (query, gallery)]
    if metric == "cosine":
        features = [torch.nn.functional.normalize(rows.double(), dim=1) for rows in features]
    return Result(problem, scores, evaluate_distances(rerank(*features, **RERANKING), query, gallery, ap=ap))


def as_text(results: Sequence[Result], metric: str, *, cameras: bool) -> str:
    """Tables in per cent: of one problem with intervals, of several the mean and the spread.

    Args:
        results: One of each split.
        metric: By what was ranked.
        cameras: Whether to show the scores between each two cameras, too.
    """
    others = f", and {len(results) - 1} more" if len(results) > 1 else ""
    lines = [f"{results[0].problem.name}{others}"]
    table = _spreads if len(results) > 1 else _intervals
    rankings = [(f"{metric} distance", [result.scores for result in results])]
    if results[0].reranked is not None:
        rankings.append((_AFTER, [result.reranked for result in results if result.reranked is not None]))
    for title, scores in rankings:
        lines += ["", f"{title}, {scores[0].ap.replace('_', ' ')}", *table(scores)]
    valid, invalid = (sum(getattr(result.scores, kind) for result in results) for kind in ("valid", "invalid"))
    lines += ["", f"queries: {valid:,} valid, {invalid:,} left out since the gallery has no right answer"]
    if cameras:
        lines += [line for result in results for line in _camera_tables(result)]
    return "\n".join(lines)


def _figures(scores: RankingScores) -> dict[str, float]:
    return {name: value for name, value in scores.as_dict().items() if isinstance(value, float)}


def _intervals(scores: Sequence[RankingScores]) -> Iterator[str]:
    yield f"{'score':8}  per cent   {100 * LEVEL:.0f} % interval (bootstrap over the queries)"
    for name, value in _figures(scores[0]).items():
        low, high = confidence_interval(scores[0], name, level=LEVEL)
        yield f"{name:8}  {100 * value:8.2f}   {100 * low:.2f} to {100 * high:.2f}"


def _spreads(scores: Sequence[RankingScores]) -> Iterator[str]:
    yield f"{'score':8}  mean, per cent  +- standard deviation over {len(scores)} splits"
    for name, spread in over_splits(scores).items():
        yield f"{name:8}  {100 * spread.mean:14.2f}  +- {100 * spread.std:.2f}"


def _camera_tables(result: Result) -> Iterator[str]:
    matrix = camera_matrix(result.scores)
    before = " before re-ranking" if result.reranked else ""
    for name, values in (("rank-1", matrix.rank1), ("mAP", matrix.mAP)):
        yield ""
        yield f"{result.problem.name}: {name}{before}, per cent, by the camera of queries (rows) and of right answers (columns)"
        yield "      " + "".join(f"{camera:>8}" for camera in matrix.cameras)
        for camera, row in zip(matrix.cameras, values.tolist(), strict=True):
            yield f"{camera:>6}" + "".join(f"{'-' if math.isnan(value) else f'{100 * value:.2f}':>8}" for value in row)


def as_json(results: Sequence[Result], metric: str, ap: str, *, cameras: bool) -> dict[str, Any]:
    """The same for machines: fractions of 1; what is not there is null.

    Args:
        results: One of each split.
        metric: By what was ranked.
        ap: The kind of average precision.
        cameras: Whether to give the scores between each two cameras, too.
    """
    reranked = [result.reranked for result in results if result.reranked is not None]
    return {
        "metric": metric,
        "ap": ap,
        "reranking": RERANKING if reranked else None,
        "splits": [_one(result, cameras=cameras) for result in results],
        "mean": _mean([result.scores for result in results]),
        "reranked mean": _mean(reranked),
    }


def _one(result: Result, *, cameras: bool) -> dict[str, Any]:
    problem, matrix = result.problem, camera_matrix(result.scores) if cameras else None
    return {
        "name": problem.name,
        "notes": list(problem.notes),
        "queries": len(problem.query),
        "gallery": len(problem.gallery),
        "scores": _with_intervals(result.scores),
        "reranked": result.reranked and _with_intervals(result.reranked),
        "cameras": matrix
        and {
            "cameras": matrix.cameras,
            "rank-1": _rows(matrix.rank1),
            "mAP": _rows(matrix.mAP),
            "queries": matrix.queries.tolist(),
        },
    }


def _with_intervals(scores: RankingScores) -> dict[str, Any]:
    intervals = {name: confidence_interval(scores, name, level=LEVEL) for name in _figures(scores)}
    return {**scores.as_dict(), "intervals": {"level": LEVEL, **intervals}}


def _rows(matrix: NDArray[Any]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]


def _mean(scores: Sequence[RankingScores]) -> Mapping[str, Any] | None:
    return {name: spread._asdict() for name, spread in over_splits(scores).items()} if len(scores) > 1 else None
