"""Attention as a picture: the frames, and below them, for each point, what it looks at in them (paper Fig. 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nlreid.errors import whole_number
from nlreid.visualize.attention import Attention, Point
from nlreid.visualize.drawing import GREY, LINE, MARGIN, PAPER, put_photograph, put_text

_GAP = 6
_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEAT = ((40, 0, 90), (140, 20, 110), (225, 60, 50), (250, 150, 30), (255, 240, 120))  # from cold to hot, ever lighter
_MARK = (0, 220, 255)  # a colour that the heat does not have


def draw_attention(attention: Attention, *, height: int = 192) -> Image.Image:
    """Draw where points look.

    The first row is the clip. Each further one is of one point, which a ring marks in its frame; the lightest spot takes the
    most, and a spot without colour nothing. Colours of each row are relative to its largest weight, which stands above it,
    beside what the block adds to the feature.

    Args:
        attention: From `attend`.
        height: Of a frame in the picture, in pixels.

    Returns:
        RGB.

    Raises:
        InputError: If `height` is no whole number from 1.
    """
    frames = attention.frames.cpu().numpy()
    size = _size(frames, whole_number("height", height))
    step = size[0] + LINE + _GAP
    width = 2 * MARGIN + len(frames) * (size[1] + _GAP) - _GAP
    canvas = Image.new("RGB", (width, 2 * MARGIN + (1 + len(attention.points)) * step - _GAP), PAPER)
    _row(canvas, MARGIN, f"{len(frames)} frames", frames, size)
    rows = zip(attention.points, attention.on_frames().numpy(), attention.added.tolist(), strict=True)
    for place, (point, weights, added) in enumerate(rows, start=1):
        where = f"{attention.block}, from frame {point[0] + 1}, x {point[2]}, y {point[1]}"
        title = f"{where}: largest weight {weights.max():.2g}, adds {100 * added:.2g} % of the feature's length"
        _row(canvas, MARGIN + place * step, title, heated(frames, weights), size)
        _ring(canvas, MARGIN + place * step + LINE, point, frames, size)
    return canvas


def heated(frames: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The frames in grey, and over them the weights as heat.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        weights: `(t, h, w)`; what is not above 0 is not seen.

    Returns:
        uint8 RGB, `(t, h, w, 3)`.
    """
    largest = max(float(weights.max()), np.finfo(np.float32).tiny)
    share = np.clip(weights / largest, 0, 1)
    heat = np.stack([np.interp(share, _LEVELS, channel) for channel in zip(*_HEAT, strict=True)], axis=-1)
    grey = frames.mean(axis=-1, keepdims=True)
    cover = 0.85 * np.sqrt(share)[..., None]  # by the root, so that a tenth of the largest is still to be seen
    covered: NDArray[np.uint8] = np.rint(grey * (1 - cover) + heat * cover).astype(np.uint8)
    return covered


def _size(frames: NDArray[np.uint8], height: int) -> tuple[int, int]:
    return height, max(1, round(height * frames.shape[2] / frames.shape[1]))


def _row(canvas: Image.Image, top: int, title: str, frames: NDArray[np.uint8], size: tuple[int, int]) -> None:
    put_text(canvas, (MARGIN, top), title, canvas.width - 2 * MARGIN)
    for place, frame in enumerate(frames):
        put_photograph(canvas, (MARGIN + place * (size[1] + _GAP), top + LINE), frame, size, colour=GREY, border=1)


def _ring(canvas: Image.Image, top: int, point: Point, frames: NDArray[np.uint8], size: tuple[int, int]) -> None:
    """A ring around the middle of the point's pixel."""
    frame, y, x = point
    across = MARGIN + frame * (size[1] + _GAP) + (x + 0.5) * size[1] / frames.shape[2]
    down = top + (y + 0.5) * size[0] / frames.shape[1]
    radius = max(size[0] / 24, 3)
    ImageDraw.Draw(canvas).ellipse((across - radius, down - radius, across + radius, down + radius), outline=_MARK, width=2)
