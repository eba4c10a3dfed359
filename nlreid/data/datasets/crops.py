"""Boxes cut out of pictures, and a report of what became of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nlreid.data.transforms import resize

_LOGGER = logging.getLogger(__name__)
_SHOWN = 10  # line numbers that a summary spells out


@dataclass
class CropReport:
    """What became of the boxes of a track file; fills while the tracklets are read.

    Args:
        tracks: The track file that was read.
        boxes: Boxes in it.
        bad_lines: Its lines that were left out, each with what is wrong with it.
        tracklets: Tracklets delivered so far.
        crops: Pictures in them.
        clipped: Lines of the boxes that reached over the edge of the picture and were cut there.
        outside: Lines of the boxes of which no pixel lies in the picture; left out.
        beyond: Lines of the boxes in frames after the end of the video; left out.
        short: Names of the tracklets that were left out because too few crops remained.
    """

    tracks: Path | None = None
    boxes: int = 0
    bad_lines: tuple[str, ...] = ()
    tracklets: int = 0
    crops: int = 0
    clipped: list[int] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def losses(self) -> list[str]:
        """One line of text for each reason why boxes were left out; empty if none was."""
        reasons = [("wholly outside the picture or empty", self.outside), ("after the end of the video", self.beyond)]
        return [
            f"{self.tracks}: left out {len(lines)} boxes {reason}: lines {_few(sorted(lines))}"
            for reason, lines in reasons
            if lines
        ]

    def log_losses(self) -> None:
        """Write a warning for each of them."""
        for loss in self.losses():
            _LOGGER.warning(loss)

    def summary(self) -> str:
        """What was read, what was clipped and what was left out, a line each."""
        lines = [
            f"{self.tracks}: {self.boxes} boxes, {self.tracklets} tracklets with {self.crops} pictures, "
            f"{len(self.clipped)} boxes clipped at the edge of the picture"
        ]
        if self.bad_lines:
            lines.append(f"{self.tracks}: left out {len(self.bad_lines)} bad lines, the first: {self.bad_lines[0]}")
            lines += [f"    {problem}" for problem in self.bad_lines[1:_SHOWN]]
        lines += self.losses()
        if self.short:
            lines.append(f"{self.tracks}: left out {len(self.short)} tracks with too few pictures: {_few(self.short)}")
        return "\n".join(lines)


def crop(
    picture: NDArray[np.uint8], box: NDArray[np.float64], size: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8] | None, bool]:
    """Cut one box out of a picture, edges rounded to whole pixels.

    Args:
        picture: uint8 RGB, `(h, w, 3)`.
        box: left, top, width, height in pixels, `(4,)`.
        size: Height and width to which the crop is resized; None leaves it as it is.

    Returns:
        The crop, a copy that does not hold the picture in memory, or None if no pixel of the box lies in the picture;
        and whether the box reached over the edge of the picture.
    """
    height, width = picture.shape[:2]
    left, right = _edges(box[0], box[2], width)
    top, bottom = _edges(box[1], box[3], height)
    clipped = left < 0 or top < 0 or right > width or bottom > height
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if right <= left or bottom <= top:
        return None, clipped
    copy = picture[top:bottom, left:right].copy()
    return (copy if size is None else resize(torch.from_numpy(copy)[None], size)[0].numpy()), clipped


def _edges(start: float, length: float, limit: int) -> tuple[int, int]:
    # far edges are brought near first: a float may be too large to be a whole number
    return round(min(max(start, -1.0), limit + 1.0)), round(min(max(start + length, -1.0), limit + 1.0))


def _few(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:_SHOWN])) + (", …" if len(items) > _SHOWN else "")
