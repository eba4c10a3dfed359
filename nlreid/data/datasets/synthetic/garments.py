"""Skirt and upper garment as pixels: an elliptical torso with a hem, patterns around the body, open fronts and straps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.surfaces import RGB, Light, Surface, mix, pixels, rgb


class Torso(NamedTuple):
    """Coordinates on the torso, `(b, h, w)` each.

    Args:
        height: Along the spine, 0 at the hip, 1 at the shoulders.
        side: Across, from the spine, in body heights.
        half_width: Of the body at this height, in body heights.
    """

    height: Tensor
    side: Tensor
    half_width: Tensor


def torso(x: Tensor, y: Tensor, shape: Columns) -> Torso:
    """Where pixels are on the torso; arguments as in `limbs.paint_capsule`."""
    hip_x, hip_y = (pixels(shape["hip"][:, i : i + 1]) for i in range(2))
    right, up = (pixels(shape["shoulder"][:, i : i + 1] - shape["hip"][:, i : i + 1]) for i in range(2))
    length = (right * right + up * up).sqrt()
    v = ((x - hip_x) * right + (y - hip_y) * up) / (length * length)
    side = ((x - hip_x) * up - (y - hip_y) * right) / length
    thigh, hip, waist, chest, shoulder = (pixels(shape["widths"][:, i : i + 1]) for i in range(5))
    above = torch.where(v < 0.8, waist + (chest - waist) * (v - 0.4) / 0.4, chest + (shoulder - chest) * (v - 0.8) / 0.2)
    below = torch.where(v < 0, hip + (thigh - hip) * (-v).clamp(0, 1), hip + (waist - hip) * v / 0.4)
    round_shoulders = (1 - ((v - 0.82) / 0.26).clamp(0, 1) ** 2).clamp_min(1e-4).sqrt()
    return Torso(v, side, torch.where(v < 0.4, below, above) * round_shoulders)


def paint_skirt(x: Tensor, y: Tensor, shape: Columns, a: Columns, light: Light, fold: Tensor) -> Surface:
    """The skirt of whoever wears one; arguments as in `limbs.paint_capsule`."""
    body = torso(x, y, shape)
    thigh, waist = pixels(shape["widths"][:, 0:1]), pixels(shape["widths"][:, 2:3]) * 0.95
    width = waist + (thigh * pixels(a["flare"]) - waist) * ((0.35 - body.height) / 1.1).clamp(0, 1)
    u, nz = _around(body.side, width)
    hem = pixels(a["skirt_hem"]) - 0.12 * pixels(shape["sin_pitch"]) * nz
    hit = (u.abs() < 1) & (body.height > hem) & (body.height < 0.35) & (pixels(a["skirt"]) > 0)
    shade = light.on(u, 0.2, nz) * (1 + pixels(a["folds"]) * fold)
    return Surface(hit, _depth(body, shape, nz, 1.0), shade, rgb(a["lower"]))


def paint_upper(x: Tensor, y: Tensor, shape: Columns, a: Columns, light: Light, fold: Tensor) -> Surface:
    """Shirt, jacket or coat with what is on it; arguments as in `limbs.paint_capsule`."""
    body = torso(x, y, shape)
    u, nz = _around(body.side, body.half_width)
    v, hem = body.height, pixels(a["hem"])
    hit = (u.abs() < 1) & (v > hem - 0.12 * pixels(shape["sin_pitch"]) * nz) & (v < 1.08)
    lateral = u * pixels(shape["cos_yaw"]) - nz * pixels(shape["sin_yaw"])  # the normal, in the body's own frame
    ahead = u * pixels(shape["sin_yaw"]) + nz * pixels(shape["cos_yaw"])
    shade = light.on(u, 0.2, nz) * (1 + pixels(a["folds"]) * fold) * (1 + pixels(a["quilt"]) * torch.sin(v * 38))
    shade = shade * (1 - 0.25 * (v < hem + 0.03)) * (1 + pixels(a["fade_up"]) * (v - 0.4))
    front = ahead > 0.25
    shade = shade * (1 + pixels(a["zipped"]) * (front & (lateral.abs() < 0.06)))
    colour = mix(_pattern(v, lateral, ahead, a), rgb(a["upper2"]), rgb(a["upper"]))
    opened = front & (lateral.abs() < pixels(a["opened"]) * (0.4 + 0.6 * v.clamp(0, 1)))
    colour = mix(opened, rgb(a["inner"]), colour)
    return Surface(hit, _depth(body, shape, nz, 1.1), shade, _with_straps(colour, v, lateral, front, a))


def _around(side: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """The normal of an elliptical cylinder: across -1..1, and to the camera."""
    u = side / width
    return u, (1 - u * u).clamp_min(0).sqrt()


def _depth(body: Torso, shape: Columns, nz: Tensor, thick: float) -> Tensor:
    hip, shoulder = pixels(shape["hip"][:, 2:3]), pixels(shape["shoulder"][:, 2:3])
    drape = 0.14 * (0.1 - body.height).clamp(0, 0.5)  # cloth lies over the thighs
    return hip + body.height * (shoulder - hip) + pixels(shape["bulge"]) * thick * nz + drape


def _pattern(v: Tensor, lateral: Tensor, ahead: Tensor, a: Columns) -> Tensor:
    """Where the upper garment has its second colour: bool, `(b, h, w)`; the order is that of `identity.PATTERNS`."""
    frequency, level, place = pixels(a["frequency"]), pixels(a["level"]), pixels(a["place"])
    stripes = torch.sin(v * frequency) > 0.2
    columns = torch.sin(torch.atan2(lateral, ahead) * frequency * 0.3) > 0.2
    logo = (ahead > 0.25) & ((lateral - place).abs() < 0.35 * level) & ((v - 0.68).abs() < 0.2 * level)
    back = (ahead < -0.25) & (lateral.abs() < 0.6 * level) & ((v - 0.65).abs() < 0.25 * level)
    rules = (stripes, columns, stripes ^ columns, v > level, lateral.abs() > 0.8, logo, back)
    where = (pixels(a["trim"]) > 0) & (v < pixels(a["hem"]) + 0.1)
    for number, rule in enumerate(rules, 1):
        where = where | (rule & (pixels(a["pattern"][:, number : number + 1]) > 0))
    return where


def _with_straps(colour: RGB, v: Tensor, lateral: Tensor, front: Tensor, a: Columns) -> RGB:
    across = (pixels(a["strap"]) > 0) & ((lateral * pixels(a["mirror"]) - (v - 0.55) * 1.4).abs() < 0.09)
    rucksack = (pixels(a["back"]) > 0) & front & ((lateral.abs() - 0.55).abs() < 0.1) & (v > 0.45)
    return mix(across | rucksack, rgb(a["bag"]), colour)
