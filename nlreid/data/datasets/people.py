"""Folders of one's own people: `person/camera/track/frames`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nlreid.data.disk import Contents, as_path, contents
from nlreid.data.images import FramePaths, is_image_name, natural_key
from nlreid.data.split import DISTRACTOR, JUNK, Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError, some_of

PARTS = ("train", "query", "gallery")

_LIKE_PARTS = ("bbox_test", "bbox_train", "galleries", "probe", "queries", "test", "training", "val", "validation")
_WANTED = "wanted person/camera/track/frames, or person/camera/frames"
_LARGEST = 2**63 - 1  # labels become int64


class _Track(NamedTuple):
    """A folder of frames, and the names of the folders it is in."""

    name: str
    person: str
    camera: str
    frames: FramePaths


def read_people(root: Path | str) -> Split:
    """People in folders: `person/camera/track/` with pictures in it, or `person/camera/` with pictures as its one track.

    - With a folder `train`, `query` or `gallery` in `root`, these parts hold the persons; a part that is not there is
      empty, and what else lies beside them is not read (a note says so).
    - Without any of them all tracks are the gallery, and the first of each person and camera is also a query, as in MARS;
      there is nothing to train on.

    As everywhere, a person called `0` (`0000`) is a distractor and one called `-1` (`00-1`) is junk, whatever the others are
    called; neither may be in `query`. The pid of anybody else is the number that the folder is called (`12`) or that ends
    its name (`person_12`), if all these persons of all parts have one and all are different; `person_0` has none. Without
    such numbers pids are places, from 1, in natural order (`p2` before `p10`). Cameras are numbered in the same way;
    there `0` and `cam_0` are numbers like others.

    Tracks and frames come in natural order, whatever the order on disk. A tracklet is called by its path below the part. Where
    the last numbers in the names of the frames rise, they are the frame numbers. Files that are no pictures and hidden
    ones (`.name`) are not seen; links that lead nowhere are left out, and a note says so. No picture is read yet.

    Args:
        root: The folder of the persons, or of the parts.

    Raises:
        DataError: If a folder cannot be read or has nothing in it, if pictures lie beside folders or in the folder of a
            person, if folders lie in that of a track, if a part is not in lower case, or if a distractor or junk is in `train`
            or `query`.
        InputError: If `root` is no path.
    """
    root = as_path("root", root)
    found, lost = _look(root).folders, list[str]()
    parts = _parts(root, found)
    tracks = {part: list(_tracks(root, part, lost)) for part in parts} or {"gallery": list(_tracks(root, "", lost))}
    everything = [track for part in tracks.values() for track in part]
    pids = _pids(track.person for track in everything)
    camids = _labels((track.camera for track in everything), least=0)
    read = {part: [_tracklet(track, pids, camids) for track in tracks[part]] for part in tracks}
    if not parts:
        read["query"] = _first_tracks(read["gallery"])
    train, query, gallery = (tuple(read.get(part, ())) for part in PARTS)
    _refuse_nobody(root, (*train, *query))
    notes = (*_left_out(found, parts, lost), *_notes(train, query, gallery))
    return Split(f"people in {root}", train, query, gallery, notes)


def _parts(root: Path, found: Iterable[str]) -> list[str]:
    """Which parts there are, once no folder is one but for capitals: its persons would be read as tracks."""
    for name in found:
        if name not in PARTS and name.lower() in PARTS:
            raise DataError(f"{root / name}: parts are called {', '.join(PARTS)}, in lower case; rename it")
    return [part for part in PARTS if part in found]


def _tracks(root: Path, part: str, lost: list[str]) -> Iterator[_Track]:
    """The tracks of a part, in natural order, called by their paths below the root; links that lead nowhere come to `lost`."""
    for person in _inside(root / part, lost):
        for camera in _inside(person, lost):
            for track in _inside(camera, lost) if _look(camera).folders else [camera]:
                inside = _look(track)
                frames = FramePaths(track, inside.files)
                if not frames or inside.folders:
                    what = "folders inside that of a track" if frames else "no picture"
                    raise DataError(f"{track}: holds {what}; {_WANTED}")
                lost += [str(track / name) for name in inside.others]
                yield _Track(track.relative_to(root).as_posix(), person.name, camera.name, frames)


def _inside(folder: Path, lost: list[str]) -> list[Path]:
    """The folders in a folder, of which there must be some, and no pictures beside them."""
    inside = _look(folder)
    if inside.files:
        raise DataError(f"{folder}: pictures where folders are wanted; {_WANTED}")
    if not inside.folders:
        raise DataError(f"{folder}: holds nothing to read; {_WANTED}")
    lost += [str(folder / name) for name in inside.others]
    return [folder / name for name in inside.folders]


def _look(folder: Path) -> Contents:
    """What lies in a folder in natural order: of files the pictures, and nothing that is hidden."""
    files, *rest = contents(folder)
    kinds = (filter(is_image_name, files), *([name for name in names if not name.startswith(".")] for names in rest))
    return Contents(*(sorted(names, key=natural_key) for names in kinds))


def _pids(names: Iterable[str]) -> dict[str, int]:
    """A pid for each person: what is called 0 or -1 is nobody, the others are labelled among themselves."""
    persons = set(names)
    nobody = {name: pid for name in persons if (pid := _nobody(name)) is not None}
    return nobody | _labels(persons - nobody.keys(), least=1)


def _nobody(name: str) -> int | None:
    if re.fullmatch("-?0+", name):
        return DISTRACTOR
    return JUNK if re.fullmatch("0*-0*1", name) else None


def _labels(names: Iterable[str], least: int) -> dict[str, int]:
    """A label for each name: its number where that tells all of them apart, its place otherwise."""
    ordered = sorted(set(names), key=natural_key)
    numbers = [number for name in ordered if (number := _number(name, least)) is not None]
    if len(set(numbers)) < len(ordered):
        numbers = list(range(1, len(ordered) + 1))
    return dict(zip(ordered, numbers, strict=True))


def _number(name: str, least: int) -> int | None:
    if re.fullmatch("-?[0-9]+", name):
        number = int(name)
        return number if abs(number) <= _LARGEST else None
    ending = re.search("[0-9]+$", name)
    number = int(ending[0]) if ending else -1
    return number if least <= number <= _LARGEST else None


def _first_tracks(tracklets: Iterable[Tracklet]) -> list[Tracklet]:
    """The first tracklet of each person and camera; nobody searches for distractors and junk."""
    first: dict[tuple[int | None, int | None], Tracklet] = {}
    for tracklet in tracklets:
        if tracklet.pid not in (DISTRACTOR, JUNK):
            first.setdefault((tracklet.pid, tracklet.camid), tracklet)
    return list(first.values())


def _refuse_nobody(root: Path, people: Iterable[Tracklet]) -> None:
    for tracklet in people:
        if tracklet.pid in (DISTRACTOR, JUNK):
            raise DataError(
                f"{root / tracklet.name}: nobody trains on or searches for a distractor, called 0, or junk, called -1; "
                "move it to gallery, or rename the person"
            )


def _tracklet(track: _Track, pids: dict[str, int], camids: dict[str, int]) -> Tracklet:
    numbers = [int(digits[-1]) for name in track.frames.names if (digits := re.findall("[0-9]+", Path(name).stem))]
    rising = len(numbers) == len(track.frames) and all(a < b for a, b in pairwise([*numbers, _LARGEST + 1]))
    return Tracklet(
        track.name,
        track.frames,
        pid=pids[track.person],
        camid=camids[track.camera],
        frame_numbers=tuple(numbers) if rising else None,
    )


def _left_out(found: Iterable[str], parts: Sequence[str], lost: Collection[str]) -> Iterator[str]:
    """Notes on what lies in the folders and is not read, or is perhaps read as something else than it is."""
    beside = sorted(set(found) - {*parts})
    if parts and beside:
        yield f"not read, since they lie beside {', '.join(PARTS)}: {', '.join(beside)}"
    elif odd := sorted(name for name in beside if name.lower() in _LIKE_PARTS):
        yield f"read as persons, and not as parts, which are called {', '.join(PARTS)}: {', '.join(odd)}"
    if lost:
        yield f"left out, since they are neither files nor folders, or lead nowhere: {len(lost):,} ({some_of(lost)})"


def _notes(train: tuple[Tracklet, ...], query: tuple[Tracklet, ...], gallery: tuple[Tracklet, ...]) -> Iterator[str]:
    trained, tested = ({tracklet.pid for tracklet in part} for part in (train, (*query, *gallery)))
    if known := trained & tested - {DISTRACTOR, JUNK}:
        yield f"{len(known):,} persons are trained on and tested on: scores say little about others"
    if alone := len(unanswered(query, gallery)):
        yield f"{alone:,} of {len(query):,} queries have no right answer in the gallery"
