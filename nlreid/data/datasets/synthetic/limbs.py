"""Limbs, hair and bags as pixels: tapered capsules, round all along."""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.skeleton import Part
from nlreid.data.datasets.synthetic.surfaces import Light, Surface, mix, pixels, rgb


def folds(x: Tensor, y: Tensor, waves: Tensor) -> Tensor:
    """Folds of cloth: crossing waves that bend each other, about -1..1, `(b, h, w)`.

    Args:
        x: Where the columns of pixels are, in body heights, `(b, h, w)`.
        y: Where the rows are.
        waves: Frequencies and phases, `(b, 9)`.
    """
    w = [pixels(waves[:, i : i + 1]) for i in range(8)]
    bend = torch.sin(w[3] * x + w[4] * y + w[5])
    return torch.sin(w[0] * x + w[1] * y + w[2] + 2 * bend) * (0.6 + 0.4 * torch.sin(w[6] * x + w[7] * y + 1.5 * bend))


def paint_capsule(
    x: Tensor, y: Tensor, place: int, part: Part, shape: Columns, a: Columns, light: Light, fold: Tensor
) -> Surface:
    """One capsule.

    Args:
        x: Where the columns of pixels are, in body heights, `(b, h, w)`.
        y: Where the rows are.
        place: Which of the capsules.
        part: What it is.
        shape: See `body.project`.
        a: Attributes of each frame's person, `(b, ...)`.
        light: What shines on it.
        fold: See `folds`.
    """
    x0, y0, z0 = (pixels(shape["start"][:, place, i : i + 1]) for i in range(3))
    x1, y1, z1 = (pixels(shape["end"][:, place, i : i + 1]) for i in range(3))
    r0, r1 = (pixels(shape["radii"][:, place, i : i + 1]) for i in range(2))
    right, up = x1 - x0, y1 - y0
    along = (((x - x0) * right + (y - y0) * up) / (right * right + up * up + 1e-5)).clamp(0, 1)
    radius = r0 + along * (r1 - r0)
    nx, ny = (x - x0 - along * right) / radius, (y - y0 - along * up) / radius
    rest = 1 - nx * nx - ny * ny
    nz = rest.clamp_min(0).sqrt()
    shade = light.on(nx, ny, nz)
    if part.cloth:
        shade = shade * (1 + pixels(a["folds"]) * fold)
    if part.quilted:
        shade = shade * (1 + pixels(a["quilt"]) * torch.sin(along * 25 + place))
    first, second = rgb(shape["colours"][:, place, 0]), rgb(shape["colours"][:, place, 1])
    colour = mix(along < pixels(shape["switch"][:, place : place + 1]), first, second)
    return Surface(rest > 0, z0 + along * (z1 - z0) + radius * nz, shade, colour)
