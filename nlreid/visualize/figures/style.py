"""What all figures share: paper and ink, and colours, markers and lines that stay apart without colour.

Colours are those of Okabe & Ito, "Color Universal Design" (2008), which people with any kind of colour blindness tell apart.
Every colour that says something comes with a sign, a marker or a line style that says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nlreid.errors import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER, INK, GREY, LIGHT = "#ffffff", "#202020", "#8c8c8c", "#dddddd"
BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"
COLOURS = (BLUE, VERMILLION, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))  # drawn, dashed, dotted, in turns
PAGE = 7.2  # inches: as wide as figures are by default at most, the text of a printed page
SMALL, USUAL = 7.0, 8.0  # sizes of text, in points


class Look(NamedTuple):
    """How one of several things is drawn: the first seven differ in colour and in marker, the first 28 in colour or line."""

    colour: str
    marker: str
    dashes: Any


def look(place: int) -> Look:
    """The look of the thing at a place, from 0.

    >>> look(1)
    Look(colour='#d55e00', marker='s', dashes=(0, (5, 2)))
    """
    return Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)])


def new_figure(width: float, height: float, *, fitted: bool = False) -> Figure:
    """An empty figure that nothing else knows of: pyplot is not asked, so nothing is left behind when it is let go.

    Args:
        width: In inches.
        height: In inches.
        fitted: Whether axes are moved until their labels fit (constrained layout).

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure((width, height), facecolor=PAPER, edgecolor=PAPER)
    figure.set_layout_engine("constrained" if fitted else "none")
    return figure


def check_matplotlib() -> None:
    """Refuse, before the work whose result would be drawn, where nothing can be drawn.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    import_extra("matplotlib", "viz")


def plain_axes(figure: Figure) -> Axes:
    """Axes in ink on paper, whatever colours the user's settings have for them."""
    axes = figure.add_subplot(facecolor=PAPER)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelcolor=INK, labelsize=USUAL)
    axes.xaxis.label.set(color=INK, fontsize=USUAL, parse_math=False)
    axes.yaxis.label.set(color=INK, fontsize=USUAL, parse_math=False)
    axes.grid(visible=False)
    axes.set_axisbelow(True)
    return axes
