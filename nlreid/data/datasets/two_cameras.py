"""What iLIDS-VID and PRID2011 share: two cameras, one tracklet of a person in each, ten splits into halves."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlreid.data.datasets.mat_file import whole_numbers
from nlreid.data.disk import as_path, exists, resolved
from nlreid.data.images import FramePaths, image_files
from nlreid.data.split import Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError, InputError, some_of, whole_number

SPLITS = 10  # Wang et al., ECCV 2014: results are means over ten splits


@dataclass(frozen=True)
class Layout:
    """Where the frames lie: `camera/person/frame`.

    Args:
        cameras: The folders of the cameras that are searched from (camid 1) and in (camid 2).
        person: A person's folder as a format of the number: `"person{:03d}"`.
        frame: What the name of a frame is, without its suffix: a group `number`, its place in time, and where names tell them
            `camera` and `person`, the folders that it lies in.
        persons: The published persons, rising.
    """

    cameras: tuple[str, str]
    person: str
    frame: re.Pattern[str]
    persons: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Views:
    """What was found.

    Args:
        first: Tracklets of the first camera by pid, rising.
        second: Tracklets of the second camera by pid, rising.
        missing: The folders of published persons that are not there or hold no frame, below that of the cameras.
    """

    first: Mapping[int, Tracklet]
    second: Mapping[int, Tracklet]
    missing: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many persons, tracklets and cameras there are."""
        tracklets = len(self.first) + len(self.second)
        cameras = bool(self.first) + bool(self.second)
        return {"identities": len({*self.first, *self.second}), "tracklets": tracklets, "cameras": cameras}

    def split(self, name: str, train: Collection[int], test: Collection[int], notes: Sequence[str]) -> Split:
        """Both cameras of the persons to train on; of the others the first camera searches the second."""
        views = (self.first, self.second)
        query, gallery = (tuple(view[pid] for pid in sorted(test) if pid in view) for view in views)
        alone = len(unanswered(query, gallery))
        trained = tuple(view[pid] for pid in sorted(train) for view in views if pid in view)
        notes = (*notes, *_skipped([*trained, *query, *gallery]))
        if alone:
            notes += (f"{alone} of {len(query)} queries have no right answer in the gallery",)
        return Split(name, trained, query, gallery, notes)


def _skipped(tracklets: Sequence[Tracklet]) -> list[str]:
    """A note on frames whose numbers are left out. How many were published is not known, so it is no error."""
    gaps = {}
    for tracklet in tracklets:
        numbers = tracklet.frame_numbers or (0,)
        if gap := numbers[-1] - numbers[0] + 1 - len(numbers):
            gaps[tracklet.name] = gap
    total = f"{sum(gaps.values()):,} numbers of frames are skipped within {len(gaps):,} tracklets: {some_of(gaps)}"
    return [total] if gaps else []


def find_cameras(root: Path | str, below: str, layout: Layout) -> Path:
    """The folder of the cameras, where `root` holds the data set's own folder or is it.

    Args:
        root: What the user named.
        below: Where the folder of the cameras should be: `"i-LIDS-VID/sequences"`.
        layout: Its layout.

    Returns:
        The folder, absolute: `root` may be `"."`, and the split files lie above.

    Raises:
        DataError: If neither camera is there, or `root` cannot be read.
        InputError: If `root` is no path.
    """
    own, cameras = below.split("/")
    root = as_path("root", root)
    # "link/.." is beside what the link leads to; elsewhere links stay, since the split files may lie beside one
    root = resolved(root) if ".." in root.parts else root.absolute()
    for folder in (root / own / cameras, root / cameras):
        if any(exists(folder / camera) for camera in layout.cameras):
            return folder
    wanted = root / own / cameras / layout.cameras[0]
    raise DataError(f"{root}: does not hold {wanted.relative_to(root)}; wanted the folder that holds {own}, or {own} itself")


def find_beside(cameras: Path, names: Iterable[str]) -> Path | None:
    """The first of some files that lies beside the data set's own folder or in it; None where there is none.

    Args:
        cameras: The folder of the cameras, as from `find_cameras`.
        names: Paths of the files, below one of the two folders.

    Raises:
        DataError: If one of them cannot be looked for.
    """
    places = (folder / name for name in names for folder in (cameras.parents[1], cameras.parent))
    return next((place for place in places if exists(place)), None)


def read_views(folder: Path, layout: Layout) -> Views:
    """Every published person in both cameras, as far as they are there; no picture is read yet.

    Pictures whose names are not those of frames are not seen.

    Raises:
        DataError: If a folder cannot be read, if it holds two pictures of one frame or a frame that is named after another
            camera or person, or if there is no frame at all.
    """
    views: list[dict[int, Tracklet]] = []
    missing = []
    for camid, camera in enumerate(layout.cameras, start=1):
        views.append({})
        for pid in layout.persons:
            name = f"{camera}/{layout.person.format(pid)}"
            frames = _frames(folder / name, layout.frame) if exists(folder / name) else {}
            if frames:
                paths = FramePaths(folder / name, list(frames.values()))
                views[-1][pid] = Tracklet(name, paths, pid, camid, frame_numbers=tuple(frames))
            else:
                missing.append(name)
    if not any(views):
        example = f"{layout.cameras[0]}/{layout.person.format(layout.persons[0])}"
        raise DataError(f"{folder}: no frame of any person in it; wanted pictures in {example}, … with their published names")
    return Views(views[0], views[1], tuple(missing))


def check_split(split: object, splits: int = SPLITS, of: str = "") -> int:
    """`split` as an int, if there is a split of that number.

    Args:
        split: What came.
        splits: How many there are.
        of: Where they are written, for the message.

    Raises:
        InputError: If it is no whole number from 0 to `splits - 1`.
    """
    number = whole_number("split", split, least=0)
    if number >= splits:
        raise InputError(f"{of + ': ' if of else ''}split is a whole number from 0 to {splits - 1}; got {number}")
    return number


def read_halves(path: Path, persons: Sequence[int], split: int) -> tuple[list[int], list[int]]:
    """One row of `ls_set`, the official splits of both data sets, which come in the archive of iLIDS-VID.

    An entry is the place of a person, from 1, among all of them in the order of their numbers, which have gaps. The first
    half of a row is tested on, the other trained on.

    Args:
        path: The MATLAB file.
        persons: The published persons, rising.
        split: Which row, from 0.

    Returns:
        The persons to train on and those to test on, each rising.

    Raises:
        DataError: If the file cannot be read, or the row does not hold each place once.
        MissingExtraError: If SciPy is not installed.
    """
    rows = whole_numbers(path, ["ls_set"])
    wanted = (SPLITS, len(persons))
    if rows.shape != wanted:
        raise DataError(f"{path}: ls_set is {rows.shape}; wanted {wanted}: a row for each split")
    if not np.array_equal(np.sort(rows[split]), np.arange(1, len(persons) + 1)):
        raise DataError(f"{path}: row {split} of ls_set does not hold each of 1..{len(persons)} once; unpack it again")
    places = rows[split].tolist()
    half = len(places) // 2
    test, train = (sorted(persons[place - 1] for place in part) for part in (places[:half], places[half:]))
    return train, test


def _frames(folder: Path, frame: re.Pattern[str]) -> dict[int, str]:
    """The names of the frames in a folder by their numbers, in time order."""
    names: dict[int, str] = {}
    for path in image_files(folder):
        match = frame.fullmatch(path.stem)
        if match is None:
            continue
        told = match.groupdict()
        number = int(told["number"])
        if (told.get("camera", folder.parent.name), told.get("person", folder.name)) != (folder.parent.name, folder.name):
            raise DataError(f"{path}: its name is of another camera or person than its folder; unpack the data set again")
        first = names.setdefault(number, path.name)
        if first != path.name:
            raise DataError(f"{folder}: {first} and {path.name} are both frame {number}; wanted one of them")
    return dict(sorted(names.items()))
