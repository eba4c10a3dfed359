"""Principal components: those of a plain singular value decomposition, with a sign that is always the same."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlreid
from nlreid.errors import InputError
from nlreid.visualize import project


def embeddings(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=generator) * torch.rand(d, generator=generator).double().sort()[0]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 99))
def test_they_are_those_of_a_singular_value_decomposition(n, d, seed):
    features = embeddings(n, d, seed)
    found = project(SimpleNamespace(features=features))
    u, s, _ = np.linalg.svd((features - features.mean(0)).numpy(), full_matrices=False)
    wanted = np.zeros((n, 2))
    wanted[:, : min(2, len(s))] = (u * s)[:, :2]
    for axis in range(2):
        own, other = found.points[:, axis].numpy(), wanted[:, axis]
        assert np.allclose(own, other, atol=1e-6) or np.allclose(own, -other, atol=1e-6)
        assert own[np.abs(own).argmax()] >= 0
    total = (s**2).sum()
    assert np.allclose(found.explained, [*(s**2 / total)[:2], 0.0][:2], atol=1e-9)


def test_distances_are_never_larger_than_in_truth():
    features = embeddings(20, 7)
    flat = project(SimpleNamespace(features=features)).points
    assert (torch.cdist(flat, flat) <= torch.cdist(features, features) + 1e-9).all()


def test_labels_come_along_and_any_float_is_taken():
    people = nlreid.Embeddings(embeddings(5, 3).float(), [7, 7, -1, 9, 9], [1, 2, 1, 2, 1])
    found = project(people)
    assert found.points.dtype == torch.float64
    assert found.pids.tolist() == [7, 7, -1, 9, 9]
    assert found.camids.tolist() == [1, 2, 1, 2, 1]
    assert project(nlreid.Embeddings(people.features)).pids is None
    half = project(SimpleNamespace(features=people.features.half()))
    assert torch.allclose(half.points.abs(), found.points.abs(), atol=1e-2)
    assert torch.equal(project(SimpleNamespace(features=people.features.numpy())).points, found.points)


def test_rows_that_are_all_equal_lie_on_one_point():
    found = project(SimpleNamespace(features=torch.ones(3, 4)))
    assert found.points.abs().max() == 0
    assert found.explained == (0.0, 0.0)


@pytest.mark.parametrize(
    ("people", "answer"),
    [
        (torch.zeros(2, 2), "got Tensor"),
        (SimpleNamespace(features=torch.zeros(1, 4)), r"n from 2; got torch\.float32 \(1, 4\)"),
        (SimpleNamespace(features=torch.zeros(4)), r"\(4,\)"),
        (SimpleNamespace(features=torch.zeros(4, 0)), r"\(4, 0\)"),
        (SimpleNamespace(features=torch.zeros(4, 2, dtype=torch.int64)), r"got torch\.int64"),
        (SimpleNamespace(features=[[1.0, 2.0]]), r"got \[\[1\.0, 2\.0\]\]"),
        (SimpleNamespace(features=torch.full((2, 2), float("nan"))), "are finite; some of these are not"),
        (SimpleNamespace(features=torch.zeros(2, 2), pids=[1]), "pids has an entry for each of 2 rows; got 1"),
        (SimpleNamespace(features=torch.zeros(2, 2), camids=[0.5, 1]), "camids are whole numbers"),
    ],
)
def test_what_cannot_be_projected_is_refused(people, answer):
    with pytest.raises(InputError, match=answer):
        project(people)
