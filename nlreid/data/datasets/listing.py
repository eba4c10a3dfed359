"""The lists that describe a data set: which files they are, and what their lines and numbers point at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nlreid.data.disk import is_file, read_text
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError


def text_lines(path: Path) -> list[str]:
    """The lines of a text file, without the spaces around them and without blank lines.

    Raises:
        DataError: If the file is missing, cannot be read, is not UTF-8 text or has no line.
    """
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; unpack or download it again")
    return lines


def require_files(root: Path, name: str, relative: tuple[str, ...]) -> None:
    """Check that the files which describe a data set are there.

    Args:
        root: Where the data set lies.
        name: What it is, for the message.
        relative: The files, relative to `root`.

    Raises:
        DataError: If some are not, or cannot be looked for.
    """
    absent = [path for path in relative if not is_file(root / path)]
    if absent:
        raise DataError(f"{root}: not {name}, or not all of it: has no {', '.join(absent)}; give the folder that holds them")


def require_rows(path: Path, variable: str, rows: Sequence[int], last: int, of: str) -> list[int]:
    """The queries of a data set, counted from 0, from the numbers of a file that counts from 1.

    Args:
        path: The file.
        variable: What the numbers are called in it.
        rows: The numbers.
        last: The largest that is allowed.
        of: What they count, for the message.

    Raises:
        DataError: If a number is out of range or comes twice.
    """
    wrong = [row for row in rows if not 1 <= row <= last]
    if wrong or len(set(rows)) < len(rows):
        what = f"has {wrong[0]}" if wrong else "has a number twice"
        raise DataError(f"{path}: {variable!r} {what}; wanted different numbers, 1 to {last}, of {of}")
    return [row - 1 for row in rows]


def present(tracklets: Iterable[Tracklet | None]) -> list[Tracklet]:
    """The tracklets of which something is there."""
    return [tracklet for tracklet in tracklets if tracklet is not None]
