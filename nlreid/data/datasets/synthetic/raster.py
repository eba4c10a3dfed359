"""From capsules, torso and head to pixels: all pointwise, the nearest wins, so that it can be compiled into one loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.garments import paint_skirt, paint_upper
from nlreid.data.datasets.synthetic.head import paint_head
from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.limbs import folds, paint_capsule
from nlreid.data.datasets.synthetic.skeleton import Part
from nlreid.data.datasets.synthetic.surfaces import Light, Surface

_NOTHING = -9.0  # depth of what is behind everything


class Canvas(NamedTuple):
    """What has been painted so far: depth, red, green and blue, `(b, h, w)` each."""

    depth: Tensor
    red: Tensor
    green: Tensor
    blue: Tensor

    def painted(self, surface: Surface) -> Canvas:
        """The same with a surface over it, where that is nearer to the camera."""
        seen = surface.hit & (surface.depth > self.depth)
        colour = (torch.where(seen, c * surface.shade, old) for c, old in zip(surface.colour, self[1:], strict=True))
        return Canvas(torch.where(seen, surface.depth, self.depth), *colour)


def rasterise(x: Tensor, y: Tensor, parts: list[Part], shape: Columns, a: Columns, track: Columns) -> Tensor:
    """Pictures of people without a scene.

    Args:
        x: Where the columns of pixels are, in body heights, `(b, 1, w)`.
        y: Where the rows are, `(b, h, 1)`.
        parts: What the capsules are.
        shape: See `body.project`.
        a: Attributes of each frame's person, `(b, ...)`.
        track: Conditions of each frame, see `draw_tracks`.

    Returns:
        Red, green, blue and coverage, 0..1, `(b, 4, h, w)`.
    """
    x, y = x + 0 * y, y + 0 * x
    blank = torch.zeros_like(x)
    canvas = Canvas(blank + _NOTHING, blank, blank, blank)
    light, fold = Light(track["light"]), folds(x, y, track["waves"])
    for place, part in enumerate(parts):
        canvas = canvas.painted(paint_capsule(x, y, place, part, shape, a, light, fold))
    for surface in (paint_skirt(x, y, shape, a, light, fold), paint_upper(x, y, shape, a, light, fold)):
        canvas = canvas.painted(surface)
    canvas = canvas.painted(paint_head(x, y, shape, a, light))
    covered = (canvas.depth > _NOTHING / 2).to(x.dtype)
    return torch.stack([canvas.red, canvas.green, canvas.blue, covered], 1)
