"""The split files of PRID2011, whose halves are those of Wang et al. (ECCV 2014) in both of their forms."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlreid.data.datasets.two_cameras import SPLITS, check_split, read_halves
from nlreid.data.disk import read_text
from nlreid.errors import DataError, shorten, some_of

Halves = tuple[list[int], list[int]]  # to train on, to test on


def read_split(
    path: Path, split: int, persons: Sequence[int], *, any_size: bool, partial: bool
) -> tuple[Halves, tuple[str, ...]]:
    """The halves of one split, and how the file differs from the published ones.

    Args:
        path: `*.mat`, the table of the authors, or else JSON: ten of `{"train": ["person_0001", …], "test": […]}`.
        split: Which split, from 0.
        persons: The published persons, rising.
        any_size: Whether halves may have another size than half of the published persons.
        partial: Take a file with other numbers of splits or persons; notes say what differs.

    Returns:
        The persons to train on and those to test on, and a sentence for each difference.

    Raises:
        DataError: If the file cannot be read or is damaged; unless `partial`, if it is of another size.
        InputError: If there is no such split.
        MissingExtraError: If SciPy is not installed, for a `.mat` file.
    """
    if path.suffix.lower() == ".mat":
        return read_halves(path, persons, check_split(split)), ()
    rows, half = _read_json(path), len(persons) // 2
    differences = [f"{len(rows)} splits, not the {SPLITS} that results are means over"] if len(rows) != SPLITS else []
    if split >= len(rows):  # the file is what is wrong, not the number
        _refuse(path, differences, partial=partial)
    train, test = _row(path, rows, check_split(split, len(rows), of=str(path)))
    if not any_size and (len(train), len(test)) != (half, half):
        differences.append(f"in split {split} {len(train)} persons to train on, {len(test)} to test on, not {half} each")
    _refuse(path, differences, partial=partial)
    return (train, test), tuple(f"{path.name} has {difference}" for difference in differences)


def _refuse(path: Path, differences: Sequence[str], *, partial: bool) -> None:
    if differences and not partial:
        raise DataError(f"{path}: has {' and '.join(differences)}; take the published file, or pass partial=True")


def _row(path: Path, rows: Sequence[Any], split: int) -> Halves:
    row = rows[split]
    if not isinstance(row, dict) or not all(isinstance(row.get(part), list) for part in ("train", "test")):
        raise DataError(f'{path}: split {split} is not {{"train": ["person_0001", …], "test": […]}}')
    train, test = ([_pid(path, name) for name in row[part]] for part in ("train", "test"))
    twice = some_of([f"person_{pid:04d}" for pid, count in Counter([*train, *test]).items() if count > 1])
    if twice:
        raise DataError(f"{path}: split {split} names {twice} more than once; wanted each person in one half")
    return train, test


def _read_json(path: Path) -> list[Any]:
    text = read_text(path)
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); download it again") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f'{path}: not a list of splits; wanted ten of {{"train": […], "test": […]}}')
    return rows


def _pid(path: Path, name: object) -> int:
    match = re.fullmatch("person_([0-9]{4})", name) if isinstance(name, str) else None
    if match is None:
        raise DataError(f"{path}: {shorten(repr(name))} is no person of PRID2011; wanted names like 'person_0001'")
    return int(match[1])
