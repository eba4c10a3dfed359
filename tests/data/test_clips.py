"""Clips of training and of testing: which frames, in which order, and how likely."""

from collections import Counter
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.data.clips import dense, evenly, random_window, restricted_random
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
    assert dense(length, frames=4) == clips


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES)
def test_stride_one_is_the_track_cut_in_pieces(length, frames):
    """Written out: whole pieces as they are, then the tail by floor(i * n / frames)."""
    expected, rest = [], list(range(length))
    while len(rest) >= frames:
        expected.append(tuple(rest[:frames]))
        rest = rest[frames:]
    if rest:
        expected.append(tuple(rest[int(i * len(rest) / frames + 1e-9)] for i in range(frames)))
    assert dense(length, frames) == expected


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES, stride=STRIDES)
def test_every_frame_is_in_one_clip_and_clips_keep_time(length, frames, stride):
    clips = dense(length, frames, stride)
    assert all(len(clip) == frames for clip in clips)
    assert all(list(clip) == sorted(clip) for clip in clips)
    owners = Counter(index for clip in clips for index in set(clip))
    assert owners == Counter(range(length))
    for clip in clips:
        repeats = Counter(clip).values()
        assert max(repeats) - min(repeats) <= 1


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES, stride=STRIDES)
def test_whole_runs_have_the_stride_and_the_rest_as_few_clips_as_hold_it(length, frames, stride):
    clips = dense(length, frames, stride)
    whole = length // (frames * stride) * stride
    assert all(after - before == stride for clip in clips[:whole] for before, after in pairwise(clip))
    assert all(after - before <= stride for clip in clips for before, after in pairwise(clip))
    left = length - whole * frames
    assert len(clips) - whole == -(-left // frames)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spread(length, frames):
    """A track with fewer frames than the clip: each frame in turn, as often as its share of the places."""
    return tuple(max(frame for frame in range(length) if frame * frames <= place * length) for place in range(frames))


def windows(length, frames, stride):
    """Every clip that `random_window` can give: the largest stride that fits, from each start that leaves room."""
    if length < frames:
        return [spread(length, frames)]
    for step in range(stride, 0, -1):
        clips = [tuple(start + step * place for place in range(frames)) for start in range(length)]
        inside = [clip for clip in clips if clip[-1] < length]
        if inside:
            return inside
    raise AssertionError("a stride of 1 fits")


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES, stride=st.integers(1, 10), seed=st.integers(0, 99))
def test_a_random_window_is_one_of_those_that_fit(length, frames, stride, seed):
    assert random_window(length, frames, stride, generator=seeded(seed)) in windows(length, frames, stride)


@pytest.mark.parametrize("length", [1, 3, 8, 9, 14, 15, 30, 56, 57, 58, 64, 70])
def test_each_start_of_a_random_window_is_as_likely(length):
    generator, expected = seeded(), windows(length, 8, 8)
    draws = 400 * len(expected)
    counts = Counter(random_window(length, generator=generator) for _ in range(draws))
    assert set(counts) == set(expected)
    assert all(abs(count - 400) < 5 * 400**0.5 for count in counts.values())  # five standard deviations


def test_a_random_window_of_the_paper_is_eight_frames_every_eighth():
    clip = random_window(500, generator=seeded())
    assert len(clip) == 8
    assert {after - before for before, after in pairwise(clip)} == {8}


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES, seed=st.integers(0, 99))
def test_restricted_random_takes_one_frame_of_each_segment(length, frames, seed):
    clip = restricted_random(length, frames, generator=seeded(seed))
    if length < frames:
        assert clip == spread(length, frames)
        return
    # frame f is in the segment whose first frame is the last that is not after f
    starts = [place * length // frames for place in range(frames)]
    assert [sum(start <= frame for start in starts) - 1 for frame in clip] == list(range(frames))


def test_each_frame_of_a_segment_is_as_likely():
    generator, draws = seeded(), 2000
    counts = Counter(frame for _ in range(draws) for frame in restricted_random(10, 4, generator=generator))
    for segment in ((0, 1), (2, 3, 4), (5, 6), (7, 8, 9)):
        for frame in segment:
            assert abs(counts[frame] - draws / len(segment)) < 5 * draws**0.5 / 2


@settings(deadline=None)
@given(length=LENGTHS, frames=FRAMES)
def test_evenly_takes_the_middles_of_equal_segments(length, frames):
    clip = evenly(length, frames)
    # in units of half a segment, to stay with whole numbers: frame f lasts from 2 f frames to 2 (f + 1) frames
    expected = []
    for place in range(frames):
        middle = (2 * place + 1) * length
        expected += [frame for frame in range(length) if 2 * frame * frames <= middle < 2 * (frame + 1) * frames]
    assert list(clip) == expected
    distances = [after - before for before, after in pairwise(clip)]
    assert not distances or max(distances) - min(distances) <= 1
    assert set(clip) == set(range(length)) if length <= frames else len(set(clip)) == frames


RANDOM = [random_window, restricted_random]


@pytest.mark.parametrize("rule", RANDOM)
def test_the_generator_decides_and_nothing_else(rule):
    state = torch.get_rng_state()
    clips = [rule(300, 8, generator=seeded(seed)) for seed in range(20)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert [rule(300, 8, generator=seeded(seed)) for seed in range(20)] == clips
    assert len(set(clips)) > 15


@pytest.mark.parametrize("rule", RANDOM)
@pytest.mark.parametrize("length", [3, 300])
@pytest.mark.parametrize("generator", [None, 0])
def test_a_random_rule_without_a_generator_is_refused(rule, length, generator):
    with pytest.raises(InputError, match=f"generator is a torch.Generator of the CPU; got {generator}"):
        rule(length, generator=generator)


RULES = [dense, evenly, *(partial(rule, generator=seeded()) for rule in RANDOM)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["length", "frames"])
@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), "8", None, True])
def test_refuses_what_is_no_number_of_frames(rule, name, value):
    with pytest.raises(InputError, match=f"{name} is a whole number from 1; got"):
        rule(**{"length": 5, name: value})


@pytest.mark.parametrize("rule", [RULES[0], RULES[2]])
def test_refuses_a_stride_below_one(rule):
    with pytest.raises(InputError, match="stride is a whole number from 1; got 0"):
        rule(5, stride=0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", [np.int64, torch.tensor])
def test_whole_numbers_of_any_kind_give_plain_ones(rule, kind):
    clip = rule(kind(30), frames=kind(4))
    assert {type(index) for index in (clip[0] if rule is dense else clip)} == {int}
