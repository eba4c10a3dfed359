"""`nearest` is a stable argsort of cosine similarities, and refuses what has none."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.evaluation.search import nearest


def sorted_by_hand(query, gallery, top):
    """The gallery rows of each query row: by falling cosine similarity, equal ones in their own order."""
    rankings = []
    for row in query.double():
        cosines = [float(row @ other / max(row.norm() * other.norm(), 1e-300)) for other in gallery.double()]
        falling = sorted((-cosine, index) for index, cosine in enumerate(cosines))
        rankings.append([index for _, index in falling[:top]])
    return rankings


# Rows of four entries 1 or -1 have length 2: their cosines are exact, and many of them are equal.
signs = st.lists(st.sampled_from([1.0, -1.0]), min_size=4, max_size=4)


@settings(deadline=None)
@given(query=st.lists(signs, min_size=1, max_size=4), gallery=st.lists(signs, min_size=1, max_size=20), top=st.integers(1, 25))
def test_ranks_like_a_stable_sort_with_ties(query, gallery, top):
    query, gallery = torch.tensor(query), torch.tensor(gallery)
    similarity, index = nearest(query, gallery, top)
    assert index.tolist() == sorted_by_hand(query, gallery, top)
    assert index.shape == similarity.shape == (len(query), min(top, len(gallery)))
    for row, ranked, values in zip(query, index, similarity, strict=True):
        assert values.tolist() == (gallery[ranked] @ row / 4).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-30, 1.0, 1e30]))
def test_lengths_do_not_matter(dtype, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    query, gallery = (torch.randn(n, 8, generator=generator, dtype=dtype) for n in (3, 9))
    lengths = torch.rand(9, 1, generator=generator, dtype=dtype) + 0.5
    plain, scaled = nearest(query, gallery, 9), nearest(query * scale, gallery * lengths, 9)
    torch.testing.assert_close(scaled[0], plain[0])
    assert scaled[0].dtype == dtype
    assert scaled[1][:, 0].tolist() == plain[1][:, 0].tolist() == [ranked[0] for ranked in sorted_by_hand(query, gallery, 1)]


def test_half_precision_is_ranked_in_single():
    query, gallery = torch.randn(2, 16).half(), torch.randn(5, 16).half()
    similarity, index = nearest(query, gallery)
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity, nearest(query.float(), gallery.float())[0])
    assert index.tolist() == sorted_by_hand(query, gallery, 5)


def test_a_row_of_zeros_is_like_none():
    similarity, index = nearest(torch.zeros(1, 3), torch.eye(3))
    assert similarity.tolist() == [[0, 0, 0]]
    assert index.tolist() == [[0, 1, 2]]


def test_an_empty_gallery_has_no_neighbours():
    similarity, index = nearest(torch.ones(2, 3), torch.ones(0, 3))
    assert similarity.shape == index.shape == (2, 0)


@pytest.mark.parametrize(
    ("query", "gallery", "top", "answer"),
    [
        (torch.ones(3), torch.ones(2, 3), 1, r"got \(3,\) and \(2, 3\)"),
        (torch.ones(1, 3), torch.ones(2, 4), 1, "have one d"),
        (torch.ones(1, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64), 1, "floating point"),
        (torch.ones(1, 3), torch.ones(2, 3).double(), 1, "of one type"),
        (torch.ones(1, 3), torch.tensor([[1, 2, float("nan")]]), 1, "finite"),
        (torch.tensor([[1, 2, float("inf")]]), torch.ones(2, 3), 1, "finite"),
        (torch.ones(1, 3), torch.ones(2, 3), 0, "at least 1; got 0"),
    ],
)
def test_what_does_not_fit_is_refused(query, gallery, top, answer):
    with pytest.raises(InputError, match=answer):
        nearest(query, gallery, top)
