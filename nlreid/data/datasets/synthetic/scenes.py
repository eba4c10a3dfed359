"""What lies behind people: asphalt, grass, walls, paths and lines, as larger pictures of which frames show a part."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from nlreid.data.datasets.synthetic.draws import Draws

SIDE = 160  # of the backgrounds, in pixels

# Red, green, blue and how rough: pavements, asphalt, concrete, lawns, gravel, brick, plaster, tiles, sand, slate.
_GROUNDS = torch.tensor(
    [
        [0.58, 0.58, 0.58, 0.03],
        [0.45, 0.45, 0.46, 0.03],
        [0.66, 0.65, 0.62, 0.04],
        [0.33, 0.45, 0.18, 0.08],
        [0.25, 0.38, 0.13, 0.08],
        [0.55, 0.48, 0.38, 0.09],
        [0.50, 0.35, 0.28, 0.08],
        [0.78, 0.77, 0.74, 0.03],
        [0.30, 0.30, 0.32, 0.05],
        [0.70, 0.62, 0.50, 0.06],
        [0.40, 0.42, 0.45, 0.10],
    ]
)
_LAYERS = ("all", "half", "line", "line", "patch", "patch")  # what is laid over what
_OCTAVES = ((3, 0.5), (8, 0.3), (24, 0.25), (SIDE, 0.25))  # cells of the noise and their share


def draw_scenes(count: int, generator: Generator) -> Tensor:
    """Backgrounds: uint8, `(count, 3, SIDE, SIDE)`.

    Args:
        count: How many.
        generator: Where they are drawn from.
    """
    draws = Draws(count, generator)
    picture = torch.zeros(count, 3, SIDE, SIDE)
    for number, layer in enumerate(_LAYERS):
        painted = _material(draws, vivid=number >= 2)
        picture = torch.where(_region(draws, layer)[:, None], painted, picture)
    return (picture.clamp(0, 1) * 255).to(torch.uint8)


def _material(draws: Draws, *, vivid: bool) -> Tensor:
    rows = _GROUNDS[draws.choice(torch.ones(len(_GROUNDS)))]
    any_colour = draws.chance(0.15 if vivid else 0.0) > 0
    colour = torch.where(any_colour, draws.uniform(0, 1, 3), rows[:, :3]) * draws.uniform(0.65, 1.25)
    rough = (rows[:, 3:] * draws.uniform(0.5, 2.5))[..., None]
    return colour[..., None, None] * (1 + (rough * _noise(draws))[:, None])


def _region(draws: Draws, layer: str) -> Tensor:
    """Where a layer lies: bool, `(count, SIDE, SIDE)`."""
    place = torch.linspace(0, 1, SIDE)
    x, y = place[None, None, :], place[None, :, None]
    angle = (draws.uniform(-0.5, 0.5) + draws.chance(0.3) * math.pi / 2)[..., None]
    across = (y - draws.uniform(0, 1)[..., None]) * angle.cos() + (x - draws.uniform(0, 1)[..., None]) * angle.sin()
    along = (x - 0.5) * angle.cos() - (y - 0.5) * angle.sin()
    if layer == "all":
        return torch.ones_like(across, dtype=torch.bool)
    if layer == "half":
        return across > 0
    if layer == "line":
        return (across.abs() < draws.uniform(0.004, 0.03)[..., None]) & (draws.chance(0.6)[..., None] > 0)
    inside = (across.abs() < draws.uniform(0.03, 0.2)[..., None]) & (along.abs() < draws.uniform(0.03, 0.25)[..., None])
    return inside & (draws.chance(0.5)[..., None] > 0)


def _noise(draws: Draws) -> Tensor:
    """Value noise of several octaves, about -1..1, `(count, SIDE, SIDE)`."""
    octaves = (
        share * F.interpolate(draws.normal(1.0, 1, cells, cells), (SIDE, SIDE), mode="bilinear")[:, 0]
        for cells, share in _OCTAVES
    )
    return torch.stack(list(octaves)).sum(0)


def views(scenes: Tensor, size: tuple[int, int], frames: int, draws: Draws) -> Tensor:
    """What frames show of their scenes while the box goes along with its person.

    Args:
        scenes: A background for each track, uint8, `(n, 3, SIDE, SIDE)`.
        size: Height and width of a frame, in pixels.
        frames: Frames of a track.
        draws: For n tracks, on the device of the scenes.

    Returns:
        Float, 0..1, `(n, t, 3, h, w)`.
    """
    time = torch.linspace(-0.5, 0.5, frames, device=draws.device)
    zoom, flip = draws.uniform(0.35, 1.0), draws.sign()
    path = [draws.uniform(0.1, 0.9) + draws.normal(speed) * time + draws.normal(0.02, frames) for speed in (0.3, 0.1)]
    centre = [(place.clamp(0, 1) * 2 - 1) * (1 - 0.8 * zoom) for place in path]  # of the view, -1..1, (n, t)
    rows, columns = (torch.linspace(-1, 1, side, device=draws.device) for side in size)
    x = (centre[0][..., None] + 0.4 * zoom[..., None] * columns) * flip[..., None]
    y = centre[1][..., None] + 0.8 * zoom[..., None] * rows
    column, row = ((((place + 1) / 2 * (SIDE - 1)).long()).clamp(0, SIDE - 1) for place in (x, y))
    track = torch.arange(len(scenes), device=draws.device)[:, None, None, None]
    seen = scenes[track, :, row[..., None], column[:, :, None, :]]  # (n, t, h, w, 3)
    return seen.permute(0, 1, 4, 2, 3).float() / 255


def shadows(size: tuple[int, int], draws: Draws) -> Tensor:
    """How much light reaches the ground under people, 0..1, `(n, 1, 1, h, w)`; arguments as in `views`."""
    rows = torch.linspace(0, 1, size[0], device=draws.device)[:, None]
    columns = torch.linspace(-1, 1, size[1], device=draws.device)
    down = torch.exp(-(((rows - 0.95) / 0.035) ** 2))
    across = torch.exp(-(((columns - draws.uniform(-0.5, 0.5)[..., None]) / 0.6) ** 2))
    return (1 - draws.uniform(0, 0.5)[..., None] * down * across)[:, None, None]
