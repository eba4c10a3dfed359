"""A figure as a sheet of paper: photographs, signs and text at places in inches from the upper left corner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlreid.visualize.figures.style import INK, USUAL, new_figure
from nlreid.visualize.figures.text import fitting, plain, words

if TYPE_CHECKING:
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

MARGIN, LINE = 0.1, 0.145  # in inches; from one line of text to the next
_BASE = 0.11  # from the upper edge of a line to what its letters stand on
_SIGNS = {  # in a box from -1 to 1
    "tick": ((-0.9, 0.0), (-0.3, -0.7), (0.9, 0.8)),
    "cross": ((-0.75, -0.75), (0.75, 0.75), (0.75, -0.75), (-0.75, 0.75)),
}


class Frame(NamedTuple):
    """How the frame of a photograph is drawn: its colour, the style of its line, and the thickness in points."""

    colour: str
    style: Any
    thickness: float


class Sheet:
    """An empty sheet; everything lies on one pair of axes, whose units are inches, y downwards.

    Args:
        width: In inches.
        height: In inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = new_figure(width, height)
        self.width, self.height = width, height
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.set_axis_off()

    def photograph(
        self, left: float, top: float, room: tuple[float, float], pixels: NDArray[np.uint8], frame: Frame
    ) -> tuple[AxesImage, Rectangle]:
        """Put a photograph, scaled to fit, into the middle of a framed room.

        Args:
            left: Of the room.
            top: Of the room.
            room: Height and width.
            pixels: uint8 RGB, `(h, w, 3)`.
            frame: Around the room.
        """
        from matplotlib.patches import Rectangle

        h, w = pixels.shape[:2]
        scale = min(room[0] / h, room[1] / w)
        height, width = scale * h, scale * w
        x, y = left + (room[1] - width) / 2, top + (room[0] - height) / 2
        image = self.axes.imshow(
            pixels, extent=(x, x + width, y + height, y), origin="upper", aspect="auto", interpolation="hanning"
        )
        edge = {"edgecolor": frame.colour, "linestyle": frame.style, "linewidth": frame.thickness, "joinstyle": "miter"}
        border = Rectangle((left, top), room[1], room[0], fill=False, zorder=2, **edge)
        self.axes.add_patch(border)
        return image, border

    def text(
        self,
        left: float,
        top: float,
        written: str,
        room: float,
        *,
        size: float = USUAL,
        colour: str = INK,
        weight: Literal["normal", "bold"] = "normal",
        middle: bool = False,
    ) -> Text:
        """Write a line, shortened where it is too long.

        Args:
            left: Of the line's room.
            top: Of the line.
            written: What to write.
            room: How long it may be.
            size: Of the font, in points.
            colour: Of the letters.
            weight: Of the font.
            middle: Whether it stands in the middle of its room, not at its left.
        """
        shown = fitting(plain(written), room, size, weight)
        look = words(fontsize=size, color=colour, fontweight=weight, horizontalalignment="center" if middle else "left")
        return self.axes.text(left + room / 2 if middle else left, top + _BASE, shown, verticalalignment="baseline", **look)

    def sign(self, left: float, top: float, kind: Literal["tick", "cross"], colour: str, *, size: float = 0.09) -> None:
        """Put a sign at the beginning of a line.

        Args:
            left: Of the sign.
            top: Of the line.
            kind: A tick or a cross.
            colour: Of the sign.
            size: Its height and width.
        """
        from matplotlib.path import Path

        corners = _SIGNS[kind]
        codes = [Path.MOVETO, Path.LINETO] * 2 if kind == "cross" else [Path.MOVETO, Path.LINETO, Path.LINETO]
        shape = Path(np.asarray(corners), codes)
        self.axes.plot(
            [left + size / 2],
            [top + _BASE - size / 2],
            marker=shape,
            markersize=72 * size,
            markeredgewidth=1.6,
            markeredgecolor=colour,
            markerfacecolor="none",
            linestyle="none",
            label=kind,
        )
