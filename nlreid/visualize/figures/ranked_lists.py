"""Ranked lists as a figure: who is looked for at the left, the nearest to the right, and which of those are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError, real_number
from nlreid.visualize.figures.sheet import LINE, MARGIN, Frame, Sheet
from nlreid.visualize.figures.style import GREEN, GREY, INK, PAGE, SMALL, VERMILLION, check_matplotlib
from nlreid.visualize.ranked_list import RankedList

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 0.12  # between photographs, frames included
_LEAST, _MOST = 0.4, 1.5  # of photographs where nobody says how high: the least of their sides, and the largest height
_NARROWEST = 0.5  # a column, so that what stands below a photograph can be read
_NARROW, _WIDE = 0.4, 1.6  # widths of photographs to their heights: what is beyond gets less height
_QUERY = Frame(INK, "-", 1.0)
_FRAMES = {True: Frame(GREEN, "-", 2.4), False: Frame(VERMILLION, (0, (2.5, 1.2)), 1.8), None: Frame(GREY, "-", 0.8)}
_SIGNS: dict[bool, tuple[Literal["tick", "cross"], str]] = {True: ("tick", GREEN), False: ("cross", VERMILLION)}
_TITLE = 0.165  # height of its line
_SIGN = 0.13  # how far the text stands from the left of the sign before it


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in inches: the room of a photograph, the columns, and how many lines of text are below."""

    room: tuple[float, float]
    column: float
    cameras: bool

    def left(self, place: int) -> float:
        """Of a column; the query is column 0, twice as far from the answers as they are from each other."""
        return MARGIN + place * (self.column + _GAP) + _GAP * (place > 0)

    def height(self, ranked: RankedList) -> float:
        return _TITLE * bool(ranked.title) + self.room[0] + (2 + self.cameras) * LINE + 0.16


def draw_ranked_lists(lists: Sequence[RankedList], *, height: float | None = None) -> Figure:
    """Draw ranked lists, one below the other, each tracklet by the picture in its middle.

    A right answer has a green, drawn frame and a tick, a wrong one a reddish, dashed frame and a cross, one of which nobody can
    tell a thin grey frame. Below each stand its distance, its camera (where one of all is known) and its name.

    Args:
        lists: What to draw, at least one.
        height: Of a photograph, in inches. By default so high that the figure is as wide as a page, within limits.

    Returns:
        A `matplotlib.figure.Figure`, for `save_picture` or a notebook.

    Raises:
        InputError: If there is no list, something is none, or `height` is no number above 0.
        DataError: If a picture cannot be read.
        MissingExtraError: If matplotlib is not installed.
    """
    check_matplotlib()
    if not lists:
        raise InputError("there is no ranked list to draw; wanted at least one")
    if not isinstance(lists, Sequence) or not all(isinstance(ranked, RankedList) for ranked in lists):
        raise InputError(f"what is drawn is a sequence of ranked lists; got {lists!r:.80}")
    pictures = [[_middle(tracklet) for tracklet in (ranked.query, *ranked.answers)] for ranked in lists]
    layout = _layout(lists, pictures, height)
    most = max(map(len, pictures))
    known = {ranked.right(place) for ranked in lists for place in range(len(ranked.answers))} - {None}
    wide = max(layout.left(most) - _GAP + MARGIN, 2.2)
    sheet = Sheet(wide, 2 * MARGIN + sum(map(layout.height, lists)) + (LINE if known else -MARGIN))
    top = MARGIN
    for ranked, row in zip(lists, pictures, strict=True):
        _draw(sheet, ranked, row, top, layout)
        top += layout.height(ranked)
    if known:
        _key(sheet, top)
    return sheet.figure


def _layout(lists: Sequence[RankedList], pictures: Sequence[Sequence[NDArray[np.uint8]]], height: float | None) -> _Layout:
    shapes = [picture.shape[1] / picture.shape[0] for row in pictures for picture in row]
    shape = min(max(max(shapes), _NARROW), _WIDE)
    columns = max(map(len, pictures))
    if height is None:
        column = (PAGE - 2 * MARGIN - _GAP) / columns - _GAP
        height = min(max(column / shape, _LEAST / min(shape, 1)), _MOST)
    elif real_number("height", height, "a number above 0, in inches") <= 0:
        raise InputError(f"height is a number above 0, in inches; got {height!r}")
    cameras = any(tracklet.camid is not None for ranked in lists for tracklet in (ranked.query, *ranked.answers))
    return _Layout((height, height * shape), max(height * shape, _NARROWEST), cameras)


def _draw(sheet: Sheet, ranked: RankedList, pictures: Sequence[NDArray[np.uint8]], top: float, layout: _Layout) -> None:
    if ranked.title:
        sheet.text(MARGIN, top, ranked.title, sheet.width - 2 * MARGIN, weight="bold")
        top += _TITLE
    top += 0.02  # for the frame
    frames = [_QUERY, *(_FRAMES[ranked.right(place)] for place in range(len(ranked.answers)))]
    for place, (picture, frame) in enumerate(zip(pictures, frames, strict=True)):
        left = layout.left(place) + (layout.column - layout.room[1]) / 2
        sheet.photograph(left, top, layout.room, picture, frame)
    below = top + layout.room[0] + 0.04
    _caption(sheet, "query", None, ranked.query, (layout.left(0), below), layout)
    for place, (answer, distance) in enumerate(zip(ranked.answers, ranked.distances, strict=True)):
        _caption(sheet, f"{distance:.3f}", ranked.right(place), answer, (layout.left(place + 1), below), layout)


def _caption(
    sheet: Sheet, first: str, right: bool | None, tracklet: Tracklet, place: tuple[float, float], layout: _Layout
) -> None:
    """A sign and a line, the camera if any is known, and the name."""
    left, top = place
    indent = 0.0
    if right is not None:
        kind, colour = _SIGNS[right]
        sheet.sign(left, top, kind, colour)
        indent = _SIGN
    sheet.text(left + indent, top, first, layout.column + _GAP / 4 - indent, size=SMALL)
    camera = "" if tracklet.camid is None else f"camera {tracklet.camid}"
    lines = [camera, tracklet.name] if layout.cameras else [tracklet.name]
    for number, line in enumerate(lines, start=1):
        sheet.text(left, top + number * LINE, line, layout.column + _GAP / 4, size=SMALL)


def _key(sheet: Sheet, top: float) -> None:
    """What the signs mean, in one line at the end."""
    left = MARGIN
    for right, meaning, room in ((True, "same person", 0.8), (False, "another person", 0.9)):
        kind, colour = _SIGNS[right]
        sheet.sign(left, top, kind, colour)
        sheet.text(left + _SIGN, top, meaning, room, size=SMALL, colour=INK)
        left += _SIGN + room + _GAP


def _middle(tracklet: Tracklet) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = tracklet.pictures([len(tracklet) // 2])[0].numpy()
    return picture
