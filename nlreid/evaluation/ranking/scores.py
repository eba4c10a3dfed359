"""CMC, mAP and mINP as the field reports them (MARS, Zheng et al. 2016; AGW, Ye et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError, unknown_name, whole_number
from nlreid.evaluation.labelled import Labelled, Labels
from nlreid.evaluation.ranking.matches import Matches, find_matches, matches_in
from nlreid.processes import processes

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

AP = ("average_precision", "trapezoid")


@dataclass(frozen=True, eq=False)
class RankingScores:
    """The scores of one retrieval problem, as fractions of 1, averaged over the valid queries.

    Args:
        cmc: The share of queries with a right answer among their first 1, 2, ... answers, float64 `(max_rank,)`.
        mAP: Mean average precision.
        mINP: Mean inverse negative penalty: the number of right answers over the rank of the last one (Ye et al. 2021).
        average_precision: Of each query, float64 `(q,)`; NaN where it is not valid.
        inverse_negative_penalty: Of each query, the same.
        first_hit: The rank of the first right answer of each query, int64 `(q,)`; 0 where it is not valid.
        valid: How many queries have a right answer in the gallery.
        invalid: How many have none; they are in no average.
        ap: The kind of average precision.
        matches: Where every right answer stands.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815 - what the field calls it
    mINP: float  # noqa: N815
    average_precision: NDArray[np.float64]
    inverse_negative_penalty: NDArray[np.float64]
    first_hit: NDArray[np.int64]
    valid: int
    invalid: int
    ap: str
    matches: Matches = field(repr=False)

    def rank(self, k: int) -> float:
        """The CMC at rank k, `cmc[k - 1]`.

        Raises:
            InputError: If k is not from 1 to the `max_rank` that was asked for.
        """
        if not 1 <= whole_number("k", k) <= len(self.cmc):
            raise InputError(f"k is from 1 to max_rank, {len(self.cmc)}; got {k}")
        return float(self.cmc[k - 1])

    def as_dict(self) -> dict[str, float | int | str]:
        """The figures that papers report, for JSON and tables."""
        ranks = {f"rank-{k}": self.rank(k) for k in (1, 5, 10, 20) if k <= len(self.cmc)}
        counts = {"valid queries": self.valid, "invalid queries": self.invalid}
        return {**ranks, "mAP": self.mAP, "mINP": self.mINP, **counts, "ap": self.ap}

    def __str__(self) -> str:
        """One line a figure, in per cent."""
        shares = [f"{name:8} {100 * value:6.2f} %" for name, value in self.as_dict().items() if isinstance(value, float)]
        left_out = f", {self.invalid} without a right answer left out" if self.invalid else ""
        return "\n".join([*shares, f"{self.valid} queries{left_out}"])


def evaluate(
    query: Labelled,
    gallery: Labelled,
    *,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    ap: Literal["average_precision", "trapezoid"] = "average_precision",
    max_rank: int = 50,
    share: bool | ProcessGroup = False,
) -> RankingScores:
    """Rank the gallery for each query, and score the rankings.

    For each query, entries with pid -1 (junk) and those of the same pid and camera are not in the ranking at all. The
    others of the same pid are the right answers; everything else is wrong, also what another camera does not know, such as
    the distractors of MARS (pid 0). Of equally distant entries the first of the gallery comes first. Queries without a right
    answer are left out of all averages, and counted.

    Results are exact: distances are those of float64 from the features as they are, not normalised, whatever the
    device. Neither a matrix of all distances nor a sort of it is held: memory beyond the inputs does not grow with the
    gallery, only with the number of right answers. Features of the gallery may be mapped from a file, or lie in many
    (`Embeddings.load` of a folder).

    >>> from types import SimpleNamespace as Set
    >>> query = Set(features=np.array([[0.0]]), pids=[7], camids=[1])
    >>> gallery = Set(features=np.array([[0.0], [0.1], [0.2], [0.3]]), pids=[7, 9, 7, 7], camids=[1, 2, 2, 2])
    >>> scores = evaluate(query, gallery)  # ranked: 9 (wrong), 7, 7; the first row is of the query's own camera
    >>> scores.rank(1), scores.rank(2), round(scores.mAP, 4)  # (1/2 + 2/3) / 2
    (0.0, 1.0, 0.5833)

    Args:
        query: `nlreid.Embeddings`, or anything with `features` `(q, d)`, `pids` and `camids` `(q,)`.
        gallery: The same of what is searched in, `(g, d)`; queries may be among it.
        metric: `"euclidean"` distance, or `"cosine"`, 1 - cos.
        ap: `"average_precision"`: the mean of the precisions at the right answers, as most code computes it. `"trapezoid"`:
            the mean of precision before and at each, as the official evaluation of MARS (and Market-1501) computes it; lower.
        max_rank: How far the CMC goes.
        share: Whether the processes of `torch.distributed`, or those of a process group, share the work: each calls this with
            the same, all of it, goes through a stretch of the gallery, and gets the same scores, exactly those of one
            process. Where `torch.distributed` is not in use, this process does it alone.

    Raises:
        InputError: If features or labels do not fit, a feature is not finite, no query has a right answer, or the processes
            do not have the same.
        UnknownNameError: If there is no such metric or `ap`.
        ProcessesError: If another process failed or is gone.
    """
    max_rank = _check(ap, max_rank)
    return _scores(find_matches(query, gallery, metric, processes(share)), ap, max_rank)


def evaluate_distances(
    distances: Tensor | NDArray[np.floating[Any]],
    query: Labels,
    gallery: Labels,
    *,
    ap: Literal["average_precision", "trapezoid"] = "average_precision",
    max_rank: int = 50,
) -> RankingScores:
    """The same scores from distances that are given, such as those of `nlreid.rerank`.

    Args:
        distances: Between each query and each gallery entry, `(q, g)`, not NaN.
        query: Anything with `pids` and `camids`, `(q,)`.
        gallery: The same, `(g,)`.
        ap: As for `evaluate`.
        max_rank: How far the CMC goes.

    Raises:
        InputError: If shapes or labels do not fit, a distance is NaN, or no query has a right answer.
        UnknownNameError: If there is no such `ap`.
    """
    max_rank = _check(ap, max_rank)
    matrix = _matrix(distances)
    if matrix is None or matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or np.isnan(matrix).any():
        kind = type(distances).__qualname__ if matrix is None else f"{matrix.dtype} {matrix.shape}"
        raise InputError(f"distances are numbers (q, g), none of them NaN; got {kind}")
    return _scores(matches_in(matrix, query, gallery), ap, max_rank)


def _matrix(distances: Any) -> NDArray[Any] | None:
    if isinstance(distances, Tensor):
        plain = distances.layout == torch.strided and distances.device.type != "meta"
        return (distances.double() if distances.is_floating_point() else distances).detach().cpu().numpy() if plain else None
    return distances if isinstance(distances, np.ndarray) and not isinstance(distances, np.ma.MaskedArray) else None


def _check(ap: str, max_rank: int) -> int:
    if ap not in AP:
        raise unknown_name("ap", ap, AP)
    return whole_number("max_rank", max_rank)


def _scores(matches: Matches, ap: str, max_rank: int) -> RankingScores:
    right = matches.camids != matches.query_camids[matches.queries]
    order, ranks = ranked(matches, right)
    precision, penalty, first = per_query(matches.queries[right], order, ranks, len(matches.query_camids), ap)
    valid = first > 0
    if not valid.any():
        raise InputError(
            f"none of the {len(valid)} queries has a right answer in the gallery: the same pid under another camid; "
            "are pids and camids those of the same data set, and in the right order?"
        )
    return RankingScores(
        cmc=np.bincount(np.minimum(first[valid], max_rank + 1), minlength=max_rank + 2)[1:-1].cumsum() / valid.sum(),
        mAP=float(precision[valid].mean()),
        mINP=float(penalty[valid].mean()),
        average_precision=precision,
        inverse_negative_penalty=penalty,
        first_hit=first,
        valid=int(valid.sum()),
        invalid=int((~valid).sum()),
        ap=ap,
        matches=matches,
    )


def ranked(matches: Matches, right: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of right answers, when entries of the same identity that are not right are not in the ranking.

    Args:
        matches: All entries of the queries' identities.
        right: Which of them are right answers, bool `(n,)`.

    Returns:
        The how-manieth right answer of its query each is, from 1, and its rank, from 1; int64 `(right.sum(),)` each.
    """
    passed = np.concatenate([[0], np.cumsum(right)])
    order = passed[1:][right] - passed[matches.starts[matches.queries[right]]]
    return order, matches.negatives[right] + order


def per_query(
    owners: NDArray[np.int64], order: NDArray[np.int64], ranks: NDArray[np.int64], queries: int, ap: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The average precision, the inverse negative penalty and the first hit of each query.

    Args:
        owners: The query of each right answer, rising, `(n,)`.
        order: The how-manieth right answer it is, from 1, `(n,)`.
        ranks: Its rank, from 1, `(n,)`.
        queries: How many queries there are.
        ap: `"average_precision"` or `"trapezoid"`.

    Returns:
        float64 `(queries,)` twice, NaN where there is no right answer; int64 `(queries,)`, 0 there.
    """
    hits = order / ranks
    if ap == "trapezoid":  # the precision before the first place is 1 by definition
        before = np.where(ranks > 1, (order - 1) / np.maximum(ranks - 1, 1), 1.0)
        hits = (before + hits) / 2
    count = np.bincount(owners, minlength=queries)
    with np.errstate(invalid="ignore"):
        precision = np.bincount(owners, weights=hits, minlength=queries) / count
    last, first = np.full(queries, np.nan), np.zeros(queries, dtype=np.int64)
    last[owners] = ranks  # the last of those written to one place stays
    first[owners[::-1]] = ranks[::-1]
    return precision, count / last, first
