"""MARS (Zheng et al., ECCV 2016): 20,478 tracklets of 1,259 persons in six cameras, cut out by a detector and a tracker."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nlreid.data.datasets.listing import present, require_files, require_rows, text_lines
from nlreid.data.datasets.mat_file import numbered_rows, whole_numbers
from nlreid.data.datasets.published import PUBLISHED, check_counts
from nlreid.data.disk import as_path, file_names
from nlreid.data.images import FramePaths
from nlreid.data.split import DISTRACTOR, JUNK, Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError, some_of, unknown_name

PROTOCOLS = ("official", "community")

_FILES = ("train_name.txt", "test_name.txt", "tracks_train_info.mat", "tracks_test_info.mat", "query_IDX.mat")
_NAME = re.compile(r"(00-1|[0-9]{4})C([0-9])T([0-9]{1,18})F([0-9]{1,18})\.jpg", re.ASCII)  # person, camera, track, frame


def read_mars(root: Path | str, *, protocol: str = "official", partial: bool = False) -> Split:
    """MARS as its authors publish it: the folders `bbox_train` and `bbox_test`, and `info` of their evaluation code.

    Identities and cameras are those of the data set (cameras 1 to 6), tracklets come in the order of its tables, and a
    tracklet is called after its first frame. In the test part pid 0 marks distractors, which are wrong for every
    query, and pid -1 junk, which the evaluation takes out of each ranking.

    - `"official"` (the authors' code): 1,980 queries; the gallery is the whole test part of 12,180 tracklets, the
      queries among them. Each query has a right answer.
    - `"community"` (most readers since): the gallery is the test part without the queries and without junk, 9,330
      tracklets. Then 140 queries have no right answer. They stay in `query`, and a note gives their number; papers
      differ in whether they count.

    No picture is opened, and each folder is listed once.

    Args:
        root: The folder that holds `bbox_train`, `bbox_test` and `info`.
        protocol: `"official"` or `"community"`.
        partial: Read what is there where pictures are missing: a tracklet without some of its frames, or none where no
            frame remains. The notes say what differs.

    Raises:
        DataError: If the files in `info` are missing, damaged or disagree, or a query is of a distractor or of junk; unless
            `partial`, if a picture is missing or the numbers are not those published; if no picture is there at all.
        InputError: If `root` is no path.
        MissingExtraError: If SciPy is not installed.
        UnknownNameError: For another protocol.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol of MARS", protocol, PROTOCOLS)
    root = as_path("root", root)
    require_files(root, "MARS", tuple(f"info/{name}" for name in _FILES))
    missing, mixed = list[str](), list[str]()
    train, test = (_read_part(root, part, missing, mixed) for part in ("train", "test"))
    path = root / "info" / "query_IDX.mat"
    numbers = numbered_rows(path, ("query_IDX",))
    query = [test[row] for row in require_rows(path, "query_IDX", numbers, len(test), "the rows of tracks_test_info.mat")]
    _refuse_nobody(path, numbers, query)
    split = _split(root, protocol, (present(train), present(query), present(test)), missing, partial=partial)
    notes = (f"{len(mixed):,} rows of the tables hold pictures of several tracks: {some_of(mixed)}",) if mixed else ()
    return replace(split, notes=(*split.notes, *notes))


def _refuse_nobody(path: Path, rows: Sequence[int], query: Sequence[Tracklet | None]) -> None:
    for row, tracklet in zip(rows, query, strict=True):
        if tracklet is not None and tracklet.pid in (DISTRACTOR, JUNK):
            what = "junk" if tracklet.pid == JUNK else "a distractor"
            raise DataError(
                f"{path}: 'query_IDX' has row {row} of tracks_test_info.mat, which is of pid {tracklet.pid}, {what}; "
                "wanted rows of persons; download it again"
            )


def _split(root: Path, protocol: str, parts: tuple[Sequence[Tracklet], ...], missing: Sequence[str], *, partial: bool) -> Split:
    train, query, test = parts
    if not train and not test:
        raise DataError(f"{root}: none of the pictures of MARS is here; the first that is missing: {missing[0]}")
    found = _count(train, query, test)
    notes = check_counts("MARS", root, found, PUBLISHED["mars"].known(), partial=partial, missing=missing)
    gallery = test
    if protocol == "community":
        queries = {tracklet.name for tracklet in query}
        gallery = [tracklet for tracklet in test if tracklet.pid != JUNK and tracklet.name not in queries]
    alone = len(unanswered(query, gallery))
    if alone:
        notes += (f"{alone:,} of {len(query):,} queries have no right answer in the gallery",)
    return Split(f"MARS ({protocol})", tuple(train), tuple(query), tuple(gallery), notes)


class _Row(NamedTuple):
    """A tracklet as the tables have it: its first and last line of the list of names, counted from 1."""

    first: int
    last: int
    pid: int
    camid: int


def _read_part(root: Path, part: str, missing: list[str], mixed: list[str]) -> list[Tracklet | None]:
    listed = root / "info" / f"{part}_name.txt"
    table = root / "info" / f"tracks_{part}_info.mat"
    names = text_lines(listed)
    rows = _rows(table, f"track_{part}_info", listed, len(names))
    by_folder = defaultdict[str, list[int]](list)
    for index, row in enumerate(rows):
        by_folder["00-1" if row.pid == JUNK else f"{row.pid:04d}"].append(index)
    tracklets: list[Tracklet | None] = [None] * len(rows)
    for name, indices in by_folder.items():
        folder = root / f"bbox_{part}" / name
        there = file_names(folder)
        for index in indices:
            row = rows[index]
            frames = _frames(names, row, f"{table}: row {index + 1}", listed)
            if len({name.rpartition("F")[0] for name in (*list(frames)[:1], *list(frames)[-1:])}) > 1:  # they are in order
                mixed.append(f"{table.name}: row {index + 1}")
            missing += [str(folder / frame) for frame in frames if frame not in there]
            tracklets[index] = _tracklet(folder, row, frames, there)
    return tracklets


def _rows(table: Path, variable: str, listed: Path, lines: int) -> list[_Row]:
    matrix = whole_numbers(table, (variable,))
    if matrix.ndim != 2 or matrix.shape[1] != 4:
        raise DataError(f"{table}: {variable!r} has columns first, last, pid, camera; this one has shape {matrix.shape}")
    rows = [_Row(*values) for values in matrix.tolist()]
    for number, row in enumerate(rows, start=1):
        if not 1 <= row.first <= row.last <= lines:
            raise DataError(f"{table}: row {number} is of lines {row.first} to {row.last}; {listed} has lines 1 to {lines}")
    order = sorted(range(len(rows)), key=rows.__getitem__)
    for one, other in pairwise(order):
        if rows[other].first <= rows[one].last:
            line = rows[other].first
            raise DataError(f"{table}: rows {one + 1} and {other + 1} both have line {line} of {listed}; wanted it once")
    return rows


def _frames(names: Sequence[str], row: _Row, place: str, listed: Path) -> dict[str, int]:
    """The frames of one row in time order, each with its number, once they are found to be of the row's person and camera."""
    pid_text, found = "00-1" if row.pid == JUNK else f"{row.pid:04d}", list[tuple[int, int, str]]()
    for line, name in enumerate(names[row.first - 1 : row.last], start=row.first):
        match = _NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{listed}:{line}: {name!r} is no name of MARS; wanted one like 0001C1T0001F001.jpg")
        if match[1] != pid_text or int(match[2]) != row.camid:
            raise DataError(f"{place} is of pid {row.pid} in camera {row.camid}, but line {line} of {listed.name} is {name}")
        found.append((int(match[3]), int(match[4]), name))
    return {name: number for _, number, name in sorted(found)}


def _tracklet(folder: Path, row: _Row, frames: dict[str, int], there: set[str]) -> Tracklet | None:
    kept = [name for name in frames if name in there]
    if not kept:
        return None
    numbers = tuple(frames[name] for name in kept)
    called = Path(next(iter(frames))).stem  # also where the first frame is missing
    return Tracklet(called, FramePaths(folder, kept), pid=row.pid, camid=row.camid, frame_numbers=numbers)


def _count(train: Sequence[Tracklet], query: Sequence[Tracklet], test: Sequence[Tracklet]) -> dict[str, int]:
    everything = [*train, *test]
    train_pids, test_pids = ([tracklet.pid for tracklet in part] for part in (train, test))
    return {
        "identities": len({*train_pids, *test_pids}),
        "tracklets": len(everything),
        "boxes": sum(map(len, everything)),
        "cameras": len({tracklet.camid for tracklet in everything}),
        "train identities": len(set(train_pids)),
        "train tracklets": len(train),
        "train boxes": sum(map(len, train)),
        "test tracklets": len(test),
        "test boxes": sum(map(len, test)),
        "distractors": test_pids.count(DISTRACTOR),
        "junk": test_pids.count(JUNK),
        "queries": len(query),
    }
