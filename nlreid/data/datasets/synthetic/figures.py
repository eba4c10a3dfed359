"""People without a scene: identities and tracks in, cut-out pictures (figures) out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from nlreid.data.datasets.synthetic.body import project
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.raster import rasterise
from nlreid.data.datasets.synthetic.skeleton import Part

Rasterise = Callable[[Tensor, Tensor, list[Part], Columns, Columns, Columns], Tensor]

CHUNK = 32  # frames that are rasterised at once; always as many, so that a compiled form is compiled once
_CUT = 0.08  # share of the boxes whose detector missed the feet


class Renderer:
    """Draws people.

    Args:
        size: Height and width of the pictures, in pixels.
        device: Where pixels are computed; everything random is drawn on the CPU.
        compiled: Whether `torch.compile` fuses the rasteriser: half a minute once, then many times as fast. Its pictures may
            differ from those of the other in the last bit.
    """

    def __init__(self, size: tuple[int, int], *, device: torch.device | str = "cpu", compiled: bool = False) -> None:
        self.size, self.device = size, torch.device(device)
        self._rasterise: Rasterise = torch.compile(rasterise, dynamic=False) if compiled else rasterise

    def figures(self, a: Columns, track: Columns, generator: Generator) -> Tensor:
        """One picture for each frame, cut out as a detector would: shifted, a little too large or small, at times without feet.

        Args:
            a: Attributes of each frame's person, `(b, ...)`.
            track: Conditions of each frame, see `draw_tracks`.
            generator: Where the detector's errors are drawn from.

        Returns:
            uint8 red, green, blue and coverage, `(b, 4, h, w)`, on the CPU.
        """
        parts, shape, box = project(a, track)
        x, y = _grid(box, self.size, generator)
        out = []
        for start in range(0, len(x), CHUNK):
            rows = slice(start, min(start + CHUNK, len(x)))
            columns = [_chunk({k: v[rows] for k, v in c.items()}, self.device) for c in (shape, a, track)]
            places = _chunk({"x": x[rows], "y": y[rows]}, self.device)
            picture = self._rasterise(places["x"], places["y"], parts, *columns)[: rows.stop - rows.start]
            out.append((picture.clamp(0, 1) * 255).round().to(torch.uint8).cpu())
        return torch.cat(out)


def _chunk(columns: Columns, device: torch.device) -> Columns:
    """Columns of exactly `CHUNK` rows, contiguous, on a device."""
    short = CHUNK - len(next(iter(columns.values())))
    padded = {k: F.pad(v, [0, 0] * (v.ndim - 1) + [0, short], value=1.0) if short else v for k, v in columns.items()}
    return {k: v.to(device).contiguous() for k, v in padded.items()}


def _grid(box: Columns, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
    """Where the pixels of each frame are: `(b, 1, w)` and `(b, h, 1)`, in body heights."""
    draws = Draws(len(box["x"]), generator)
    cut = draws.chance(_CUT) * draws.uniform(0, 0.25)
    height, width = box["h"] * (1.06 + draws.normal(0.05)), box["w"] * (1.04 + draws.normal(0.07))
    middle_x = box["x"] + width * draws.normal(0.05)
    middle_y = box["y"] + height * draws.normal(0.02) + 0.5 * cut * height
    rows, columns = (torch.linspace(-0.5, 0.5, side) for side in size)
    x = middle_x[..., None] + width[..., None] * columns
    y = middle_y[..., None] - (height * (1 - cut))[..., None] * rows[:, None]
    return x, y
