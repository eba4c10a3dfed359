"""Which frames of a track make a clip: pure functions from a length to frame indices."""

from __future__ import annotations

import math

from nlreid.errors import InputError


def consecutive(length: int, frames: int = 8, stride: int = 1) -> list[tuple[int, ...]]:
    """The test-time clips: the track divided into consecutive clips that share no frame (as in arXiv 1807.05073).

    What is left at the end, fewer frames than a clip has, is stretched evenly in time: of its n frames, place i shows
    frame floor(i * n / frames). A track shorter than one clip is one such clip.

    >>> consecutive(11, frames=4)
    [(0, 1, 2, 3), (4, 5, 6, 7), (8, 8, 9, 10)]
    >>> consecutive(10, frames=2, stride=3)
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
        InputError: If `length`, `frames` or `stride` is less than 1.
    """
    for name, value in (("length", length), ("frames", frames), ("stride", stride)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}")
    runs = (range(start, min(start + frames * stride, length)) for start in range(0, length, frames * stride))
    return [_stretch(part, frames) for run in runs for part in _interleaved(run, math.ceil(len(run) / frames))]


def _interleaved(run: range, parts: int) -> list[range]:
    return [run[first::parts] for first in range(parts)]


def _stretch(part: range, frames: int) -> tuple[int, ...]:
    return tuple(part[place * len(part) // frames] for place in range(frames))
