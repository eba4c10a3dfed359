"""PRID2011: persons seen by two cameras of a street, 178 of them long enough in both.

Hirzer, Beleznai, Roth, Bischof, *Person Re-identification by Descriptive and Discriminative Classification* (SCIA 2011); the
persons and the splits for tracklets are those of Wang et al., *Person Re-identification by Video Ranking* (ECCV 2014).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from nlreid.data.datasets.prid2011_splits import Halves, read_split
from nlreid.data.datasets.published import PUBLISHED, check_counts
from nlreid.data.datasets.two_cameras import (
    SPLITS,
    Layout,
    Views,
    check_split,
    find_beside,
    find_cameras,
    read_views,
)
from nlreid.data.disk import as_path
from nlreid.data.split import Split
from nlreid.errors import DataError, InputError, some_of, whole_number

GENERATED = "generated"
MIN_FRAMES = 27  # papers print "more than 21", which leaves 181 persons; the published splits have those with at least 27

_SHORT = frozenset({6, 19, 31, 52, 57, 62, 71, 94, 106, 120, 136, 138, 139, 142, 145, 158, 159, 166, 183, 190, 199, 200})
_LAYOUT = Layout(
    cameras=("cam_a", "cam_b"),
    person="person_{:04d}",
    frame=re.compile("(?P<number>[0-9]{1,18})"),
    persons=tuple(range(1, 201)),  # from 201 on the cameras count different people
)
_KEPT = tuple(pid for pid in _LAYOUT.persons if pid not in _SHORT)  # 178
_JSON, _MAT = "splits_prid2011.json", "train_test_splits_prid.mat"


def read_prid2011(
    root: Path | str,
    *,
    split: int,
    splits: Path | str | None = None,
    min_frames: int = MIN_FRAMES,
    partial: bool = False,
) -> Split:
    """One of the ten splits of PRID2011: 89 persons to train on, 89 whom camera A searches in camera B.

    Results on this data set are means over the ten splits: numbers of a single one are not comparable with them, which is
    why `split` has no default. Read are `prid_2011/multi_shot/cam_a/person_0001/0001.png`, … of the persons that both
    cameras saw, `person_0001` to `person_0200`, and of those the 178 with at least 27 frames in each camera. Frames
    come in the order of their numbers; pids are the numbers of the persons, camid 1 is camera A and 2 camera B. No picture is
    read yet. How many pictures were published is not known: a note says where numbers of frames are skipped within a
    tracklet, and one at its ends may be missing unseen.

    The data set itself has no splits. Those in use are published twice, with the same halves: as
    `train_test_splits_prid.mat` in the archive of iLIDS-VID, and as `splits_prid2011.json`, ten of
    `{"train": ["person_0001", …], "test": […]}`.

    Args:
        root: The folder that holds `prid_2011`, or `prid_2011` itself.
        split: Which split, 0 to 9.
        splits: A file of one of the two forms; None looks for them beside `prid_2011` and in it. `"generated"` needs no
            file: the persons in the order of the SHA-256 of `"split:person"` (`"0:person_0001"`), the first half to train
            on. Numbers on such splits are not comparable with published ones.
        min_frames: Least number of frames in each camera. With another number than 27 the persons are other ones than the
            published, their number is not checked, and a note says so.
        partial: Take what is there; what differs from the published data set is then said in `Split.notes`.

    Raises:
        DataError: If a folder or the split file is missing, cannot be read or is damaged, if no person has enough frames;
            unless `partial`, if it is not the whole data set, or the split file has not ten splits, halves that are not 89
            persons (where `min_frames` is 27), or persons that are not among those kept.
        InputError: If there is no such split, `min_frames` is not positive, or `root` or `splits` is no path.
        MissingExtraError: If SciPy is not installed, for a `.mat` file.
    """
    split, min_frames = whole_number("split", split, least=0), whole_number("min_frames", min_frames)
    cameras = find_cameras(root, "prid_2011/multi_shot", _LAYOUT)
    path = None if splits == GENERATED else _split_file(cameras, splits)
    named, notes = None, tuple[str, ...]()
    if path is not None:
        named, notes = read_split(path, split, _KEPT, any_size=min_frames != MIN_FRAMES, partial=partial)
    views = read_views(cameras, _LAYOUT)
    kept, differences = _kept(cameras, views, min_frames, partial=partial)
    notes += differences
    if path is None or named is None:
        train, test = _draw(kept, check_split(split))
        notes += ("the split is drawn by nlreid: numbers on it are not comparable with published ones",)
        return views.split(f"PRID2011, generated split {split} of 0..{SPLITS - 1}", train, test, notes)
    train, test = ([pid for pid in half if pid in kept] for half in named)
    notes += _differences(path, named, kept, min_frames, partial=partial)
    return views.split(f"PRID2011, split {split} of {path.name}", train, test, notes)


def _kept(cameras: Path, views: Views, min_frames: int, *, partial: bool) -> tuple[list[int], tuple[str, ...]]:
    """The persons with enough frames in both cameras, and what differs from the published data set."""
    both = views.first.keys() & views.second.keys()
    kept = sorted(pid for pid in both if min(len(views.first[pid]), len(views.second[pid])) >= min_frames)
    if not kept:
        raise DataError(f"{cameras}: no person has {min_frames} frames in both cameras; lower min_frames")
    found, published = views.counts(), PUBLISHED["prid2011"].known()
    if min_frames == MIN_FRAMES:
        enough = f"identities with at least {MIN_FRAMES} frames in both cameras"
        found[enough], published[enough] = len(kept), len(_KEPT)
    notes = check_counts("PRID2011", cameras, found, published, partial=partial, missing=views.missing)
    if min_frames != MIN_FRAMES:
        notes += (
            f"{len(kept)} persons have at least {min_frames} frames in both cameras; "
            f"published results are of those with at least {MIN_FRAMES}",
        )
    return kept, notes


def _differences(path: Path, named: Halves, kept: Collection[int], min_frames: int, *, partial: bool) -> tuple[str, ...]:
    """Persons of whom the split file or the folders know nothing."""
    unknown, unnamed = {*named[0], *named[1]} - set(kept), set(kept) - {*named[0], *named[1]}
    notes = []
    if unknown:
        who = f"names {len(unknown)} persons who do not have {min_frames} frames in both cameras: {_names(unknown)}"
        if not partial:
            raise DataError(f"{path}: {who}; lower min_frames, or pass partial=True to leave them out")
        notes.append(f"{path.name} {who}")
    if unnamed:
        notes.append(f"{path.name} does not name {len(unnamed)} of the persons kept: {_names(unnamed)}")
    return tuple(notes)


def _names(pids: Iterable[int]) -> str:
    return some_of([_LAYOUT.person.format(pid) for pid in pids])


def _split_file(cameras: Path, splits: Path | str | None) -> Path:
    if splits is not None:
        if not isinstance(splits, str | Path):
            raise InputError(f"splits is the path of a split file, None or {GENERATED!r}; got {splits!r}")
        return as_path("splits", splits)
    path = find_beside(cameras, [_JSON, _MAT])
    if path is None:
        raise DataError(
            f"{cameras.parents[1] / _JSON}: no such file, nor {_MAT}; put one of them there, name it with splits=, "
            f"or pass splits={GENERATED!r} for splits that are drawn here and are not the published ones"
        )
    return path


def _draw(persons: Sequence[int], split: int) -> Halves:
    """Halves that depend on nothing but the names: no generator's algorithm, which a later version may change."""
    order = sorted(persons, key=lambda pid: sha256(f"{split}:{_LAYOUT.person.format(pid)}".encode()).digest())
    half = len(order) // 2
    return order[:half], order[half:]
