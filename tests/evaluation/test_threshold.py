"""A calibrated threshold keeps the promised share of absent persons out, and no more than it must."""

import math

import numpy as np
import pytest
import torch
from evaluation.conftest import problems
from evaluation.naive_ranking import distance, side
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.evaluation.search.neighbours import nearest
from nlreid.evaluation.search.threshold import calibrate


def nearest_of(query, gallery, row, wanted):
    """The nearest gallery entry of one query that has a property."""
    own = query.pids[row], query.camids[row]
    return min(
        (
            distance(query.features[row], features, "euclidean")
            for features, pid, camid in zip(gallery.features, gallery.pids, gallery.camids, strict=True)
            if pid != -1 and own[0] != -1 and wanted(own, (pid, camid))
        ),
        default=math.inf,
    )


@pytest.mark.usefixtures("block")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=problems(), rate=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1 - 1e-10]))
def test_rates_are_those_of_loops(problem, rate):
    query, gallery = problem
    queries = range(len(query.pids))
    wrong = [nearest_of(query, gallery, row, lambda own, other: own[0] != other[0]) for row in queries]
    right = [nearest_of(query, gallery, row, lambda own, other: own[0] == other[0] and own[1] != other[1]) for row in queries]
    wrong, right = ([value for value in values if value < math.inf] for values in (wrong, right))
    if not wrong:
        with pytest.raises(InputError, match="no query has an entry of another identity"):
            calibrate(query, gallery, false_accept_rate=rate, metric="euclidean")
        return
    answer = calibrate(query, gallery, false_accept_rate=rate, metric="euclidean")
    assert answer.false_accept_rate == sum(value <= answer.distance for value in wrong) / len(wrong) <= rate
    more = sum(value <= np.nextafter(answer.distance, np.inf) for value in wrong) / len(wrong)
    assert more > rate  # any larger threshold would let too many in
    assert (answer.impostors, answer.genuine) == (len(wrong), len(right))
    if right:
        assert answer.false_reject_rate == sum(value > answer.distance for value in right) / len(right)
    else:
        assert math.isnan(answer.false_reject_rate)


def test_a_search_with_the_threshold_finds_the_present_and_not_the_absent():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 32, generator=generator)

    def seen(people, camera):
        noise = 0.3 * torch.randn(len(people), 32, generator=generator)
        return side(centres[people] + noise, people, torch.full((len(people),), camera))

    gallery = seen(torch.arange(20), 2)
    threshold = calibrate(seen(torch.arange(20), 1), gallery, false_accept_rate=0.1)
    everybody = nearest(seen(torch.arange(40), 1).features, gallery.features, 1, threshold=threshold).rows[:, 0]
    assert everybody[:20].tolist() == list(range(20))
    assert (everybody[20:] == -1).float().mean() >= 0.8


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_is_a_share(rate):
    with pytest.raises(InputError, match="false_accept_rate"):
        calibrate(side(np.eye(2), [1, 2], [1, 1]), side(np.eye(2), [1, 2], [2, 2]), false_accept_rate=rate)


def test_a_threshold_is_for_its_metric():
    one, two = side(np.eye(3), [1, 2, 3], [1, 1, 1]), side(np.eye(3), [1, 2, 3], [2, 2, 2])
    threshold = calibrate(one, two, false_accept_rate=0.5)
    by_hand = nearest(one.features, two.features, threshold=threshold.distance)
    assert nearest(one.features, two.features, threshold=threshold).rows.tolist() == by_hand.rows.tolist()
    with pytest.raises(InputError, match="one of cosine distances; calibrate one for metric 'euclidean'"):
        nearest(one.features, two.features, metric="euclidean", threshold=threshold)
