"""`nearest` is a stable sort of the exact distances, whatever the block, and refuses what has none."""

import math

import numpy as np
import pytest
import torch
from evaluation.naive_ranking import distance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.evaluation.search.neighbours import nearest

METRICS = ["cosine", "euclidean"]


def sorted_by_hand(query, gallery, top, metric):
    """The gallery rows of each query row: by rising distance, equal ones in their own order."""
    ranked = [sorted((distance(q, g, metric), row) for row, g in enumerate(gallery)) for q in query]
    return [[row for _, row in answers[:top]] for answers in ranked]


# Rows of four entries 1 or -1 have length 2: their distances are exact, and many of them are equal.
signs = st.lists(st.sampled_from([1.0, -1.0]), min_size=4, max_size=4)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.lists(signs, min_size=1, max_size=4), gallery=st.lists(signs, min_size=1, max_size=20), top=st.integers(1, 25))
def test_ranks_like_a_stable_sort_with_ties(metric, query, gallery, top):
    query, gallery = torch.tensor(query), torch.tensor(gallery)
    distances, rows = nearest(query, gallery, top, metric=metric)
    assert rows.tolist() == sorted_by_hand(query, gallery, top, metric)
    assert rows.shape == distances.shape == (len(query), min(top, len(gallery)))
    for row, ranked, values in zip(query, rows, distances, strict=True):
        assert values.tolist() == [distance(row, gallery[place], metric) for place in ranked]


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("top", [1, 7, 400])
def test_ranks_real_numbers_and_copies_of_them(metric, top):
    gallery = torch.randn(100, 300).repeat(4, 1)
    query = gallery[:5] + torch.randn(5, 300) * torch.tensor([0, 0.01, 0.1, 1, 10])[:, None]
    distances, rows = nearest(query, gallery, top, metric=metric)
    expected = sorted_by_hand(query, gallery, top, metric)
    assert [row[:4] for row in rows.tolist()] == [row[:4] for row in expected]  # the copies, in their own order
    assert [[place % 100 for place in row] for row in rows.tolist()] == [[place % 100 for place in row] for row in expected]
    assert (distances.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_lengths_do_not_matter_to_cosine(scale):
    query, gallery, lengths = torch.randn(3, 8), torch.randn(9, 8), torch.rand(9, 1) + 0.5
    plain, scaled = nearest(query, gallery, 9), nearest(query * scale, gallery * lengths, 9)
    torch.testing.assert_close(scaled.distances, plain.distances, atol=1e-6, rtol=1e-5)
    assert scaled.rows.tolist() == plain.rows.tolist()


def test_equal_rows_are_at_distance_0_and_opposite_ones_at_2():
    rows = torch.randn(200, 50)
    assert nearest(rows, rows, 1, threshold=0.0).rows[:, 0].tolist() == list(range(200))
    assert nearest(rows, -rows, 200).distances.max() == 2


def test_a_few_long_rows_do_not_spoil_the_others():
    query, gallery = torch.randn(5, 64), torch.randn(3000, 64)
    gallery[::1000] *= 1e5
    assert nearest(query, gallery, 7, metric="euclidean").rows.tolist() == sorted_by_hand(query, gallery, 7, "euclidean")


def test_half_precision_is_ranked_as_the_numbers_that_it_is():
    query, gallery = torch.randn(2, 16).half(), torch.randn(5, 16).half()
    assert torch.equal(nearest(query, gallery).distances, nearest(query.double(), gallery.double()).distances)


def test_a_row_of_zeros_is_like_none():
    distances, rows = nearest(torch.zeros(1, 3), torch.eye(3))
    assert distances.tolist() == [[1, 1, 1]]
    assert rows.tolist() == [[0, 1, 2]]


def test_beyond_the_threshold_nobody_is_found():
    query, gallery = torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [3.0]])
    found = nearest(query, gallery, 2, metric="euclidean", threshold=1)
    assert found.distances.tolist() == [[1, math.inf], [math.inf, math.inf]]
    assert found.rows.tolist() == [[0, -1], [-1, -1]]


def test_empty_sides_have_no_neighbours():
    for query, gallery, shape in ((torch.ones(2, 3), torch.ones(0, 3), (2, 0)), (torch.ones(0, 3), torch.ones(2, 3), (0, 2))):
        found = nearest(query, gallery)
        assert found.distances.shape == found.rows.shape == shape


def test_a_mapped_file_is_searched(tmp_path):
    gallery = torch.randn(50, 8)
    np.save(tmp_path / "gallery.npy", gallery.numpy())
    mapped = nearest(gallery[:3], np.load(tmp_path / "gallery.npy", mmap_mode="r"))
    assert torch.equal(mapped.rows, nearest(gallery[:3], gallery).rows)


@pytest.mark.parametrize(
    ("query", "gallery", "arguments", "answer"),
    [
        (torch.ones(3), torch.ones(2, 3), {}, r"of the query .* got torch.float32 \(3,\)"),
        (torch.ones(1, 3), torch.ones(2, 4), {}, "have one d"),
        (torch.ones(1, 3, dtype=torch.int64), torch.ones(2, 3), {}, "floating-point"),
        (nlreid.Embeddings(torch.ones(1, 3)), torch.ones(2, 3), {}, "got Embeddings; give its .features"),
        (torch.ones(1, 3), [[1.0, 2.0, 3.0]], {}, "of the gallery .* got list"),
        (torch.ones(1, 3), torch.tensor([[1, 2, 3], [1, 2, float("nan")]]), {}, "of the gallery are finite.* row 1"),
        (torch.tensor([[1, 2, float("inf")]]), torch.ones(2, 3), {}, "of the query are finite"),
        (torch.ones(1, 3), torch.ones(2, 3), {"top": 0}, "whole number from 1; got 0"),
        (torch.ones(1, 3), torch.ones(2, 3), {"threshold": float("nan")}, "threshold is a finite number, or what"),
    ],
)
def test_what_does_not_fit_is_refused(query, gallery, arguments, answer):
    with pytest.raises(InputError, match=answer):
        nearest(query, gallery, **arguments)


def test_an_unknown_metric_is_named():
    with pytest.raises(UnknownNameError, match="unknown metric 'cosin'; did you mean 'cosine'"):
        nearest(torch.ones(1, 3), torch.ones(2, 3), metric="cosin")
