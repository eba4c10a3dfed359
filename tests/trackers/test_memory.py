"""The newest pictures of each track are held, no more, and are what `embed` takes."""

import numpy as np
import pytest

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.trackers import TrackMemory, relink

SIZE = (64, 32)
BOXES = [[10, 20, 42, 84], [60, 10, 92, 74]]


@pytest.fixture
def memory():
    return TrackMemory(SIZE, keep=3, stride=2, colours="rgb")


def frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, 120, 160, 3), dtype=np.uint8)


def test_the_newest_pictures_are_held(memory):
    video = frames(11)
    for number, image in enumerate(video):
        memory.update(number, [7, 9] if number > 3 else [7], BOXES if number > 3 else BOXES[:1], image)
    first, second = memory.tracklets()
    assert (first.name, first.frame_numbers) == ("7", (6, 8, 10))
    assert (second.name, second.frame_numbers) == ("9", (6, 8, 10))
    np.testing.assert_array_equal(first.frames[-1], video[10, 20:84, 10:42])
    assert memory.spans() == ([0, 4], [10, 10])
    assert memory.spans([9]) == ([4], [10])
    assert [each.name for each in memory.tracklets([9.0, 7.0])] == ["9", "7"]


def test_pictures_are_held_in_one_size_and_without_the_frame(memory):
    memory.update(0, [1], [[0, 0, 100, 100]], frames(1)[0])
    (held,) = memory.tracklets()[0].frames
    assert held.shape == (*SIZE, 3)
    assert held.base is None or held.base.nbytes <= held.nbytes


def test_it_is_embedded_and_joined(memory, model):
    for number, image in enumerate(frames(4)):
        memory.update(number, [7], BOXES[:1], image)
    for number, image in enumerate(frames(4), start=10):
        memory.update(number, [8], BOXES[:1], image)
    found = nlreid.embed(model, memory.tracklets(), progress=False)
    assert relink(found.features, *memory.spans(), threshold=0.01).heads.tolist() == [0, 0]


def test_tracks_are_let_go(memory):
    memory.update(0, [1, 2], BOXES, frames(1)[0])
    memory.forget([1, 77])
    assert len(memory) == 1
    with pytest.raises(UnknownNameError, match="unknown track '1'"):
        memory.tracklets([1])


def test_a_person_outside_the_picture_is_not_seen(memory):
    memory.update(0, [1, 2], [[500, 0, 520, 40], BOXES[0]], frames(1)[0])
    assert [each.name for each in memory.tracklets()] == ["2"]


@pytest.mark.parametrize(
    ("ids", "frame", "message"),
    [
        ([1], 5, "name each of the 2 boxes"),
        ([1, 1], 5, "none twice"),
        ([1, 2.5], 5, "whole number"),
        ([3, 1], 3, "frames come in order; got 3 of track 1 after 3"),
    ],
)
def test_what_does_not_fit_changes_nothing(memory, ids, frame, message):
    memory.update(3, [1], BOXES[:1], frames(1)[0])
    with pytest.raises(InputError, match=message):
        memory.update(frame, ids, BOXES, frames(1)[0])
    assert memory.spans() == ([3], [3])


@pytest.mark.parametrize("options", [{"keep": 0}, {"stride": 0}, {"size": (0, 4)}, {"colours": "grey"}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=r"keep|stride|size|colours"):
        TrackMemory(**{"size": SIZE, **options})
