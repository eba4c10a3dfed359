"""`rerank` is k-reciprocal re-ranking as its authors wrote it, whatever the block, the ties and the size of the sets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.naive_rerank import naive_rerank, squared_distances
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.evaluation.reranking import jaccard, sparse, ties
from nlreid.evaluation.reranking.k_reciprocal import rerank
from nlreid.evaluation.reranking.neighbours import find_neighbours

GOLDEN = Path(__file__).parents[1] / "golden" / "ranking.npz"


def plain(query, gallery, k1=20, k2=6, lambda_value=0.3):
    """The published algorithm on the same features."""
    rows = np.concatenate([np.asarray(query, dtype=np.float64), np.asarray(gallery, dtype=np.float64)])
    return torch.from_numpy(naive_rerank(squared_distances(rows), len(query), k1, k2, lambda_value)).float()


def people(count, rows, width, seed):
    """Rows of a few people, as they come from a network: around a centre for each of them."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(count, width, generator=generator)
    return centres[torch.arange(rows) % count] + torch.randn(rows, width, generator=generator) / 2


@st.composite
def sets(draw):
    """Query and gallery of few and small whole numbers: distances are exact, many are equal, and rows occur twice."""
    width = draw(st.integers(1, 3))
    row = st.lists(st.integers(-2, 2), min_size=width, max_size=width)
    query, gallery = draw(st.lists(row, min_size=1, max_size=5)), draw(st.lists(row, min_size=1, max_size=20))
    return torch.tensor(query, dtype=torch.float32), torch.tensor(gallery, dtype=torch.float32)


parameters = {"k1": st.integers(1, 30), "k2": st.integers(1, 9), "lambda_value": st.sampled_from([0.0, 0.3, 1.0])}


def test_golden_distances():
    golden = np.load(GOLDEN)
    reranked = rerank(golden["query"], golden["gallery"])
    assert reranked.dtype == torch.float32
    torch.testing.assert_close(reranked, torch.from_numpy(golden["reranked"]), rtol=0, atol=1e-5)
    plain_distances = plain(golden["query"], golden["gallery"])
    torch.testing.assert_close(plain_distances, torch.from_numpy(golden["reranked"]), rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=120)
@given(sets=sets(), **parameters)
def test_agrees_with_the_plain_one_where_rows_tie(sets, k1, k2, lambda_value):
    query, gallery = sets
    reranked = rerank(query, gallery, k1=k1, k2=k2, lambda_value=lambda_value)
    torch.testing.assert_close(reranked, plain(query, gallery, k1, k2, lambda_value), rtol=0, atol=1e-6)
    assert reranked.shape == (len(query), len(gallery))
    assert reranked.min() >= 0
    assert reranked.max() <= 1


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12), rows=st.integers(2, 90), **parameters)
def test_agrees_with_the_plain_one_on_people(seed, count, rows, k1, k2, lambda_value):
    features = people(count, rows, 8, seed)
    query, gallery = features[: max(1, rows // 4)], features[max(1, rows // 4) :]
    reranked = rerank(query, gallery, k1=k1, k2=k2, lambda_value=lambda_value)
    torch.testing.assert_close(reranked, plain(query, gallery, k1, k2, lambda_value), rtol=0, atol=1e-6)


@pytest.mark.parametrize("k1", [1, 3, 5, 7, 9, 13])
def test_half_of_an_odd_k1_is_rounded_to_the_even_number(k1):
    features = people(6, 60, 4, seed=9)
    reranked = rerank(features[:15], features[15:], k1=k1)
    torch.testing.assert_close(reranked, plain(features[:15], features[15:], k1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("block", [1, 2, 7, 64])
@pytest.mark.parametrize("copies", [1, 3, 30])
def test_blocks_do_not_matter(monkeypatch, block, copies):
    # Thirds are no binary fractions: products of equal rows may differ by rounding.
    features = (people(9, 40, 5, seed=1) * 3).round() / 3
    features = features.repeat_interleave(copies, dim=0)[:60]
    whole = find_neighbours(features, 10, 21)
    for module, name in ((sparse, "BLOCK"), (sparse, "ENTRIES"), (ties, "PAIRS"), (ties, "ROWS")):
        monkeypatch.setattr(module, name, block)
    parted = find_neighbours(features, 10, 21, block)
    assert torch.equal(parted.nearest, whole.nearest)
    torch.testing.assert_close(parted.original, whole.original)
    torch.testing.assert_close(rerank(features[:10], features[10:]), plain(features[:10], features[10:]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dense", [1, 10**12])  # always by the inverted index, or always with the zeros
@pytest.mark.parametrize("k2", [1, 6])
def test_both_ways_to_the_jaccard_distance(monkeypatch, dense, k2):
    monkeypatch.setattr(jaccard, "DENSE", dense)
    monkeypatch.setattr(sparse, "BLOCK", 16)
    features = torch.cat([people(6, 60, 5, seed=7), torch.ones(30, 5)])
    reranked = rerank(features[:25], features[25:], k1=8, k2=k2)
    torch.testing.assert_close(reranked, plain(features[:25], features[25:], 8, k2), rtol=0, atol=1e-6)


def test_parameters_that_take_everything():
    features = people(3, 120, 4, seed=8)
    reranked = rerank(features[:20], features[20:], k1=1000, k2=1000)
    torch.testing.assert_close(reranked, plain(features[:20], features[20:], 1000, 1000), rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7])
def test_neighbours_are_those_of_exact_differences(offset):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(80, 16, generator=generator, dtype=torch.float64) + offset
    found = find_neighbours(rows, 5, 12)
    exact = torch.stack([(rows - row).square().sum(1) for row in rows])
    assert torch.equal(found.nearest, exact.sort(dim=1, stable=True).indices[:, :12])
    assert (found.squared[:, 0] == 0).all()
    torch.testing.assert_close(found.farthest, exact.amax(1), rtol=1e-6, atol=0)


def test_rows_that_hardly_differ_are_told_apart():
    # Their squared distances are some 2^-60 of their squared lengths: |a|^2 + |b|^2 - 2ab has no digit left for them.
    far = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    steps = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0], dtype=torch.float64)[:, None] * torch.tensor(
        [[2**-30, 0]], dtype=torch.float64
    )
    found = find_neighbours(torch.cat([far, 1 + steps]), 1, 4)
    assert found.nearest[2:].tolist() == [[2, 4, 6, 5], [3, 1, 5, 6], [4, 2, 6, 5], [5, 3, 6, 1], [6, 4, 5, 2]]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_rows_that_all_coincide_are_at_no_distance(value):
    reranked = rerank(torch.full((2, 3), value), torch.full((3, 3), value), k1=20, k2=1)
    assert reranked.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_many_copies_of_one_row():
    query, gallery = torch.ones(2, 4) / 3, torch.cat([torch.ones(60, 4) / 3, people(3, 20, 4, seed=2)])
    torch.testing.assert_close(rerank(query, gallery), plain(query, gallery), rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([2.0**-100, 0.5, 2.0**60]))
def test_scale_and_the_order_of_the_gallery_do_not_matter(seed, scale):
    features = people(5, 40, 6, seed)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    reranked = rerank(features[:10], features[10:])
    torch.testing.assert_close(rerank(features[:10] * scale, features[10:] * scale), reranked)
    torch.testing.assert_close(rerank(features[:10], features[10:][order]), reranked[:, order])


def test_lambda_one_is_the_original_distance():
    features = people(5, 40, 6, seed=3)
    squared = torch.cdist(features[:10], features).square()
    expected = squared[:, 10:] / squared.amax(1, keepdim=True)
    torch.testing.assert_close(rerank(features[:10], features[10:], lambda_value=1), expected)


def test_what_neighbours_have_in_common_brings_the_person_up():
    """A person walks away from the query, step by step; a stranger stands nearer than the last step."""
    query, gallery = (
        torch.tensor([[0.0, 0.0]]),
        torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 2.9], [0.0, 3.5], [0.1, 3.2]]),
    )
    before, after = torch.cdist(query, gallery)[0], rerank(query, gallery, k1=3, k2=2)[0]
    assert before[3] < before[2]
    assert after[3] > after[2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types(dtype):
    features = people(4, 30, 6, seed=4).to(dtype)
    reranked = rerank(features[:8], features[8:])
    assert reranked.dtype == torch.float32
    torch.testing.assert_close(reranked, plain(features[:8].double(), features[8:].double()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_numpy_arrays_are_taken_as_they_are(dtype):
    features = people(4, 30, 6, seed=5).numpy().astype(dtype)
    features.flags.writeable = False
    expected = plain(features[:8].astype("<f8"), features[29:7:-1].astype("<f8"))
    torch.testing.assert_close(rerank(features[:8], features[29:7:-1]), expected, rtol=0, atol=1e-6)


def test_inputs_stay_what_they_are_and_get_no_graph():
    query, gallery = (part.clone().requires_grad_() for part in people(3, 20, 4, seed=6).split([5, 15]))
    before, state = (query.detach().clone(), gallery.detach().clone()), torch.get_rng_state()
    assert not rerank(query, gallery).requires_grad
    assert torch.equal(query, before[0])
    assert torch.equal(gallery, before[1])
    assert torch.equal(torch.get_rng_state(), state)


ROWS = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("query", "gallery", "answer"),
    [
        (torch.ones(3), ROWS, r"query_features is \(rows, channels\), neither of them 0; got \(3,\)"),
        (ROWS, torch.ones(0, 3), r"gallery_features is \(rows, channels\).*\(0, 3\)"),
        (torch.ones(2, 0), torch.ones(2, 0), "neither of them 0"),
        (ROWS, torch.ones(2, 4), "of one width"),
        (ROWS, ROWS.double(), "of one width, type"),
        (ROWS.long(), ROWS, "query_features is a floating tensor or array; got torch.int64"),
        (np.ones((2, 3), dtype=np.int32), ROWS, "got int32"),
        ([[1.0, 2.0, 3.0]], ROWS, "got list"),
        (ROWS, torch.tensor([[1, 2, float("nan")]]), "gallery_features is finite"),
        (torch.tensor([[1, 2, float("inf")]]), ROWS, "query_features is finite"),
        (ROWS.double() * 1e200, -ROWS.double() * 1e200, "divide them by a number"),
    ],
)
def test_features_that_do_not_fit_are_refused(query, gallery, answer):
    with pytest.raises(InputError, match=answer):
        rerank(query, gallery)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"k1": 0}, "k1 is a whole number from 1; got 0"),
        ({"k1": 2.5}, "k1 is a whole number"),
        ({"k2": 0}, "k2 is a whole number from 1"),
        ({"lambda_value": -0.1}, "lambda_value is a number from 0 to 1; got -0.1"),
        ({"lambda_value": 1.1}, "from 0 to 1"),
        ({"lambda_value": float("nan")}, "from 0 to 1"),
        ({"lambda_value": "0.3"}, "from 0 to 1"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, answer):
    with pytest.raises(InputError, match=answer):
        rerank(ROWS, ROWS, **options)
