"""Clips for training: what an item is, and that workers, ranks and epochs change what they should and nothing else."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from functools import partial
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, Subset

from nlreid.data.clip_dataset import ClipItem
from nlreid.data.clips import evenly, random_window, restricted_random
from nlreid.data.samplers import Draw, RandomIdentitySampler, numbered
from nlreid.data.tracklet import Tracklet
from nlreid.data.tracklet_dataset import TrackletDataset
from nlreid.data.training import TrainingTransform
from nlreid.data.transforms import EvaluationTransform
from nlreid.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures("tensors_by_name")

SIZE = (6, 4)
NUMBERS = EvaluationTransform(SIZE, (0, 0, 0), (1 / 255,) * 3)  # leaves the values of the pixels as they are
RANDOM = TrainingTransform(SIZE, (0.5,) * 3, (0.25,) * 3, erasing=0.5)


def tracklet(name, length, pid=0, camid=None):
    """Each of its pictures is of one grey, its number in the tracklet."""
    return Tracklet(
        name, np.arange(length, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(5, 2).repeat(3, 3), pid, camid
    )


def people(count=12, length=100):
    return [tracklet(f"{i}", length + i, pid=100 - i // 2 * 3, camid=i % 2) for i in range(count)]


def shown(clip):
    """Which frames a clip of NUMBERS shows."""
    return clip[0, :, 0, 0].round().int().tolist()


def epochs_of(train, loader, epochs=(0, 1)):
    batches = []
    for epoch in epochs:
        train.set_epoch(epoch)
        batches.append(list(loader))
    return batches


def same(batches, others):
    pairs = list(zip(chain(*batches), chain(*others), strict=True))
    return all(torch.equal(value, other) for pair in pairs for value, other in zip(*pair, strict=True))


def test_an_item_is_a_clip_and_what_is_known_of_it():
    train = TrackletDataset(people(), clips=random_window, transform=NUMBERS)
    assert len(train) == 12
    item = train[5]
    assert isinstance(item, ClipItem)
    assert item.clip.dtype == torch.float32
    assert item.clip.shape == (3, 8, *SIZE)
    first = shown(item.clip)[0]
    assert shown(item.clip) == [first + 8 * place for place in range(8)]
    assert item[1:] == (item.label, item.pid, item.camid, item.index) == (3, 94, 1, 5)


def test_labels_rise_with_the_pid():
    train = TrackletDataset(people(), clips=random_window, transform=NUMBERS)
    assert train.pids == (100, 100, 97, 97, 94, 94, 91, 91, 88, 88, 85, 85)
    assert train.labels == {85: 0, 88: 1, 91: 2, 94: 3, 97: 4, 100: 5}
    assert [train[place].label for place in range(12)] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    assert train.num_classes == 6


def test_labels_may_come_from_elsewhere():
    two = [tracklet("a", 3, pid=np.int64(7)), tracklet("b", 3, pid=4)]
    train = TrackletDataset(two, clips=random_window, transform=NUMBERS, labels={4: 10, 7: 0, 9: np.int64(30)})
    assert [(item.label, item.pid) for item in train] == [(0, 7), (10, 4)]
    assert train.num_classes == 31
    assert TrackletDataset(two[:1], clips=random_window, transform=NUMBERS, labels=train.labels)[0].label == 0


def test_a_batch_is_an_item_of_tensors():
    train = TrackletDataset([*people(3), tracklet("x", 9, pid=1)], clips=random_window, transform=RANDOM)
    (batch,) = DataLoader(train, batch_size=4)
    assert isinstance(batch, ClipItem)
    assert batch.clip.shape == (4, 3, 8, *SIZE)
    assert batch.label.tolist() == [2, 2, 1, 0]
    assert batch.pid.tolist() == [100, 100, 97, 1]
    assert batch.camid.tolist() == [0, 1, 0, -1]  # the last is not known
    assert batch.index.tolist() == [0, 1, 2, 3]
    assert all(torch.equal(batch.clip[place], train[place].clip) for place in range(4))


@pytest.mark.parametrize("clips", [random_window, partial(random_window, frames=4, stride=2), restricted_random])
def test_seed_epoch_index_and_draw_decide_and_nothing_else(clips):
    same_tracklet = [tracklet("a", 250, pid=0)] * 3
    keys = [(seed, epoch, index, draw) for seed in (0, 1) for epoch in (0, 1) for index in range(3) for draw in (0, 1)]

    def clip(seed, epoch, index, draw):
        train = TrackletDataset(same_tracklet, clips=clips, transform=NUMBERS, seed=seed)
        train.set_epoch(epoch)
        return tuple(shown(train[Draw(index, draw)].clip))

    state = torch.get_rng_state()
    found = {key: clip(*key) for key in keys}
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert all(clip(*key) == found[key] for key in reversed(keys))
    assert len(set(found.values())) >= len(keys) - 3  # two may be alike by chance


def test_a_plain_index_is_the_first_draw_and_minus_one_the_last():
    train = TrackletDataset(people(), clips=random_window, transform=RANDOM)
    assert torch.equal(train[3].clip, train[Draw(3, 0)].clip)
    assert torch.equal(train[-1].clip, train[11].clip)
    assert train[-1].index == 11
    assert torch.equal(train[torch.tensor(3)].clip, train[3].clip)
    for index in (12, -13):
        with pytest.raises(IndexError):
            train[index]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stay", [False, True])
def test_workers_give_the_clips_that_no_workers_give(workers, stay):
    train = TrackletDataset(people(), clips=random_window, transform=RANDOM, seed=5)
    sampler = RandomIdentitySampler(train.pids, p=3, k=3)
    alone = epochs_of(train, DataLoader(train, 9, sampler=sampler), (0, 1, 4))
    with_workers = DataLoader(train, 9, sampler=sampler, num_workers=workers, persistent_workers=stay)
    assert same(epochs_of(train, with_workers, (0, 1, 4)), alone)
    assert not any(same([alone[a]], [alone[b]]) for a, b in ((0, 1), (1, 2), (0, 2)))


STARTED = """
import numpy as np
from torch.utils.data import DataLoader
from nlreid import Tracklet
from nlreid.data.clips import random_window
from nlreid.data.samplers import RandomIdentitySampler
from nlreid.data.tracklet_dataset import TrackletDataset
from nlreid.data.training import TrainingTransform

def sums(train, **options):
    found, loader = [], DataLoader(train, 4, sampler=RandomIdentitySampler(train.pids, p=2, k=2), **options)
    for epoch in range(3):
        train.set_epoch(epoch)
        found.append([batch.clip.double().sum(dim=(1, 2, 3, 4)).tolist() for batch in loader])
    return found

if __name__ == "__main__":
    pictures = np.random.default_rng(0).integers(0, 256, (100, 8, 5, 3), dtype=np.uint8)
    transform = TrainingTransform((6, 4), (0.5,) * 3, (0.25,) * 3, erasing=0.5)
    train = TrackletDataset([Tracklet(f"{pid}", pictures, pid) for pid in range(4)], clips=random_window, transform=transform)
    alone = sums(train)
    assert len({clip for epoch in alone for batch in epoch for clip in batch}) == 3 * 8
    for start in ("fork", "spawn"):
        found = sums(train, num_workers=1, persistent_workers=True, multiprocessing_context=start)
        assert found == alone, start
"""


def test_workers_may_be_started_in_any_way(tmp_path):
    """In a process of its own, with torch's own way of handing tensors over."""
    script = tmp_path / "started.py"
    script.write_text(STARTED)
    ran = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_new_epoch_is_seen_through_a_subset_and_a_loop_that_was_left():
    train = TrackletDataset(people(), clips=random_window, transform=RANDOM)
    part = Subset(train, range(1, 9))
    alone = epochs_of(train, DataLoader(part, 2))
    with_workers = DataLoader(part, 2, num_workers=2, persistent_workers=True)
    train.set_epoch(7)
    next(iter(with_workers))
    assert same(epochs_of(train, with_workers), alone)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda train: pickle.loads(pickle.dumps(train))])
def test_a_copy_gives_the_same_and_has_an_epoch_of_its_own(again):
    train = TrackletDataset(people(), clips=random_window, transform=RANDOM)
    train.set_epoch(3)
    other = again(train)
    assert other.epoch == 3
    assert torch.equal(other[2].clip, train[2].clip)
    other.set_epoch(4)
    assert train.epoch == 3
    loader = DataLoader(other, 4, num_workers=1, persistent_workers=True)
    assert same(epochs_of(other, loader), epochs_of(train, DataLoader(train, 4)))


@pytest.mark.parametrize("workers", [0, 2])
def test_one_tracklet_drawn_twice_is_two_clips(workers):
    train = TrackletDataset([tracklet(f"{pid}", 250, pid=pid) for pid in range(6)], clips=random_window, transform=NUMBERS)
    clips = {}
    for rank in range(2):  # the same identity on both: 3 of them each, and one more
        sampler = RandomIdentitySampler(train.pids, p=2, k=4, rank=rank, world_size=2)
        for batch in DataLoader(train, 8, sampler=sampler, num_workers=workers):
            for clip, index in zip(batch.clip, batch.index.tolist(), strict=True):
                clips.setdefault(index, []).append(tuple(shown(clip)))
    assert sorted(map(len, clips.values())) == [4, 4, 4, 4, 8, 8]
    assert all(len(set(of_one)) == len(of_one) for of_one in clips.values())


def test_other_samplers_with_replacement_can_be_numbered():
    class Numbered(RandomSampler):
        def __iter__(self):
            return numbered(super().__iter__())

    train = TrackletDataset([tracklet("a", 250, pid=0)], clips=random_window, transform=NUMBERS)
    plain = RandomSampler(train, replacement=True, num_samples=6, generator=torch.Generator().manual_seed(0))
    sampler = Numbered(train, replacement=True, num_samples=6, generator=torch.Generator().manual_seed(0))
    (alike,), (different,) = DataLoader(train, 6, sampler=plain), DataLoader(train, 6, sampler=sampler)
    assert len({tuple(shown(clip)) for clip in alike.clip}) == 1
    assert len({tuple(shown(clip)) for clip in different.clip}) == 6


def test_evaluation_items_have_nothing_of_chance():
    gallery = TrackletDataset(people(), clips=partial(evenly, frames=4), transform=NUMBERS, seed=9)
    for epoch in (0, 1):
        gallery.set_epoch(epoch)
        assert [shown(item.clip) for item in gallery] == [list(evenly(100 + place, 4)) for place in range(12)]


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_short_track_repeats_frames(length):
    item = TrackletDataset([tracklet("a", length, pid=0)], clips=random_window, transform=NUMBERS)[0]
    assert shown(item.clip) == [place * length // 8 for place in range(8)]


def error_of(loader):
    try:
        next(iter(loader))
    except DataError as error:  # whose frames would keep the workers until a garbage collection, which waits for them
        return str(error.with_traceback(None))
    return "none"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_named(tmp_path, workers):
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path in paths:
        Image.new("RGB", (32, 32)).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    train = TrackletDataset([Tracklet("a", paths, pid=0)], clips=random_window, transform=RANDOM)
    assert f"{paths[1]}: not a readable image" in error_of(DataLoader(train, num_workers=workers))


def test_frames_that_a_rule_invents_are_an_error_and_not_the_end_of_the_loop():
    train = TrackletDataset(people(2), clips=lambda length, **_: (0, length), transform=NUMBERS)
    with pytest.raises(InputError, match=r"tracklet '0' has frames 0\.\.99; frame 100 was asked for"):
        list(train)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tracklets": []}, "at least one tracklet; got none"),
        ({"tracklets": tracklet("a", 3)}, "tracklets are a list, or another iterable, of .*; got Tracklet"),
        ({"tracklets": [np.zeros(3)]}, "made of nlreid.Tracklet objects; got array"),
        ({"tracklets": [tracklet("a", 3, pid=None)]}, "tracklet 'a' has pid None; every tracklet needs an integer"),
        ({"labels": {100: 0, 94: 1}}, "labels has no label for 1 of the tracklets' pids: 97"),
        ({"labels": {100: 0, 97: -1}}, "the label of pid 97 is a whole number from 0; got -1"),
        ({"labels": {100: 0, 97: 0.5}}, "the label of pid 97 is a whole number from 0; got 0.5"),
        ({"labels": [0, 1]}, r"labels is a mapping from pid to label; got \[0, 1\]"),
        ({"seed": -1}, "seed is a whole number from 0; got -1"),
        ({"clips": 8}, "clips is a function, see nlreid.data.clips; got 8"),
        ({"transform": None}, "transform is a function, see nlreid.data.training; got None"),
    ],
)
def test_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(InputError, match=message):
        TrackletDataset(**{"tracklets": people(4), "clips": random_window, "transform": NUMBERS, **arguments})


@pytest.mark.parametrize("index", [slice(0, 2), 1.0, "1", None, [0, 1]])
def test_refuses_what_is_no_index(index):
    with pytest.raises(InputError, match=r"the index of a tracklet is a whole number; got .*Subset"):
        TrackletDataset(people(4), clips=random_window, transform=NUMBERS)[index]


@pytest.mark.parametrize("epoch", [-1, 0.5, None, 2**63])
def test_refuses_what_is_no_epoch(epoch):
    with pytest.raises(InputError, match=rf"epoch is a whole number from 0( to 9223372036854775807)?; got {epoch}"):
        TrackletDataset(people(2), clips=random_window, transform=NUMBERS).set_epoch(epoch)


def test_the_last_epoch():
    train = TrackletDataset(people(2), clips=random_window, transform=NUMBERS)
    train.set_epoch(2**63 - 1)
    assert train.epoch == 2**63 - 1
    assert train[0].clip.shape == (3, 8, *SIZE)
