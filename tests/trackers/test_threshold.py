"""The threshold of tracks that are there together is what a loop over all pairs finds."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from nlreid.errors import InputError
from nlreid.trackers import relink, together_threshold


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_a_loop(rate, seed):
    random = np.random.default_rng(seed)
    features = torch.from_numpy(random.standard_normal((12, 4)))
    first = random.integers(0, 40, 12)
    last = first + random.integers(0, 15, 12)
    nearest = []
    for i in range(12):
        at_once = [j for j in range(12) if j != i and first[i] <= last[j] and first[j] <= last[i]]
        if at_once:
            nearest.append(min(float(1 - cosine_similarity(features[i], features[j], dim=0)) for j in at_once))
    found = together_threshold(features, first, last, false_accept_rate=rate)
    wrong = np.array(nearest)
    assert found.impostors == len(wrong)
    passed = (wrong <= found.distance - 1e-9).mean()  # a loop rounds otherwise
    assert found.false_accept_rate == passed <= rate
    assert (wrong <= found.distance + 1e-9).mean() > rate  # a larger one would let more pass
    relink(features, first, last, threshold=found)


def test_tracks_that_are_never_together_say_nothing():
    with pytest.raises(InputError, match="no two tracks are there at the same time"):
        together_threshold(torch.eye(2), [1, 20], [10, 30])


@pytest.mark.parametrize("rate", [-0.1, 1, True])
def test_the_rate_is_a_share(rate):
    with pytest.raises(InputError, match="false_accept_rate"):
        together_threshold(torch.eye(2), [1, 2], [10, 30], false_accept_rate=rate)
