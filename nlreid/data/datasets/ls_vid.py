"""LS-VID (Li et al., ICCV 2019): 14,943 tracklets of 3,772 persons in fifteen cameras, cut out by a detector and a tracker."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from nlreid.data.datasets.listing import present, require_files, require_rows, text_lines
from nlreid.data.datasets.mat_file import numbered_rows
from nlreid.data.datasets.published import PUBLISHED, check_counts
from nlreid.data.disk import as_path, file_names, resolved
from nlreid.data.images import FramePaths
from nlreid.data.split import Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError, shorten

_LISTS = {part: f"list_sequence/list_seq_{part}.txt" for part in ("train", "test")}
_QUERIES = "test/data/info_test.mat"
_LINE = re.compile(r"(?P<folder>\S+)/(?P<stem>[^\s/_]+_[^\s/_]+(_[0-9]+)?)_?\s+(?P<pid>[0-9]{1,18})", re.ASCII)
_NAME = re.compile(
    r"(?P<track>[^_]+_[^_]+)_(?P<camera>[0-9]{1,18})_[^_.]*?(?<![0-9])(?P<frame>[0-9]{1,18})\.(jpg|jpeg|png)", re.ASCII | re.I
)


def read_ls_vid(root: Path | str, *, partial: bool = False) -> Split:
    """LS-VID as its authors publish it, with its training and its test part; the validation part is not read.

    A line of `list_sequence/list_seq_{train,test}.txt` is a tracklet: the beginning of the paths of its pictures, and its
    pid. The pictures are named person_track_camera_frame. `query` of `test/data/info_test.mat` has the lines of the
    test list that are the queries, counted from 1; the gallery is the whole test part, the queries among them.

    Identities and cameras (1 to 15) are those of the data set, tracklets come in the order of the lists and are called
    as there. No picture is opened, and each folder is listed once.

    `info_test.mat` is published as MATLAB 7.3, which is read through h5py.

    Args:
        root: The folder that holds `list_sequence`, `test` and the folders of pictures that the lists name.
        partial: Read what is there where tracklets or pictures are missing. The notes say what differs.

    Raises:
        DataError: If the lists are missing or damaged, or have one tracklet twice; unless `partial`, if a tracklet is missing
            or the numbers are not those published (the lists do not tell single pictures); if no picture is there at all.
        InputError: If `root` is no path.
        MissingExtraError: If h5py (for a file saved by an older MATLAB: SciPy) is not installed.
    """
    root = as_path("root", root)
    require_files(root, "LS-VID", (*_LISTS.values(), _QUERIES))
    missing = list[str]()
    train, test = (_read_part(root, listed, missing) for listed in _LISTS.values())
    lines = numbered_rows(root / _QUERIES, ("query",))
    query = present([test[line] for line in require_rows(root / _QUERIES, "query", lines, len(test), _LISTS["test"])])
    kept = present(test)
    found = _count(present(train), query, kept)
    if not found["train tracklets"] + found["test tracklets"]:
        raise DataError(f"{root}: none of the pictures of LS-VID is here; the first that are missing: {missing[0]}")
    notes = check_counts("LS-VID", root, found, PUBLISHED["ls_vid"].known(), partial=partial, missing=missing)
    alone = len(unanswered(query, kept))
    if alone:
        notes += (f"{alone:,} of {len(query):,} queries have no right answer in the gallery",)
    return Split("LS-VID", tuple(present(train)), tuple(query), tuple(kept), notes)


class _Line(NamedTuple):
    """A tracklet as a list has it: the folder and the beginning of the names of its pictures."""

    folder: str
    stem: str
    pid: int


def _read_part(root: Path, listed: str, missing: list[str]) -> list[Tracklet | None]:
    lines = _lines(root / listed)
    by_folder = defaultdict[str, list[int]](list)
    for index, line in enumerate(lines):
        by_folder[line.folder].append(index)
    tracklets: list[Tracklet | None] = [None] * len(lines)
    taken = dict[tuple[Path, str], _Line]()
    for name, indices in by_folder.items():
        pictures, place = _by_stem(file_names(root / name)), resolved(root / name)
        for index in indices:
            line = lines[index]
            tracklet = tracklets[index] = _tracklet(root / name, line, pictures.get(line.stem, []))
            if tracklet is None:
                missing.append(str(root / name / f"{line.stem}_*"))
            else:
                _take(root / listed, line, (place, pictures[line.stem][0][0]), taken)
    return tracklets


def _take(path: Path, line: _Line, first: tuple[Path, str], taken: dict[tuple[Path, str], _Line]) -> None:
    """Note whose a first picture is: two lines may name one folder, or one tracklet, in different ways."""
    other = taken.setdefault(first, line)
    if other is not line:
        one, two = (f"{given.folder}/{given.stem} {given.pid}" for given in (other, line))
        raise DataError(f"{path}: lines {one!r} and {two!r} are one tracklet, that of {first[0] / first[1]}; wanted it once")


def _lines(path: Path) -> list[_Line]:
    lines = dict[_Line, int]()
    for number, text in enumerate(text_lines(path), start=1):
        match = _LINE.fullmatch(text)
        if match is None or ".." in PurePosixPath(match["folder"]).parts or match["folder"].startswith("/"):
            raise DataError(
                f"{path}:{number}: {shorten(repr(text))} is no line of LS-VID; wanted the beginning of the paths of a "
                "tracklet's pictures and its pid, of 18 digits at most: tracklet_test/0001/0001_0002 1"
            )
        line = _Line(match["folder"], match["stem"], int(match["pid"]))
        if line in lines:
            raise DataError(f"{path}:{number}: the same tracklet as in line {lines[line]}: {text!r}")
        lines[line] = number
    return list(lines)


def _by_stem(names: set[str]) -> dict[str, list[re.Match[str]]]:
    """The pictures of a folder, in time order, by each stem that a list may give them: with the camera and without it."""
    pictures = defaultdict[str, list[re.Match[str]]](list)
    matches = [match for match in map(_NAME.fullmatch, names) if match is not None]
    for match in sorted(matches, key=lambda match: (int(match["frame"]), match[0])):
        pictures[match["track"]].append(match)
        pictures[f"{match['track']}_{match['camera']}"].append(match)
    return pictures


def _tracklet(folder: Path, line: _Line, pictures: Sequence[re.Match[str]]) -> Tracklet | None:
    if not pictures:
        return None
    cameras = {int(picture["camera"]) for picture in pictures}
    if len(cameras) > 1:
        raise DataError(f"{folder / line.stem}_*: pictures of cameras {sorted(cameras)}; a tracklet is of one camera")
    frames = FramePaths(folder, [picture[0] for picture in pictures])
    numbers = tuple(int(picture["frame"]) for picture in pictures)
    return Tracklet(f"{line.folder}/{line.stem}", frames, pid=line.pid, camid=cameras.pop(), frame_numbers=numbers)


def _count(train: Sequence[Tracklet], query: Sequence[Tracklet], test: Sequence[Tracklet]) -> dict[str, int]:
    return {
        "cameras": len({tracklet.camid for tracklet in (*train, *test)}),
        "train identities": len({tracklet.pid for tracklet in train}),
        "train tracklets": len(train),
        "train boxes": sum(map(len, train)),
        "test identities": len({tracklet.pid for tracklet in test}),
        "test tracklets": len(test),
        "test boxes": sum(map(len, test)),
        "queries": len(query),
    }
