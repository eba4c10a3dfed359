"""What hides people: passers-by, poles, signs and low walls, which a walking person leaves behind."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nlreid.data.datasets.synthetic.draws import Draws

# Share of the tracks that meet somebody who passes by, and of those that meet what stands in the way.
_PASSERS_BY = 0.30
_STANDING = {"pole": 0.16, "sign": 0.10, "wall": 0.08}


def pass_by(picture: Tensor, people: Tensor, others: Tensor, draws: Draws) -> Tensor:
    """Let others walk by, some in front of people and some behind.

    Args:
        picture: Float, 0..1, `(n, t, 3, h, w)`.
        people: Coverage of the people in it, 0..1, `(n, t, 1, h, w)`.
        others: Figures of the passers-by: uint8 red, green, blue and coverage, `(n, t, 4, h, w)`.
        draws: For n tracks, on the device of the rest.

    Returns:
        A picture of the same shape.
    """
    n, t, _, h, w = others.shape
    met = draws.chance(_PASSERS_BY)[:, 0] > 0
    time = torch.linspace(-0.5, 0.5, t, device=draws.device)
    scale = draws.uniform(0.7, 1.3)
    x = draws.uniform(0.4, 1.6) * draws.sign() + draws.normal(1.2) * time  # of the middle, in half widths, (n, t)
    y = (draws.normal(0.25) - 0.1).expand(n, t)
    in_front = (draws.chance(0.6) > 0)[..., None, None, None]
    rows = torch.nonzero(met)[:, 0]
    if not len(rows):
        return picture
    k, inverse = len(rows), (1 / scale)[rows].expand(-1, t)
    zero = torch.zeros_like(inverse)
    theta = torch.stack([inverse, zero, -x[rows] * inverse, zero, inverse, -y[rows] * inverse], -1).view(k * t, 2, 3)
    grid = F.affine_grid(theta, [k * t, 4, h, w], align_corners=False)
    moved = F.grid_sample(others[rows].flatten(0, 1).float() / 255, grid, align_corners=False).view(k, t, 4, h, w)
    cover = moved[:, :, 3:] * torch.where(in_front[rows], 1.0, 1 - people[rows])
    picture = picture.clone()
    picture[rows] = torch.lerp(picture[rows], moved[:, :, :3], cover)
    return picture


def stand_in_front(picture: Tensor, draws: Draws) -> Tensor:
    """Put poles, signs and low walls in front of people; arguments and result as in `pass_by`."""
    _, t, _, h, w = picture.shape
    time = torch.linspace(-0.5, 0.5, t, device=draws.device)[None, :, None, None]
    rows, columns = (torch.linspace(0, 1, side, device=draws.device) for side in (h, w))
    rows = rows[:, None]
    for kind, share in _STANDING.items():
        here = draws.chance(share)[..., None, None] > 0
        x = draws.uniform(-0.2, 1.2)[..., None, None] + draws.normal(1.0)[..., None, None] * time
        half_width = draws.uniform(*((0.12, 0.4) if kind == "sign" else (0.02, 0.09)))[..., None, None]
        y, half_height = draws.uniform(0, 1)[..., None, None], draws.uniform(0.06, 0.2)[..., None, None]
        top, paint = draws.uniform(0.6, 0.95)[..., None, None], _paint(draws, rows, columns)
        if not bool(here.any()):
            continue
        where = (columns - x).abs() < half_width
        if kind == "sign":
            where = where & ((rows - y).abs() < half_height)
        if kind == "wall":
            where = (rows > top) & torch.ones_like(where)
        picture = torch.where((here & where)[:, :, None], paint[:, None], picture)
    return picture


def _paint(draws: Draws, rows: Tensor, columns: Tensor) -> Tensor:
    """One colour each, grey or vivid, with faint bars: `(n, 3, h, w)`."""
    vivid = draws.uniform(0, 1, 3)
    colour = torch.lerp(vivid.mean(1, keepdim=True), vivid, draws.uniform(0, 1))[..., None, None]
    bars = (columns * draws.uniform(5, 20)[..., None] + rows * draws.uniform(0, 20)[..., None]).sin() > 0.7
    return colour * (1 - 0.3 * bars[:, None])
