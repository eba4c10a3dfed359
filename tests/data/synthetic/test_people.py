"""The data set: the same from the same seed, nobody in two parts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlreid.data.datasets.synthetic import UNRELATED, LookAlikes, SyntheticPeople
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.split import unanswered
from nlreid.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {"identities": 3, "frames": 2, "size": (32, 16)}


def people(**changes):
    return SyntheticPeople(**(FEW | changes))


def pictures(part):
    return np.stack([tracklet.frames for tracklet in part])


def same(one, other):
    parts = [(getattr(one, part), getattr(other, part)) for part in ("train", "query", "gallery")]
    pairs = [pair for a, b in parts for pair in zip(a, b, strict=True)]
    return all((a.name, a.pid, a.camid) == (b.name, b.pid, b.camid) and np.array_equal(a.frames, b.frames) for a, b in pairs)


def test_what_a_split_holds():
    split = people(seed=5, cameras=3, tracklets=2, train_identities=2, train_cameras=4).split()
    assert [t.name for t in split.query] == ["0001_c1_0", "0001_c1_1", "0002_c1_0", "0002_c1_1", "0003_c1_0", "0003_c1_1"]
    assert [(t.pid, t.camid) for t in split.gallery] == [(pid, c) for pid in (1, 2, 3) for c in (2, 2, 3, 3)]
    assert [(t.pid, t.camid) for t in split.train] == [(pid, c) for pid in (4, 5) for c in (4, 4, 5, 5, 6, 6, 7, 7)]
    assert not unanswered(split.query, split.gallery)
    for tracklet in (*split.train, *split.query, *split.gallery):
        assert (tracklet.frames.shape, tracklet.frames.dtype) == ((2, 32, 16, 3), np.uint8)
        assert tracklet.frame_numbers == (0, 1)
    assert all(frames.std() > 5 for frames in pictures(split.query))  # something is there to be seen
    assert "synthetic people, seed 5" in split.summary()


def test_the_same_seed_gives_the_same_bytes_whatever_the_global_random_state():
    settings = people(seed=7, train_identities=2, train_cameras=2)
    state = torch.get_rng_state()
    first = settings.split()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(9)
    np.random.default_rng(0).random(9)
    assert same(settings.split(), first)


def test_seeds_give_other_people_and_strength_other_colours():
    base = people(seed=0)
    for other in (people(seed=1), people(seed=0, strength=1.0), people(seed=0, lookalikes=UNRELATED)):
        one, two = base.split(), other.split()
        assert not np.array_equal(pictures(one.gallery), pictures(two.gallery))
    assert not np.array_equal(base.attributes(0)["upper"], people(seed=1).attributes(0)["upper"])


def test_two_threads_draw_what_one_draws():
    settings = people(size=(128, 64))
    one = settings.split()
    torch.set_num_threads(2)
    two = settings.split()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert same(one, two)


def test_no_person_and_no_camera_is_in_both_parts():
    split = people(train_identities=4, train_cameras=2, cameras=3).split()
    tested = (*split.query, *split.gallery)
    assert not {t.pid for t in split.train} & {t.pid for t in tested}
    assert not {t.camid for t in split.train} & {t.camid for t in tested}
    assert len({frames.tobytes() for frames in pictures([*split.train, *tested])}) == 4 * 2 + 3 * 3


def test_people_to_train_on_do_not_depend_on_those_to_search_for():
    few, many = (people(identities=n, cameras=c, train_identities=3, train_cameras=2).split() for n, c in ((1, 2), (4, 3)))
    assert np.array_equal(pictures(few.train), pictures(many.train))
    searched, alone = people(train_identities=3).split(), people().split()
    assert np.array_equal(pictures(searched.gallery), pictures(alone.gallery))
    only = people(identities=0, train_identities=3, train_cameras=2).split()
    assert np.array_equal(pictures(only.train), pictures(few.train))
    assert only.query == only.gallery == ()


def test_progress_counts_the_tracklets_of_all_parts():
    seen = []
    settings = people(identities=18, cameras=2, frames=1, size=(8, 8), train_identities=3, train_cameras=1)
    settings.split(progress=lambda *counts: seen.append(counts))
    assert seen == [(32, 39), (36, 39), (39, 39)]


@pytest.mark.parametrize("size", [(8, 8), (32, 16), (64, 32), (33, 17), (9, 40), (40, 9), (128, 64), (131, 50), (256, 128)])
def test_pictures_have_any_size(size):
    frames = pictures(people(identities=2, frames=1, size=size).split().gallery)
    assert frames.shape[2:4] == size
    assert frames.std() > 5


def test_what_a_small_picture_shows_is_what_a_large_one_shows():
    """A camera may see more than a small picture can show: then that is the mean of what it sees."""
    large, small = (pictures(people(identities=12, frames=1, size=s, seed=2).split().gallery) for s in ((128, 64), (16, 8)))
    reduced = large.reshape(12, 16, 8, 8, 8, 3).mean((2, 4))
    assert abs(reduced - small[:, 0]).mean() < 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is a whole number from 0; got -1"),
        ({"identities": 1.5}, "identities is a whole number from 0; got 1.5"),
        ({"cameras": 1}, "cameras is a whole number from 2; got 1"),
        ({"tracklets": 0}, "tracklets is a whole number from 1; got 0"),
        ({"frames": True}, "frames is a whole number from 1; got True"),
        ({"train_identities": None}, "train_identities is a whole number from 0; got None"),
        ({"train_cameras": 0}, "train_cameras is a whole number from 1; got 0"),
        ({"identities": 0}, "there is nobody to draw: identities and train_identities are both 0"),
        ({"size": (7, 64)}, "each side of size is a whole number from 8; got 7"),
        ({"size": 64}, "size is the height and the width of the pictures in pixels, a tuple; got 64"),
        ({"size": [128, 64]}, r"a tuple; got \[128, 64\]"),
        ({"strength": 1.1}, "strength is a number from 0 to 1; got 1.1"),
        ({"strength": "strong"}, "strength is a number from 0 to 1; got 'strong'"),
        ({"lookalikes": 0.5}, r"lookalikes are LookAlikes\(family, share, twins\); got 0.5"),
        ({"rate": 0.6}, "rate is the least and the greatest change of phase in radians, a tuple; got 0.6"),
        ({"rate": (0.7, 0.6)}, r"rate rises from the least to the greatest .*; got \(0.7, 0.6\)"),
        ({"rate": (-0.1, 0.6)}, "at least 0"),
        ({"rate": (0.1, float("nan"))}, "each of rate is a finite number; got nan"),
    ],
)
def test_refuses_what_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        people(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": 0}, "family is a whole number from 1; got 0"),
        ({"share": 1.5}, "share is a share, 0..1; got 1.5"),
        ({"twins": -0.1}, "twins is a share, 0..1; got -0.1"),
        ({"twins": "all"}, "twins is a share, 0..1; got 'all'"),
    ],
)
def test_refuses_families_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        LookAlikes(**arguments)


def test_refuses_devices_that_are_not_there():
    with pytest.raises(InputError, match="device 'quantum' cannot be used here"):
        people().split(device="quantum")
    with pytest.raises(InputError, match="each side of size is a whole number from 8; got 4"):
        Renderer((4, 4))
