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
from nlreid.data.datasets.synthetic.tracks import draw_tracks
from nlreid.data.device import resolve_device
from nlreid.errors import InputError, whole_number

Rasterise = Callable[[Tensor, Tensor, list[Part], Columns, Columns, Columns], Tensor]

LEAST_SIDE = 8  # of a picture, in pixels
_CHUNK = 32  # frames that are rasterised at once
_CUT = 0.08  # share of the boxes whose detector missed the feet


class Renderer:
    """Draws people.

    Args:
        size: Height and width of the pictures, in pixels, each at least 8.
        device: Where pixels are computed. Everything random is drawn on the CPU, so that the same people walk the same way
            before the same cameras on every device; pixels may differ in the last bit.
        compiled: Whether `torch.compile` fuses the rasteriser: half a minute once, then many times as fast. Its pixels, too,
            may differ in the last bit.

    Raises:
        InputError: If there can be no picture of that size, or there is no such device.
    """

    def __init__(self, size: tuple[int, int], *, device: torch.device | str = "cpu", compiled: bool = False) -> None:
        self.size, self.device, self.compiled = checked_size(size), resolve_device(device), compiled
        self._rasterise: Rasterise = torch.compile(rasterise, dynamic=False) if compiled else rasterise

    def tracks(
        self, people: Columns, pitch: Tensor, frames: int, generator: Generator, rate: tuple[float, float] = (0.3, 1.4)
    ) -> Tensor:
        """A walk of each of some people, in directions, light and poses that are drawn.

        Args:
            people: Attributes of who walks, `(n, ...)`, see `draw_identities`.
            pitch: How far each one's camera looks down, in radians, `(n, 1)`.
            frames: Of a walk.
            generator: Where everything random is drawn from.
            rate: Change of the gait's phase, see `draw_tracks`.

        Returns:
            uint8 red, green, blue and coverage, `(n, frames, 4, h, w)`, on the device.
        """
        track = draw_tracks(people, frames, pitch, generator, rate)
        each_frame = {key: column.repeat_interleave(frames, 0) for key, column in people.items()}
        return self.figures(each_frame, track, generator).view(len(pitch), frames, 4, *self.size)

    def figures(self, a: Columns, track: Columns, generator: Generator) -> Tensor:
        """One picture for each frame, cut out as a detector would: shifted, a little too large or small, at times without feet.

        Args:
            a: Attributes of each frame's person, `(b, ...)`.
            track: Conditions of each frame, see `draw_tracks`.
            generator: Where the detector's errors are drawn from.

        Returns:
            uint8 red, green, blue and coverage, `(b, 4, h, w)`, on the device.
        """
        parts, shape, box = project(a, track)
        x, y = _grid(box, self.size, generator)
        out = []
        for start in range(0, len(x), _CHUNK):
            count = min(_CHUNK, len(x) - start)
            places, *columns = (self._chunk(c, start, count) for c in ({"x": x, "y": y}, shape, a, track))
            picture = self._rasterise(places["x"], places["y"], parts, *columns)[:count]
            out.append((picture.clamp(0, 1) * 255).round().to(torch.uint8))
        return torch.cat(out)

    def _chunk(self, columns: Columns, start: int, count: int) -> Columns:
        """Some rows of all columns, contiguous, on the device; compiled for one number of rows, more are added to the last."""
        rows = {key: column[start : start + count] for key, column in columns.items()}
        if self.compiled and count < _CHUNK:
            rows = {key: F.pad(c, [0, 0] * (c.ndim - 1) + [0, _CHUNK - count], value=1.0) for key, c in rows.items()}
        return {key: column.to(self.device).contiguous() for key, column in rows.items()}


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """`size`, if pictures of people can have it.

    Raises:
        InputError: If it is not two whole numbers from 8.
    """
    if not isinstance(size, tuple) or len(size) != 2:
        raise InputError(f"size is the height and the width of the pictures in pixels, a tuple; got {size!r}")
    height, width = (whole_number("each side of size", side, least=LEAST_SIDE) for side in size)
    return height, width


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
