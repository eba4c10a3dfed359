"""How people walk past a camera: direction, gait phase, arms, light, frame by frame."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.identity import Columns

_STANDING = 0.12  # share of the tracks in which nobody walks
_POSED = 0.2  # share of the arms that hold something, a telephone or a pocket
_DROPPED = 0.05  # share of the frames that are lost before the next


def draw_tracks(
    people: Columns, frames: int, pitch: Tensor, generator: Generator, rate: tuple[float, float] = (0.3, 1.4)
) -> Columns:
    """How people walk, are seen and are lit in each frame of their tracks.

    Args:
        people: Attributes of who walks, `(n, ...)`, see `draw_identities`.
        frames: Frames of a track.
        pitch: How far each track's camera looks down, in radians, `(n, 1)`.
        generator: Where they are drawn from.
        rate: Least and greatest change of the gait's phase from frame to frame, in radians, for a cadence of 1. A walker makes
            about one cycle (two steps) a second, so 0.6 is a video of 10 frames a second.

    Returns:
        A row for each frame, those of a track one after the other: float, `(n * frames, 1)`; angles in radians. `yaw` 0 looks
        to the camera, `arm` and `elbow` have a column for each side, `light` four and `waves` nine, see `Light` and `folds`.
    """
    n = len(pitch)
    each, every = Draws(n, generator), Draws(n * frames, generator)

    def repeated(column: Tensor) -> Tensor:
        return column.repeat_interleave(frames, 0)

    lost = (every.chance(_DROPPED).view(n, frames).cumsum(1)).view(-1, 1)
    time = torch.arange(frames).repeat(n)[:, None] + lost
    stands = each.chance(_STANDING) > 0
    posed = each.chance(_POSED), each.chance(_POSED)
    yaw = repeated(each.uniform(-math.pi, math.pi)) + repeated(each.normal(0.06)) * time + every.normal(0.06)
    gaze = yaw + repeated(each.normal(0.3)) + every.normal(0.12)
    sun = each.uniform(-1.2, 1.2)
    light = torch.cat([sun.sin() * 0.8, each.uniform(0.2, 0.8), sun.cos().clamp_min(0.2), each.uniform(0.35, 0.85)], 1)
    step = people["cadence"] * each.uniform(*rate)
    return {
        "yaw": yaw,
        "gaze": gaze,
        "pitch": repeated(pitch),
        "phase": repeated(each.uniform(0, 2 * math.pi)) + repeated(step) * time + every.normal(0.05),
        "move": repeated(torch.where(stands, each.uniform(0, 0.15), each.uniform(0.8, 1.0))),
        "arm": repeated(torch.cat(posed, 1) * each.uniform(-0.1, 0.7, 2)) + every.normal(0.05, 2),
        "elbow": repeated(torch.cat(posed, 1) * each.uniform(0.2, 1.6, 2)) + every.normal(0.04, 2),
        "aspect": repeated(each.uniform(0.29, 0.48)) * (1 + every.normal(0.04)),  # of a detector's boxes
        "fit": repeated(each.uniform(0, 1)),  # 1: the box is as wide as the pose, 0: as its aspect says
        "light": repeated(light),  # direction x, y, z and the ambient share
        "waves": repeated(each.uniform(8, 40, 9) * (each.uniform(-1, 1, 9)).sign()) + every.normal(2.0, 9),  # folds of cloth
    }
