"""Which frames of a track make a clip: pure functions from a length, and a generator where they draw, to frame indices."""

from __future__ import annotations

import math

import torch

from nlreid.data.randomness import below, checked
from nlreid.errors import whole_number


def random_window(length: int, frames: int = 8, stride: int = 8, *, generator: torch.Generator) -> tuple[int, ...]:
    """The training clip of arXiv 1807.05073, Sec. 4.2: of a random window of 64 frames every 8th, 8 in all.

    >>> random_window(1000, generator=torch.Generator().manual_seed(0))
    (140, 148, 156, 164, 172, 180, 188, 196)
    >>> random_window(20, generator=torch.Generator().manual_seed(0))
    (2, 4, 6, 8, 10, 12, 14, 16)

    Each start from which the last frame of the clip is still in the track is equally likely. The paper does not say which
    frame of every 8 is taken; if it were always the window's first, no clip would hold the last 7 frames of a track.

    In a track that is too short for the stride, the stride is the largest that fits. It stays a whole number, the same
    between all frames of the clip, because a temporal convolution takes its frames for equally distant: a person would
    seem to walk by jerks. What room remains is for the start, so that a short track, too, gives different clips. Only a
    track with fewer frames than the clip repeats some: place i shows frame floor(i * length / frames).

    Args:
        length: How many frames the track has.
        frames: How many frames a clip has.
        stride: From one frame of the clip to the next, in frames of the track.
        generator: Where the start is drawn from.

    Returns:
        `frames` indices, in rising order.

    Raises:
        InputError: If `length`, `frames` or `stride` is not a whole number from 1, or there is no generator.
    """
    length, frames, stride = _whole(length=length, frames=frames, stride=stride)
    checked(generator)
    if length < frames:
        return _stretch(range(length), frames)
    step = min(stride, (length - 1) // max(frames - 1, 1)) or 1
    span = (frames - 1) * step + 1
    start = below(length - span + 1, generator)
    return tuple(range(start, start + span, step))


def restricted_random(length: int, frames: int = 8, *, generator: torch.Generator) -> tuple[int, ...]:
    """A frame from each of equal segments of the track, the whole of which is seen (Li et al. 2018, STAN).

    >>> restricted_random(100, 4, generator=torch.Generator().manual_seed(0))
    (19, 39, 58, 85)

    Segments are as equal as whole frames allow: the i-th goes from frame floor(i * length / frames) up to where the next
    begins. A track with fewer frames than the clip repeats them evenly and leaves nothing to chance.

    Args:
        length: How many frames the track has.
        frames: How many frames a clip has.
        generator: Where the frames are drawn from.

    Returns:
        `frames` indices, in rising order.

    Raises:
        InputError: If `length` or `frames` is not a whole number from 1, or there is no generator.
    """
    length, frames = _whole(length=length, frames=frames)
    checked(generator)
    starts = _stretch(range(length), frames)
    if length < frames:
        return starts
    ends = (*starts[1:], length)
    return tuple(start + below(end - start, generator) for start, end in zip(starts, ends, strict=True))


def evenly(length: int, frames: int = 8, *, generator: torch.Generator | None = None) -> tuple[int, ...]:
    """One clip spread over the whole track: the middles of equal segments.

    >>> evenly(100, 4)
    (12, 37, 62, 87)
    >>> evenly(3, 6)
    (0, 0, 1, 1, 2, 2)

    Frame i is floor((i + 1/2) * length / frames), so that distances differ by no more than one frame, and a track with
    fewer frames than the clip repeats them equally often, give or take one.

    Args:
        length: How many frames the track has.
        frames: How many frames a clip has.
        generator: Not used; so that this can stand where a random rule can.

    Returns:
        `frames` indices, in rising order.

    Raises:
        InputError: If `length` or `frames` is not a whole number from 1.
    """
    del generator
    length, frames = _whole(length=length, frames=frames)
    return tuple((2 * place + 1) * length // (2 * frames) for place in range(frames))


def dense(length: int, frames: int = 8, stride: int = 1) -> list[tuple[int, ...]]:
    """The test-time clips: the track divided into consecutive clips that share no frame (as in arXiv 1807.05073).

    What is left at the end, fewer frames than a clip has, is stretched evenly in time: of its n frames, place i shows
    frame floor(i * n / frames). A track shorter than one clip is one such clip.

    >>> dense(11, frames=4)
    [(0, 1, 2, 3), (4, 5, 6, 7), (8, 8, 9, 10)]
    >>> dense(10, frames=2, stride=3)
    [(0, 3), (1, 4), (2, 5), (6, 8), (7, 9)]

    Every frame of the track is seen, so that the mean over the clips is over the whole track, and the frames of a
    stretched clip keep their order and repeat equally often, give or take one. Dropping the tail would lose frames
    (all of them in a short track); repeating the last frame would give it the weight of many and show a person who
    stops; a clip that reaches back would count frames twice.

    With a stride, each run of `frames * stride` frames becomes `stride` clips that interleave. The run at the end is
    shared out in the same way among as many clips as its frames need, at a smaller stride where it is short.

    Args:
        length: How many frames the track has.
        frames: How many frames a clip has.
        stride: From one frame of a clip to the next, in frames of the track.

    Returns:
        The frame indices of each clip, `frames` of them, in rising order.

    Raises:
        InputError: If `length`, `frames` or `stride` is not a whole number from 1.
    """
    length, frames, stride = _whole(length=length, frames=frames, stride=stride)
    runs = (range(start, min(start + frames * stride, length)) for start in range(0, length, frames * stride))
    return [_stretch(part, frames) for run in runs for part in _interleaved(run, math.ceil(len(run) / frames))]


def _whole(**numbers: int) -> list[int]:
    return [whole_number(name, value) for name, value in numbers.items()]


def _interleaved(run: range, parts: int) -> list[range]:
    return [run[first::parts] for first in range(parts)]


def _stretch(part: range, frames: int) -> tuple[int, ...]:
    return tuple(part[place * len(part) // frames] for place in range(frames))
