"""Synthetic people to train on: items depend on seed, epoch, index and draw, and differ in everything but the people."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from nlreid.data.clip_dataset import ClipItem
from nlreid.data.clips import random_window
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.datasets.synthetic.clips import SyntheticClips
from nlreid.data.datasets.synthetic.training import training_figures
from nlreid.data.samplers import Draw, RandomIdentitySampler
from nlreid.data.training import TrainingTransform
from nlreid.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "tensors_by_name")

RANDOM = TrainingTransform((16, 8), (0.5,) * 3, (0.25,) * 3)
WINDOW = partial(random_window, frames=3, stride=1)


@pytest.fixture(scope="module")
def figures():
    people = SyntheticPeople(seed=1, identities=0, train_identities=4, train_cameras=2, frames=5, size=(16, 8))
    return training_figures(people)


def clips(figures, **changes):
    return SyntheticClips(*figures, **({"clips": WINDOW, "transform": RANDOM, "scenes": 6} | changes))


def all_of(train, **options):
    loader = DataLoader(train, 3, sampler=RandomIdentitySampler(train.pids, p=2, k=3), **options)
    found = []
    for epoch in (0, 3):
        train.set_epoch(epoch)
        found += list(loader)
    return found


def same(batches, others):
    return all(torch.equal(a, b) for one, other in zip(batches, others, strict=True) for a, b in zip(one, other, strict=True))


def test_an_item_is_a_clip_and_what_is_known_of_it(figures):
    train = clips(figures)
    assert (len(train), train.num_classes, train.labels) == (8, 4, {1: 0, 2: 1, 3: 2, 4: 3})
    assert train.pids == (1, 1, 2, 2, 3, 3, 4, 4)
    item = train[5]
    assert isinstance(item, ClipItem)
    assert (item.clip.shape, item.clip.dtype) == ((3, 3, 16, 8), torch.float32)
    assert item[1:] == (2, 3, -1, 5)
    assert item.clip.std() > 0.1


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_clips_that_no_workers_give(figures, workers):
    train = clips(figures, seed=5)
    alone = all_of(train)
    assert same(all_of(train, num_workers=workers, persistent_workers=True), alone)


def test_seed_epoch_index_and_draw_decide_and_nothing_else(figures):
    keys = [(seed, epoch, index, draw) for seed in (0, 1) for epoch in (0, 1) for index in (0, 1) for draw in (0, 1)]

    def clip(seed, epoch, index, draw):
        train = clips(figures, seed=seed, scenes=2)
        train.set_epoch(epoch)
        return train[Draw(index, draw)].clip

    state = torch.get_rng_state()
    found = {key: clip(*key) for key in keys}
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert all(torch.equal(clip(*key), found[key]) for key in reversed(keys))
    assert len({clip.numpy().tobytes() for clip in found.values()}) == len(keys)


def test_what_is_new_in_a_clip_is_not_the_person(figures):
    """Of one walk the covered pixels stay more alike than the ground around them."""
    pictures, (one, *_) = figures
    whole = TrainingTransform((16, 8), (0.0,) * 3, (1.0,) * 3, enlarge=0, flip=0)
    train = SyntheticClips(pictures[:1], [one], clips=lambda *_, **__: [2], transform=whole, scenes=50, strength=0.0)
    seen = torch.stack([train[Draw(0, number)].clip[:, 0] for number in range(60)])
    covered = pictures[0, 2, 3] > 0
    spread = seen.std(0).mean(0)
    assert spread[~covered].mean() > 1.5 * spread[covered].mean()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda train: pickle.loads(pickle.dumps(train))])
def test_a_copy_gives_the_same_and_has_an_epoch_of_its_own(figures, again):
    train = clips(figures)
    train.set_epoch(3)
    other = again(train)
    assert other.epoch == 3
    assert torch.equal(other[2].clip, train[2].clip)
    other.set_epoch(4)
    assert train.epoch == 3
    assert not torch.equal(other[2].clip, train[2].clip)


def test_refuses_what_does_not_fit(figures):
    pictures, pids = figures
    for wrong, message in (
        (pictures.float(), r"uint8 tensor \(n, t, 4, h, w\), from training_figures; got torch.float32 \(8, 5, 4, 16, 8\)"),
        (pictures[:, :, :3], r"got torch.uint8 \(8, 5, 3, 16, 8\)"),
        (pictures.numpy(), "got ndarray"),
        (pictures.to("meta"), r"lie in memory, with no empty axis; got \(8, 5, 4, 16, 8\) on meta"),
        (pictures[:, :0], "with no empty axis"),
        (pictures[:7], "one entry for each of the figures; got 8 for 7"),
    ):
        with pytest.raises(InputError, match=message):
            clips((wrong, pids))
    with pytest.raises(InputError, match="a SyntheticClips has at least one tracklet; got none"):
        clips((pictures, []))
    with pytest.raises(InputError, match=r"each of pids is a whole number from 0; got 0.5"):
        clips((pictures, [0.5] * 8))
    for changes, message in (
        ({"strength": 2}, "strength is a number from 0 to 1; got 2"),
        ({"scenes": 0}, "scenes is a whole number from 1; got 0"),
        ({"seed": -1}, "seed is a whole number from 0; got -1"),
        ({"clips": 8}, "clips is a function, see nlreid.data.clips; got 8"),
    ):
        with pytest.raises(InputError, match=message):
            clips(figures, **changes)
    with pytest.raises(InputError, match="the index of a tracklet is a whole number"):
        clips(figures)[1.0]
    with pytest.raises(InputError, match="epoch is a whole number from 0"):
        clips(figures).set_epoch(-1)
