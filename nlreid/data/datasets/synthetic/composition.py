"""From figures to tracklets: a scene behind them, others around them, a camera before them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from nlreid.data.datasets.synthetic.cameras import photograph
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.occluders import pass_by, stand_in_front
from nlreid.data.datasets.synthetic.scenes import shadows, views


def compose(figures: Tensor, others: Tensor, scenes: Tensor, cameras: Columns, generator: Generator) -> Tensor:
    """Put people before scenes and photograph them, on the device on which the figures are.

    Args:
        figures: The people: uint8 red, green, blue and coverage, `(n, t, 4, h, w)`.
        others: Those who may pass by, of the same shape.
        scenes: A background for each track, uint8, `(n, 3, s, s)`, see `draw_scenes`.
        cameras: A row for each track, see `draw_cameras`.
        generator: Where everything else is drawn from, of the CPU.

    Returns:
        uint8 RGB, `(n, t, h, w, 3)`, on that device.
    """
    n, t, _, h, w = figures.shape
    draws = Draws(n, generator, figures.device)
    people = figures.float() / 255
    picture = views(scenes.to(figures.device), (h, w), t, draws) * shadows((h, w), draws)
    picture = torch.lerp(picture, people[:, :, :3], people[:, :, 3:])
    picture = pass_by(picture, people[:, :, 3:], others, draws)
    picture = stand_in_front(picture, draws)
    return photograph(picture, cameras, generator).permute(0, 1, 3, 4, 2).contiguous()  # n t c h w -> n t h w c
