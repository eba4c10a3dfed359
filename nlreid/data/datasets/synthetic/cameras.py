"""Cameras: where they look from, their colours, their optics, their resolution, and what compression leaves."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.errors import InputError, real_number

HEIGHTS = (32, 48, 64, 80, 96, 128)  # of a box, in pixels of the camera; all divide into blocks of 8
_HEIGHT_WEIGHTS = (0.12, 0.22, 0.26, 0.18, 0.12, 0.10)
_K = torch.arange(8.0)
_DCT = torch.cos(math.pi * (2 * _K[None] + 1) * _K[:, None] / 16) * torch.where(_K[:, None] == 0, math.sqrt(1 / 8), 0.5)
_COARSER = 1 + 0.5 * (_K[:, None] + _K)  # high frequencies are kept less exactly


def checked_strength(strength: float) -> float:
    """`strength`, if it is one that `draw_cameras` takes.

    Raises:
        InputError: If it is no number from 0 to 1.
    """
    if not 0 <= real_number("strength", strength, "a number from 0 to 1") <= 1:
        raise InputError(f"strength is a number from 0 to 1; got {strength!r}")
    return float(strength)


def draw_cameras(count: int, generator: Generator, strength: float = 0.35) -> Columns:
    """Cameras that differ in where they look from, in colours, sharpness, noise, resolution and compression.

    Args:
        count: Cameras.
        generator: Where they are drawn from.
        strength: How much their colours differ; 0 is not at all, 1 is as daylight differs from lamps.

    Returns:
        A row for each camera: float, `(count, 1)`, `gain` `(count, 3)`.
    """
    draws = Draws(count, generator)
    grey = draws.chance(0.08 * strength) > 0
    return {
        "pitch": draws.uniform(0, 1) ** 1.3 * 0.6,  # downwards, in radians
        "gain": torch.exp(strength * (draws.normal(0.07, 3) + draws.normal(0.18))),
        "saturation": torch.where(grey, 0.15, torch.exp(draws.normal(0.3 * strength)).clamp(0.3, 1.8)),
        "gamma": torch.exp(draws.normal(0.25 * strength)),
        "contrast": torch.exp(draws.normal(0.18 * strength)),
        "lift": draws.uniform(-0.08, 0.1) * strength,
        "height": torch.tensor(HEIGHTS)[draws.choice(_HEIGHT_WEIGHTS)][:, None].float(),
        "sharpening": draws.chance(0.4) * draws.uniform(0.2, 1.5),
        "noise": draws.chance(0.8) * draws.uniform(0, 0.04),
        "quantum": draws.chance(0.7) * draws.uniform(0.01, 0.12),  # of the compression
    }


def photograph(picture: Tensor, cameras: Columns, generator: Generator) -> Tensor:
    """What cameras make of what is before them.

    Args:
        picture: Float, 0..1, `(n, t, 3, h, w)`.
        cameras: A row for each track, see `draw_cameras`.
        generator: Where the noise is drawn from.

    Returns:
        uint8, `(n, t, 3, h, w)`, on the picture's device.
    """
    cameras = {key: column.to(picture.device) for key, column in cameras.items()}
    picture = _coloured(picture, cameras).clamp(0, 1)
    out = torch.empty_like(picture)
    for height in HEIGHTS:
        rows = torch.nonzero(cameras["height"][:, 0] == height)[:, 0]
        if len(rows):
            chosen = {key: column[rows].repeat_interleave(picture.shape[1], 0) for key, column in cameras.items()}
            out[rows] = _recorded(picture[rows].flatten(0, 1), height, chosen, generator).view_as(picture[rows])
    return (out.clamp(0, 1) * 255).round().to(torch.uint8)


def _coloured(picture: Tensor, cameras: Columns) -> Tensor:
    def column(name: str) -> Tensor:
        return cameras[name][:, None, :, None, None]

    picture = torch.lerp(picture.mean(2, keepdim=True), picture, column("saturation")) * column("gain")
    picture = picture.clamp(1e-4, 4) ** column("gamma")
    return (picture - 0.45) * column("contrast") + 0.45 + column("lift")


def _recorded(picture: Tensor, height: int, cameras: Columns, generator: Generator) -> Tensor:
    """Optics, sensor, sharpening, noise and compression of frames `(b, 3, h, w)` at one resolution, then shown at theirs."""
    size = picture.shape[-2:]
    resolution = height, max(16, round(height * size[1] / size[0] / 8) * 8)
    sharpening, noise = (cameras[name][..., None, None] for name in ("sharpening", "noise"))
    other = resolution != tuple(size)
    x = F.interpolate(picture, resolution, mode="bilinear", antialias=True) if other else picture
    x = _blurred(x)
    if bool(sharpening.any()):
        x = x + sharpening * (x - _blurred(x))
    x = x + noise * torch.randn(x.shape, generator=generator).to(x.device)
    x = _compressed(x, cameras["quantum"])
    finer = resolution[0] > size[0] or resolution[1] > size[1]  # small pictures: what is made smaller must not alias
    return F.interpolate(x, size, mode="bilinear", antialias=finer) if other else x


def _blurred(picture: Tensor) -> Tensor:
    """Neighbours with weights 1, 2, 1 in both directions; beyond the edge is what is at the edge."""
    for axis in (2, 3):
        n = picture.shape[axis]
        first, last = picture.narrow(axis, 0, 1), picture.narrow(axis, n - 1, 1)
        before = torch.cat([first, picture.narrow(axis, 0, n - 1)], axis)
        after = torch.cat([picture.narrow(axis, 1, n - 1), last], axis)
        picture = (before + after).add_(picture, alpha=2).mul_(0.25)
    return picture


def _compressed(picture: Tensor, quantum: Tensor) -> Tensor:
    """Each 8 x 8 block as whole multiples of a quantum of its cosine transform, as JPEG and MPEG do.

    Args:
        picture: Float, `(b, 3, h, w)`, h and w multiples of 8.
        quantum: Of the mean of a block, `(b, 1)`; those of higher frequencies are larger.
    """
    b, c, h, w = picture.shape
    transform, coarser = _DCT.to(picture.device), _COARSER.to(picture.device)
    blocks = picture.view(b, c, h // 8, 8, w // 8, 8).transpose(3, 4)  # (b, c, h/8, w/8, 8, 8)
    step = (quantum[..., None, None, None, None] * coarser).clamp_min(1e-3)
    kept = (transform @ blocks @ transform.T / step).round() * step
    return (transform.T @ kept @ transform).transpose(3, 4).reshape(b, c, h, w)
