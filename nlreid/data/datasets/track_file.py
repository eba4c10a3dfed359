"""Track files as text, in the format of MOTChallenge (Milan et al., MOT16, arXiv 1603.00831)."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlreid.data.disk import as_path, reading
from nlreid.errors import DataError

_LOGGER = logging.getLogger(__name__)
_FIELDS = ("frame", "id", "x", "y", "w", "h")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # narrower than float(): no nan, inf, 1_0
_LARGEST = 2**53  # the largest whole number up to which a float is exact


@dataclass(frozen=True, eq=False)
class TrackFile:
    """The boxes of a track file, in the order of its lines.

    Args:
        path: Where they were read, for messages.
        frames: Frame numbers, from 1: int64 `(n,)`.
        ids: Which track a box belongs to: int64 `(n,)`.
        boxes: left, top, width, height in pixels; the top-left pixel of the picture begins at (0, 0): float64 `(n, 4)`.
        lines: The line of each box in the file, from 1: int64 `(n,)`.
        problems: The lines that were left out, each as `path:line: what came; what is wanted`.
    """

    path: Path
    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    lines: NDArray[np.int64]
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)


class _Box(NamedTuple):
    frame: int
    id: int
    xywh: tuple[float, float, float, float]


class _BadLineError(Exception):
    """What is wrong with one line; the caller knows its number."""


@dataclass
class _Lines:
    """The good lines so far, and what the next one must not repeat."""

    boxes: list[_Box] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    line_of: dict[tuple[int, int], int] = field(default_factory=dict)

    def take(self, line: str, number: int) -> str | None:
        """Keep the box of a line, or say what is wrong with the line."""
        try:
            self._add(_parse(line), number)
        except _BadLineError as error:
            return str(error)
        return None

    def _add(self, box: _Box, number: int) -> None:
        first = self.line_of.setdefault((box.frame, box.id), number)
        if first != number:
            raise _BadLineError(
                f"a second box of id {box.id} in frame {box.frame}, whose first is in line {first}; wanted one at most"
            )
        self.boxes.append(box)
        self.numbers.append(number)


def read_tracks(path: Path | str, *, skip_bad_lines: bool = False) -> TrackFile:
    """Read `frame,id,x,y,w,h[,confidence, ...]`, one box a line, in any order.

    Frames count from 1. x and y are the left and top edge; all in pixels, fractions allowed, also outside the picture.
    What follows the height is not read. Blank lines, spaces around fields and a byte order mark do no harm.

    Args:
        path: The text file, UTF-8.
        skip_bad_lines: Leave bad lines out and report them (in the result, and as one warning to the log).

    Raises:
        DataError: If the file cannot be read or holds no box; unless `skip_bad_lines`, if a line lacks a field, holds
            something that is no finite number, a frame that is not a whole number from 1, an id that is not a whole
            number from 0, a size that is not positive, or a second box of one id in one frame. The message begins with
            `path:line`.
    """
    path = as_path("path", path)
    good, problems = _Lines(), list[str]()
    for number, line in _text_lines(path):
        problem = good.take(line, number)
        if problem is not None:
            problems.append(f"{path}:{number}: {problem}")
            if not skip_bad_lines:
                raise DataError(problems[0])
    if not good.boxes:
        left_out = f"; {len(problems)} bad lines, the first: {problems[0]}" if problems else ""
        raise DataError(f"{path}: holds no box; wanted lines {','.join(_FIELDS)}{left_out}")
    if problems:
        _LOGGER.warning("%s: left out %d bad lines, the first: %s", path, len(problems), problems[0])
    return _track_file(path, good, problems)


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with reading(path), path.open(encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); wanted lines {','.join(_FIELDS)}") from error


def _parse(line: str) -> _Box:
    texts = [text.strip() for text in line.split(",")][: len(_FIELDS)]
    if len(texts) < len(_FIELDS):
        raise _BadLineError(f"{len(texts)} comma-separated fields; wanted at least 6: {','.join(_FIELDS)}")
    frame = _whole("frame", texts[0], least=1, why="frames count from 1")
    identity = _whole("id", texts[1], least=0, why="-1 marks detections that no tracker has linked")
    x, y, w, h = (_number(name, text) for name, text in zip(_FIELDS[2:], texts[2:], strict=True))
    if w <= 0 or h <= 0:
        raise _BadLineError(f"the box is {texts[4]} x {texts[5]}; wanted a positive width and height in pixels")
    return _Box(frame, identity, (x, y, w, h))


def _number(name: str, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise _BadLineError(f"{name} is {text!r}; wanted a finite number")
    return value


def _whole(name: str, text: str, *, least: int, why: str) -> int:
    value = _number(name, text)
    if not value.is_integer() or not least <= value <= _LARGEST:
        raise _BadLineError(f"{name} is {text}; wanted a whole number from {least} ({why})")
    return int(value)


def _track_file(path: Path, good: _Lines, problems: Iterable[str]) -> TrackFile:
    return TrackFile(
        path,
        frames=np.array([box.frame for box in good.boxes], dtype=np.int64),
        ids=np.array([box.id for box in good.boxes], dtype=np.int64),
        boxes=np.array([box.xywh for box in good.boxes], dtype=np.float64),
        lines=np.array(good.numbers, dtype=np.int64),
        problems=tuple(problems),
    )
