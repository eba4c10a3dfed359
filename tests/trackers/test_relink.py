"""Tracks are joined that can be one and look like it, and never two that are there at the same time."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from nlreid.errors import InputError
from nlreid.evaluation import Threshold
from nlreid.trackers import relink

ANGLES = (0.0, 0.1, 0.23, 1.0, 3.0)


def directions(*angles):
    return torch.tensor([[np.cos(angle), np.sin(angle)] for angle in angles])


@st.composite
def broken(draw):
    """Up to seven tracks of few looks, within a short time."""
    count = draw(st.integers(1, 7))
    angles = draw(st.lists(st.sampled_from(ANGLES), min_size=count, max_size=count))
    first = draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    lengths = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    return directions(*angles), first, [start + length for start, length in zip(first, lengths, strict=True)]


def slowly(features, first, last, threshold, max_gap):
    """The same with lists of lists: of all pairs of people who may be one the nearest, again and again."""
    people = [[row] for row in range(len(first))]
    unit = torch.nn.functional.normalize(features.double())
    while True:
        best = (np.inf, None)
        for i, one in enumerate(people):
            for j in range(i + 1, len(people)):
                spans = sorted((first[row], last[row]) for row in (*one, *people[j]))
                gaps = [start - end - 1 for (_, end), (start, _) in pairwise(spans)]
                mean = float(np.mean([[1 - float(unit[a] @ unit[b]) for b in people[j]] for a in one]))
                if min(gaps) >= 0 and max(gaps) <= (99 if max_gap is None else max_gap) and mean <= threshold:
                    best = min(best, (round(mean, 12), (i, j)), key=lambda each: each[0])
        if best[1] is None:
            return sorted(sorted(tracks) for tracks in people)
        i, j = best[1]
        people[i] = people[i] + people.pop(j)


@settings(deadline=None)
@given(broken(), st.sampled_from([0.001, 0.03, 0.5]), st.sampled_from([None, 0, 3]))
def test_people_are_those_of_a_loop(tracks, threshold, max_gap):
    features, first, last = tracks
    found = relink(features, first, last, threshold=threshold, max_gap=max_gap)
    heads = found.heads.tolist()
    people = [[row for row, own in enumerate(heads) if own == head] for head in set(heads)]
    assert sorted(people) == slowly(features, first, last, threshold, max_gap)
    for link in found.links:
        assert heads[link.before] == heads[link.after]
        assert link.gap == first[link.after] - last[link.before] - 1
        expected = 1 - cosine_similarity(features[link.before].double(), features[link.after].double(), dim=0)
        assert link.distance == pytest.approx(float(expected), abs=1e-9)
    assert len(found.links) == len(heads) - len(people)
    assert [first[link.after] for link in found.links] == sorted(first[link.after] for link in found.links)


@settings(deadline=None)
@given(broken())
def test_nobody_is_in_two_tracks_at_once_however_alike_they_are(tracks):
    _, first, last = tracks
    heads = relink(torch.ones(len(first), 3), first, last, threshold=2.0).heads.tolist()
    for head in set(heads):
        spans = sorted((first[row], last[row]) for row, own in enumerate(heads) if own == head)
        assert all(end < start for (_, end), (start, _) in pairwise(spans))
        assert first[head] == spans[0][0]


def test_a_chain_has_the_head_of_its_first_track():
    features = directions(0.0, 3.0, 0.05, 0.1)
    found = relink(features, [60, 0, 30, 0], [80, 90, 50, 20], threshold=0.01)
    assert [tuple(link[:2]) for link in found.links] == [(3, 2), (2, 0)]
    assert [link.gap for link in found.links] == [9, 9]
    assert found.heads.tolist() == [3, 1, 3, 3]


def test_a_track_between_two_that_were_joined_already_finds_its_place():
    features = directions(0.0, 0.2, 0.0)
    found = relink(features, [0, 20, 40], [10, 30, 50], threshold=0.05)
    assert [tuple(link[:2]) for link in found.links] == [(0, 1), (1, 2)]


def test_a_person_does_not_drift_from_one_look_to_another():
    features = directions(0.0, 0.3, 0.6, 0.9)  # each step is 0.045
    chains = relink(features, [0, 20, 40, 60], [10, 30, 50, 70], threshold=0.05).heads.tolist()
    assert chains == [0, 0, 2, 2]


def test_a_gap_that_another_track_fills_is_none():
    features = directions(0.0, 0.0, 0.0)
    tracks = (features, [0, 40, 20], [10, 50, 30])
    assert relink(*tracks, threshold=0.1, max_gap=9).heads.tolist() == [0, 0, 0]
    assert relink(*tracks, threshold=0.1, max_gap=8).heads.tolist() == [0, 1, 2]


def test_a_gap_is_counted_in_frames_between():
    tracks = (directions(0.0, 0.0), [1, 14], [10, 20])
    assert relink(*tracks, threshold=0.1, max_gap=3).links[0].gap == 3
    assert relink(*tracks, threshold=0.1, max_gap=2).links == ()


def test_a_calibrated_threshold_is_taken():
    tracks = (directions(0.0, 0.3), [1, 20], [10, 30])
    limit = Threshold(0.05, 0.01, 0.1, 100, 100, "cosine")
    assert len(relink(*tracks, threshold=limit).links) == 1
    with pytest.raises(InputError, match="euclidean"):
        relink(*tracks, threshold=Threshold(0.05, 0.01, 0.1, 100, 100, "euclidean"))


def test_arrays_and_no_tracks_at_all():
    features = directions(0.0, 0.1).numpy()
    assert relink(features, np.array([1, 20]), torch.tensor([10, 30]), threshold=0.1).heads.tolist() == [0, 0]
    nothing = relink(torch.zeros(0, 4), [], [], threshold=0.1)
    assert nothing.links == ()
    assert nothing.heads.tolist() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.zeros(2)}, r"\(n, d\)"),
        ({"features": torch.tensor([[1.0, float("nan")], [1.0, 0.0]])}, "row 0"),
        ({"first": [1]}, "2, 1 and 2"),
        ({"first": [1.5, 2.5]}, "first are whole numbers"),
        ({"last": [0, 30]}, "row 0 is from 1 to 0"),
        ({"threshold": float("nan")}, "threshold is"),
        ({"max_gap": -1}, "max_gap is a whole number from 0"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    given = {"features": directions(0.0, 0.1), "first": [1, 20], "last": [10, 30], "threshold": 0.1}
    with pytest.raises(InputError, match=message):
        relink(**{**given, **change})
