"""Intervals, camera by camera, and over splits: each against what a reader would do by hand."""

import numpy as np
import pytest
import torch
from evaluation.conftest import problems
from evaluation.naive_ranking import average_precision, rankings, side
from hypothesis import assume, given, settings

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.evaluation.ranking import statistics
from nlreid.evaluation.ranking.scores import evaluate_distances
from nlreid.evaluation.ranking.statistics import camera_matrix, confidence_interval, over_splits


def drawn(queries=60, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(10, 6))

    def some(count, camids):
        pids = generator.integers(0, 10, count)
        return side(centres[pids] + 0.8 * generator.normal(size=(count, 6)), pids, generator.choice(camids, count))

    return some(queries, [1, 2]), some(100, [1, 2, 3])


# --- intervals


def test_the_interval_is_that_of_draws_with_replacement():
    scores = nlreid.evaluate(*drawn())
    values = scores.average_precision[~np.isnan(scores.average_precision)]
    generator = np.random.default_rng(7)
    means = [generator.choice(values, len(values)).mean() for _ in range(4000)]
    interval = confidence_interval(scores, resamples=4000)
    assert interval.low < scores.mAP < interval.high
    assert tuple(interval) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_the_interval_narrows_with_queries_and_widens_with_the_level():
    few, many = (nlreid.evaluate(*drawn(queries)) for queries in (30, 400))
    width = [
        np.ptp(confidence_interval(scores, "rank-1", level=level)) for scores, level in ((many, 0.9), (many, 0.99), (few, 0.99))
    ]
    assert width == sorted(width)
    assert width[0] < width[1] < width[2]


def test_the_same_seed_gives_the_same_interval_whatever_else_is_drawn():
    scores = nlreid.evaluate(*drawn())
    first = confidence_interval(scores, "mINP")
    np.random.default_rng().random()
    assert confidence_interval(scores, "mINP") == first != confidence_interval(scores, "mINP", seed=1)


@pytest.mark.parametrize(("score", "value"), [("rank-1", 0), ("rank-2", 1), ("rank-999999999", 1), ("mAP", 0.5), ("mINP", 0.5)])
def test_where_all_queries_are_alike_the_interval_is_their_score(score, value):
    """The one right answer stands at rank 2 for the two valid queries; the third has none."""
    query = side(np.zeros((3, 1)), [1, 1, 3], [1, 1, 1])
    scores = nlreid.evaluate(query, side(np.array([[1.0], [2.0]]), [2, 1], [1, 2]))
    assert tuple(confidence_interval(scores, score, resamples=50)) == (value, value)


def test_draws_are_the_same_however_many_are_made_at_a_time(monkeypatch):
    scores = nlreid.evaluate(*drawn())
    whole = confidence_interval(scores, resamples=50)
    for draws in (1, 7 * scores.valid):  # 50 is no multiple of 7
        monkeypatch.setattr(statistics, "_DRAWS", draws)
        assert confidence_interval(scores, resamples=50) == whole


@pytest.mark.parametrize(
    ("arguments", "error", "answer"),
    [
        ({"score": "MAP"}, UnknownNameError, "unknown score 'MAP'; did you mean 'mAP'"),
        ({"score": "rank-0"}, UnknownNameError, "unknown score"),
        ({"score": None}, UnknownNameError, "unknown score"),
        ({"score": "hit-1"}, UnknownNameError, "unknown score"),
        ({"score": "rank"}, UnknownNameError, "unknown score"),
        ({"score": "rank-1x"}, UnknownNameError, "unknown score"),
        ({"score": "rank-1000000000"}, UnknownNameError, "unknown score"),
        ({"level": 0.0}, InputError, "level is between 0 and 1"),
        ({"level": 1.0}, InputError, "level is between 0 and 1"),
        ({"resamples": 0}, InputError, "resamples"),
        ({"seed": -1}, InputError, "seed"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, answer):
    with pytest.raises(error, match=answer):
        confidence_interval(nlreid.evaluate(*drawn()), **arguments)


# --- cameras


@settings(deadline=None)
@given(problem=problems())
def test_each_pair_of_cameras_is_a_problem_of_its_own(problem):
    query, gallery = problem
    assume(any(any(right) for right in rankings(query, gallery)))
    matrix = camera_matrix(nlreid.evaluate(query, gallery))
    for i, first in enumerate(matrix.cameras):
        for j, second in enumerate(matrix.cameras):
            found = [
                right for q in range(len(query.pids)) if (right := by_hand(query, gallery, q, first, second)) and any(right)
            ]
            assert matrix.queries[i, j] == len(found)
            if found:
                precision = [average_precision(right, "average_precision") for right in found]
                assert matrix.rank1[i, j] == pytest.approx(np.mean([right[0] for right in found]))
                assert matrix.mAP[i, j] == pytest.approx(np.mean(precision))
            else:
                assert np.isnan(matrix.rank1[i, j])
                assert np.isnan(matrix.mAP[i, j])


def by_hand(query, gallery, q, first, second):
    """The ranking of one query in camera `first`, whose right answers are those in camera `second`."""
    if query.camids[q] != first:
        return []
    same = gallery.pids == query.pids[q]
    itself = same & (gallery.camids == first) & (gallery.features == query.features[q]).all(axis=1)
    itself &= itself.cumsum() == 1  # one of them
    kept = (gallery.pids != -1) & (~same | ((gallery.camids == second) & ~itself))
    alone = side(query.features[[q]], query.pids[[q]], np.array([-9]))  # in no camera, so that no answer is left out
    return next(iter(rankings(alone, side(gallery.features[kept], gallery.pids[kept], gallery.camids[kept]))))


def test_the_query_itself_is_known_by_its_name():
    rows, names = torch.eye(3), [nlreid.embedding.TrackInfo(name, 1) for name in "abc"]
    query = nlreid.Embeddings(rows[:1], [1], [1], names[:1])
    gallery = nlreid.Embeddings(rows.half() * 0.999, [1, 1, 1], [1, 1, 2], names)  # another run, in other numbers
    for scores in (nlreid.evaluate(query, gallery), evaluate_distances(torch.tensor([[0.0, 2.0, 1.0]]), query, gallery)):
        assert camera_matrix(scores).queries.tolist() == [[1, 1], [0, 0]]
        assert scores.matches.itself.tolist() == [True, False, False]


def test_another_tracklet_of_the_same_name_is_not_the_query():
    names = [nlreid.embedding.TrackInfo(name, 1) for name in "ab"]
    query = nlreid.Embeddings(torch.tensor([[1.0, 0.0]]), [1], [1], names[:1])
    gallery = nlreid.Embeddings(torch.tensor([[0.9, 0.1], [0.0, 1.0]]), [1, 1], [1, 2], names)
    assert camera_matrix(nlreid.evaluate(query, gallery)).queries.tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("tracks", [None, 5, ["a", "b"], ()])
def test_tracks_of_other_kinds_are_no_names(tracks):
    query, gallery = drawn()
    query.tracks = gallery.tracks = tracks
    assert not nlreid.evaluate(query, gallery).matches.itself.any()


def test_where_nothing_tells_the_query_itself_the_diagonal_is_empty():
    query, gallery = drawn()
    given_ = evaluate_distances(torch.cdist(*(torch.from_numpy(part.features) for part in (query, gallery))), query, gallery)
    matrix, known = camera_matrix(given_), camera_matrix(nlreid.evaluate(query, gallery))
    assert np.isnan(matrix.mAP.diagonal()).all()
    off = ~np.eye(len(matrix.cameras), dtype=bool)
    assert matrix.queries[off].tolist() == known.queries[off].tolist()


# --- splits


def test_mean_and_deviation_over_splits():
    scores = [nlreid.evaluate(*drawn(seed=seed)) for seed in range(3)]
    table = over_splits(scores)
    assert list(table) == ["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"]
    assert table["mAP"].mean == pytest.approx(sum(one.mAP for one in scores) / 3)
    squares = sum((one.mAP - table["mAP"].mean) ** 2 for one in scores)
    assert table["mAP"].std == pytest.approx((squares / 2) ** 0.5)
    assert np.isnan(over_splits(scores[:1])["mAP"].std)


def test_splits_are_of_one_kind():
    with pytest.raises(InputError, match="at least one"):
        over_splits([])
    for wrong in (nlreid.evaluate(*drawn()), [1]):
        with pytest.raises(InputError, match="a list of what nlreid"):
            over_splits(wrong)
    for arguments in ({"max_rank": 5}, {"ap": "trapezoid"}):
        with pytest.raises(InputError, match="one max_rank and one kind of ap"):
            over_splits([nlreid.evaluate(*drawn()), nlreid.evaluate(*drawn(), **arguments)])
