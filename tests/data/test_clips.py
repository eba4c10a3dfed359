"""Test-time clips: consecutive, of one size, every frame seen."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlreid.data.clips import consecutive
from nlreid.errors import InputError

LENGTHS = st.integers(1, 100)
FRAMES = st.integers(1, 12)
STRIDES = st.integers(1, 5)


@pytest.mark.parametrize(
    ("length", "clips"),
    [
        (1, [(0, 0, 0, 0)]),
        (2, [(0, 0, 1, 1)]),
        (3, [(0, 0, 1, 2)]),
        (4, [(0, 1, 2, 3)]),
        (5, [(0, 1, 2, 3), (4, 4, 4, 4)]),
        (8, [(0, 1, 2, 3), (4, 5, 6, 7)]),
    ],
)
def test_clips_of_four(length, clips):
    assert consecutive(length, frames=4) == clips


@given(length=LENGTHS, frames=FRAMES)
def test_stride_one_is_the_track_cut_in_pieces(length, frames):
    """Written out: whole pieces as they are, then the tail by floor(i * n / frames)."""
    expected, rest = [], list(range(length))
    while len(rest) >= frames:
        expected.append(tuple(rest[:frames]))
        rest = rest[frames:]
    if rest:
        expected.append(tuple(rest[int(i * len(rest) / frames + 1e-9)] for i in range(frames)))
    assert consecutive(length, frames) == expected


@given(length=LENGTHS, frames=FRAMES, stride=STRIDES)
def test_every_frame_is_in_one_clip_and_clips_keep_time(length, frames, stride):
    clips = consecutive(length, frames, stride)
    assert all(len(clip) == frames for clip in clips)
    assert all(list(clip) == sorted(clip) for clip in clips)
    owners = Counter(index for clip in clips for index in set(clip))
    assert owners == Counter(range(length))
    for clip in clips:
        repeats = Counter(clip).values()
        assert max(repeats) - min(repeats) <= 1


@given(length=LENGTHS, frames=FRAMES, stride=STRIDES)
def test_whole_runs_have_the_stride_and_the_rest_as_few_clips_as_hold_it(length, frames, stride):
    clips = consecutive(length, frames, stride)
    whole = length // (frames * stride) * stride
    assert all(after - before == stride for clip in clips[:whole] for before, after in pairwise(clip))
    assert all(after - before <= stride for clip in clips for before, after in pairwise(clip))
    left = length - whole * frames
    assert len(clips) - whole == -(-left // frames)


@pytest.mark.parametrize("arguments", [{"length": 0}, {"length": -1}, {"length": 5, "frames": 0}])
def test_refuses_less_than_one_frame(arguments):
    name, value = list(arguments.items())[-1]
    with pytest.raises(InputError, match=f"{name} must be at least 1; got {value}"):
        consecutive(**arguments)


def test_refuses_a_stride_below_one():
    with pytest.raises(InputError, match="stride must be at least 1; got 0"):
        consecutive(5, stride=0)
