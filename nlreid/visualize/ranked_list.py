"""Ranked lists as a picture: who is looked for at the left, the nearest to the right of them, and who of those is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nlreid.data.split import JUNK
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError, real_number, whole_number
from nlreid.visualize.drawing import GREEN, GREY, INK, LINE, MARGIN, PAPER, RED, put_photograph, put_text

_GAP = 14  # between photographs, frames included
_COLOURS = {True: GREEN, False: RED, None: GREY}


@dataclass(frozen=True, eq=False)
class RankedList:
    """Who was looked for, and who was found.

    Args:
        query: Who was looked for.
        answers: Who was found, nearest first; may be nobody.
        distances: How far each answer is from the query.
        title: What is written above, such as what ranked them.

    Raises:
        InputError: If something is no tracklet or no finite number, or there are not as many distances as answers.
    """

    query: Tracklet
    answers: Sequence[Tracklet]
    distances: Sequence[float]
    title: str = ""

    def __post_init__(self) -> None:
        for tracklet in (self.query, *self.answers):
            if not isinstance(tracklet, Tracklet):
                raise InputError(f"query and answers of a ranked list are tracklets; got {type(tracklet).__qualname__}")
        if len(self.answers) != len(self.distances):
            raise InputError(f"a distance for each of {len(self.answers)} answers is wanted; got {len(self.distances)}")
        for distance in self.distances:
            real_number("each distance of a ranked list", distance)

    def right(self, place: int) -> bool | None:
        """Whether an answer is of the same person as the query; None where that is not known, or the answer is junk.

        Args:
            place: Which answer, from 0.
        """
        asked, found = self.query.pid, self.answers[place].pid
        return None if asked is None or found is None or JUNK in (asked, found) else asked == found


def draw_ranked_lists(lists: Sequence[RankedList], *, size: tuple[int, int] = (160, 80)) -> Image.Image:
    """Draw ranked lists, one below the other, each tracklet by the picture in its middle.

    A green frame is of a right answer, a red one of a wrong one, a grey one of one that nobody can tell. Below each answer
    stand its distance and its name.

    Args:
        lists: What to draw, at least one.
        size: Height and width of the room of a picture, in pixels; pictures keep their proportions within it.

    Returns:
        RGB.

    Raises:
        InputError: If there is no list, or a size is no whole number from 1.
        DataError: If a picture cannot be read.
    """
    if not lists:
        raise InputError("there is no ranked list to draw; wanted at least one")
    height, width = (whole_number("each side of size", side) for side in size)
    most = max(len(ranked.answers) for ranked in lists)
    tops = _tops(lists, height)
    canvas = Image.new("RGB", (2 * MARGIN + (most + 1) * (width + _GAP) + _GAP, tops[-1]), PAPER)
    for ranked, top in zip(lists, tops, strict=False):
        _draw(canvas, ranked, top, (height, width))
    return canvas


def _tops(lists: Sequence[RankedList], height: int) -> list[int]:
    """Where each list begins, and where the picture ends."""
    tops = [MARGIN]
    for ranked in lists:
        tops.append(tops[-1] + LINE * bool(ranked.title) + height + 3 * LINE + MARGIN)
    return tops


def _draw(canvas: Image.Image, ranked: RankedList, top: int, size: tuple[int, int]) -> None:
    height, width = size
    if ranked.title:
        put_text(canvas, (MARGIN, top), ranked.title, canvas.width - 2 * MARGIN)
        top += LINE
    below = top + height + LINE // 2
    put_photograph(canvas, (MARGIN, top + 3), _middle(ranked.query), size, colour=INK, border=2)
    put_text(canvas, (MARGIN, below), "query", width)
    put_text(canvas, (MARGIN, below + LINE), ranked.query.name, width)
    for place, (answer, distance) in enumerate(zip(ranked.answers, ranked.distances, strict=True)):
        left = MARGIN + (place + 1) * (width + _GAP) + _GAP  # twice as far from the query as from each other
        put_photograph(canvas, (left, top + 3), _middle(answer), size, colour=_COLOURS[ranked.right(place)])
        put_text(canvas, (left, below), f"{distance:.3f}", width)
        put_text(canvas, (left, below + LINE), answer.name, width)


def _middle(tracklet: Tracklet) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = tracklet.pictures([len(tracklet) // 2])[0].numpy()
    return picture
