"""Attention as a figure: the frames, and below them, for each point, what it looks at in them (paper Fig. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError, real_number, whole_number
from nlreid.visualize.attention import Attention, Connection, Point
from nlreid.visualize.figures.sheet import LINE, MARGIN, Frame, Sheet
from nlreid.visualize.figures.style import GREY, INK, PAGE, PAPER, SMALL, USUAL, check_matplotlib
from nlreid.visualize.figures.text import width_of
from nlreid.visualize.heat import heated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 0.05  # between frames
_LEAST, _MOST = 0.4, 1.9  # of frames where nobody says how high: the least of their sides, and the largest height
_NARROWEST = 3.65  # inches: the texts above rows and the key need so much
_FRAME = Frame(GREY, "-", 0.6)
_MARK, _EDGE = "#00dcff", INK  # a colour that the heat does not have, with a dark edge: seen on light, on dark and in grey
_SCALE = (0.08, 0.6)  # height and width of the heat in the key


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in inches: the size of a frame, the shape of one in pixels, and how wide the figure is."""

    size: tuple[float, float]
    shape: tuple[int, int]
    wide: float

    def left(self, frame: int) -> float:
        return MARGIN + frame * (self.size[1] + _GAP)

    def place(self, top: float, frame: int, y: float, x: float) -> tuple[float, float]:
        """A place in a frame, y and x in its pixels, in the row whose frames begin at `top`: left and top."""
        return self.left(frame) + x * self.size[1] / self.shape[1], top + y * self.size[0] / self.shape[0]


def draw_attention(attention: Attention, *, height: float | None = None, strongest: int = 0) -> Figure:
    """Draw where points look.

    The first row is the clip. Each further one is of one point, which a ring marks in its frame; the lightest spot takes the
    most, and a spot without heat nothing. The heat of each row is relative to its largest weight, which stands above it,
    beside what each would have if all had the same, and what the block adds to the feature.

    Args:
        attention: From `attend`.
        height: Of a frame, in inches. By default so high that the figure is as wide as a page, within limits.
        strongest: To how many of the positions that it takes most from a line goes from each point, the thicker the more.

    Returns:
        A `matplotlib.figure.Figure`, for `save_picture` or a notebook.

    Raises:
        InputError: If `attention` is none, `height` is no number above 0, or `strongest` no whole number from 0.
        MissingExtraError: If matplotlib is not installed.
    """
    check_matplotlib()
    if not isinstance(attention, Attention):
        raise InputError(f"what is drawn is what nlreid.visualize.attend answers; got {type(attention).__qualname__}")
    frames = attention.frames.cpu().numpy()
    lines = attention.strongest(strongest) if whole_number("strongest", strongest, least=0) else [[] for _ in attention.points]
    layout = _layout(frames, height)
    titles = [_title(attention, place, layout.wide - 2 * MARGIN) for place in range(len(attention.points))]
    above = [LINE * len(title) + 0.03 for title in titles]
    clip = LINE + 0.03 + layout.size[0] + LINE + 0.1  # the numbers of the frames are below
    sheet = Sheet(layout.wide, 2 * MARGIN + clip + sum(above) + len(above) * (layout.size[0] + 0.08) + LINE)
    top = MARGIN + LINE + 0.03
    _row(sheet, top, [f"{attention.block}, {_frames(len(frames))}"], frames, layout)
    for number in range(len(frames)):
        below = top + layout.size[0] + 0.02
        sheet.text(layout.left(number), below, str(number + 1), layout.size[1], size=SMALL, middle=True)
    top = MARGIN + clip
    for place, weights in enumerate(attention.on_frames().numpy()):
        top += above[place]
        _row(sheet, top, titles[place], heated(frames, weights), layout)
        _marks(sheet, top, attention.points[place], lines[place], layout)
        top += layout.size[0] + 0.08
    _key(sheet, top, strongest=bool(strongest))
    return sheet.figure


def _layout(frames: NDArray[np.uint8], height: float | None) -> _Layout:
    count, h, w = frames.shape[:3]
    shape = w / h
    if height is None:
        width = (PAGE - 2 * MARGIN + _GAP) / count - _GAP
        height = min(max(width / shape, _LEAST / min(shape, 1)), _MOST)
    elif real_number("height", height, "a number above 0, in inches") <= 0:
        raise InputError(f"height is a number above 0, in inches; got {height!r}")
    wide = 2 * MARGIN + count * (height * shape + _GAP) - _GAP
    return _Layout((height, height * shape), (h, w), max(wide, _NARROWEST))


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _title(attention: Attention, place: int, room: float) -> list[str]:
    """Which point it is, and the figures of its row, in as many lines as it takes."""
    frame, y, x = attention.points[place]
    weights = attention.weights[place]
    lines = [f"from frame {frame + 1}, x {x}, y {y}"]
    for part in (
        f"largest weight {float(weights.max()):.2g} (all equal: {1 / weights.numel():.2g})",
        f"adds {100 * float(attention.added[place]):.2g} % of the feature's length",
    ):
        longer = f"{lines[-1]}; {part}"
        lines[-1:] = [longer] if width_of(longer, USUAL) <= room else [lines[-1], part]
    return lines


def _row(sheet: Sheet, top: float, title: Sequence[str], frames: NDArray[np.uint8], layout: _Layout) -> None:
    """Frames from `top` on, and their title above."""
    for number, line in enumerate(title):
        sheet.text(MARGIN, top - 0.03 - (len(title) - number) * LINE, line, layout.wide - 2 * MARGIN)
    for place, frame in enumerate(frames):
        sheet.photograph(layout.left(place), top, layout.size, frame, _FRAME)


def _marks(sheet: Sheet, top: float, point: Point, lines: Sequence[Connection], layout: _Layout) -> None:
    """The lines to where a point takes from, and a ring around it."""
    start = layout.place(top, point[0], point[1] + 0.5, point[2] + 0.5)
    for to in lines:
        _line(sheet, start, layout.place(top, to.frame, to.y, to.x), to.weight / lines[0].weight)
    _ring(sheet, start, max(layout.size[0] / 12, 0.09))


def _ring(sheet: Sheet, place: tuple[float, float], across: float) -> None:
    """A ring around a place, seen on any ground."""
    for colour, thickness in ((_EDGE, 2.6), (_MARK, 1.4)):
        ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": thickness}
        sheet.axes.plot(*place, marker="o", markersize=72 * across, zorder=4, label="point", **ring)


def _line(sheet: Sheet, start: tuple[float, float], end: tuple[float, float], share: float) -> None:
    """A line that ends in a dot, the thicker the larger its share of the largest weight."""
    for colour, more in ((_EDGE, 1.0), (_MARK, 0.0)):
        dot: dict[str, Any] = {"marker": "o", "markevery": [1], "markersize": 3 + more, "markeredgewidth": 0}
        width = 0.4 + share + more
        places = zip(start, end, strict=True)
        sheet.axes.plot(*places, color=colour, linewidth=width, linestyle="-", zorder=3, label="connection", **dot)


def _key(sheet: Sheet, top: float, *, strongest: bool) -> None:
    """What the ring, the heat and the lines mean, in one line at the end."""
    across = top + 0.07
    _ring(sheet, (MARGIN + 0.06, across), 0.09)
    sheet.text(MARGIN + 0.17, top, "the point", 0.5, size=SMALL)
    sheet.text(0.85, top, "nothing", 0.42, size=SMALL)
    grey, ramp = np.full((1, 8, 128, 3), 128, np.uint8), np.broadcast_to(np.linspace(0, 1, 128, dtype=np.float32), (1, 8, 128))
    sheet.photograph(1.3, top + 0.03, _SCALE, heated(grey, ramp)[0], Frame(PAPER, "-", 0.0))
    sheet.text(1.35 + _SCALE[1], top, "most of its row", 0.8, size=SMALL)
    if strongest:
        _line(sheet, (2.8, across), (3.0, across), 1.0)
        sheet.text(3.07, top, "strongest", 0.5, size=SMALL)
