"""Folders of one's own people: `person/camera/track/frames`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nlreid.data.images import FramePaths, image_files, natural_key
from nlreid.data.split import DISTRACTOR, JUNK, Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError

PARTS = ("train", "query", "gallery")

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

    The pid of a person is the number that the folder is called (`12`) or that ends its name (`person_12`), if all persons
    of all parts have one and all are different. As everywhere, a person called `0` is a distractor and one called `-1` is
    junk; `person_0` is neither, and has no number. Without such numbers pids are places, from 1, in natural order (`p2`
    before `p10`). Cameras are numbered in the same way; `cam_0` is a number there.

    Tracks and frames come in natural order, whatever the order on disk. A tracklet is called by its path below the part. Where
    the last numbers in the names of the frames rise, they are the frame numbers. Files that are no pictures and hidden
    ones (`.name`) are not seen. No picture is read yet.

    Args:
        root: The folder of the persons, or of the parts.

    Raises:
        DataError: If a folder cannot be read or has nothing in it, if pictures lie beside folders or in the folder of a
            person, or if folders lie in that of a track.
    """
    root = Path(root)
    found = {folder.name: folder for folder in _folders(root)}
    parts = [part for part in PARTS if part in found]
    tracks = {part: list(_tracks(found[part])) for part in parts} or {"gallery": list(_tracks(root))}
    everything = [track for part in tracks.values() for track in part]
    pids = _labels((track.person for track in everything), least=1)
    camids = _labels((track.camera for track in everything), least=0)
    read = {part: [_tracklet(track, pids, camids) for track in tracks[part]] for part in tracks}
    if not parts:
        read["query"] = _first_tracks(read["gallery"])
    beside = sorted(found.keys() - {*parts}) if parts else []
    train, query, gallery = (tuple(read.get(part, ())) for part in PARTS)
    return Split(f"people in {root}", train, query, gallery, tuple(_notes(train, query, gallery, beside)))


def _tracks(root: Path) -> Iterator[_Track]:
    """The tracks of a part, in natural order."""
    for person in _inside(root):
        for camera in _inside(person):
            for track in _inside(camera) if _folders(camera) else [camera]:
                frames = FramePaths(track, [path.name for path in image_files(track)])
                if not frames or _folders(track):
                    what = "folders inside that of a track" if frames else "no picture"
                    raise DataError(f"{track}: holds {what}; {_WANTED}")
                yield _Track(track.relative_to(root).as_posix(), person.name, camera.name, frames)


def _inside(folder: Path) -> list[Path]:
    """The folders in a folder, of which there must be some, and no pictures beside them."""
    folders = _folders(folder)
    if image_files(folder):
        raise DataError(f"{folder}: pictures where folders are wanted; {_WANTED}")
    if not folders:
        raise DataError(f"{folder}: holds nothing to read; {_WANTED}")
    return folders


def _folders(folder: Path) -> list[Path]:
    try:
        inner = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except OSError as error:
        raise DataError(f"{folder}: not a folder that can be read ({error.strerror})") from error
    return sorted(inner, key=lambda path: natural_key(path.name))


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


def _tracklet(track: _Track, pids: dict[str, int], camids: dict[str, int]) -> Tracklet:
    numbers = [int(digits[-1]) for name in track.frames.names if (digits := re.findall("[0-9]+", Path(name).stem))]
    rising = len(numbers) == len(track.frames) and all(a < b for a, b in pairwise(numbers))
    return Tracklet(
        track.name,
        track.frames,
        pid=pids[track.person],
        camid=camids[track.camera],
        frame_numbers=tuple(numbers) if rising else None,
    )


def _notes(
    train: tuple[Tracklet, ...], query: tuple[Tracklet, ...], gallery: tuple[Tracklet, ...], beside: list[str]
) -> Iterator[str]:
    if beside:
        yield f"not read, since they lie beside {', '.join(PARTS)}: {', '.join(beside)}"
    trained, tested = ({tracklet.pid for tracklet in part} for part in (train, (*query, *gallery)))
    if known := trained & tested - {DISTRACTOR, JUNK}:
        yield f"{len(known):,} persons are trained on and tested on: scores say little about others"
    if alone := len(unanswered(query, gallery)):
        yield f"{alone:,} of {len(query):,} queries have no right answer in the gallery"
