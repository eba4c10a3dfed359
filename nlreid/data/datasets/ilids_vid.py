"""iLIDS-VID: 300 persons, each seen once by two cameras of an airport.

Wang, Gong, Zhu, Wang, *Person Re-identification by Video Ranking* (ECCV 2014).
"""

from __future__ import annotations

import re
from pathlib import Path

from nlreid.data.datasets.published import PUBLISHED, check_counts
from nlreid.data.datasets.two_cameras import (
    SPLITS,
    Layout,
    check_split,
    find_beside,
    find_cameras,
    read_halves,
    read_views,
)
from nlreid.data.disk import contents, exists
from nlreid.data.split import Split
from nlreid.errors import DataError

_NOBODY = frozenset({11, 32, 72, 73, 78, 112, 132, 146, 156, 180, 211, 215, 247, 248, 250, 263, 267, 291, 292})
_SPLIT_FILE = "train-test people splits/train_test_splits_ilidsvid.mat"
_LAYOUT = Layout(
    cameras=("cam1", "cam2"),
    person="person{:03d}",
    frame=re.compile("(?P<camera>cam[12])_(?P<person>person[0-9]+)_(?P<number>[0-9]{1,18})"),
    persons=tuple(number for number in range(1, 320) if number not in _NOBODY),
)


def read_ilids_vid(root: Path | str, *, split: int, partial: bool = False) -> Split:
    """One of the ten official splits of iLIDS-VID: 150 persons to train on, 150 whom camera 1 searches in camera 2.

    Results on this data set are means over the ten splits: numbers of a single one are not comparable with them, which is
    why `split` has no default. Read are `i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png`, … and
    `train-test people splits/train_test_splits_ilidsvid.mat`, as they lie in `iLIDS-VID.tar`. Frames come in the order of
    their numbers; pids are the numbers of the persons, camids 1 and 2. No picture is read yet. How many pictures were published
    is not known: a note says where numbers of frames are skipped within a tracklet, and one at its ends may be missing unseen.

    Args:
        root: The folder that holds `i-LIDS-VID`, or `i-LIDS-VID` itself.
        split: Which split, 0 to 9.
        partial: Take what is there; what differs from the published data set is then said in `Split.notes`. The halves
            are the official ones also then.

    Raises:
        DataError: If a folder or the split file is missing, cannot be read or is damaged, or if there is a person whom
            iLIDS-VID does not have, or a frame that is named after another person or camera than its folder; unless
            `partial`, if it is not the whole data set.
        InputError: If there is no such split, or `root` is no path.
        MissingExtraError: If SciPy is not installed.
    """
    split = check_split(split)
    cameras = find_cameras(root, "i-LIDS-VID/sequences", _LAYOUT)
    path = find_beside(cameras, [_SPLIT_FILE])
    if path is None:
        raise DataError(f"{cameras.parents[1] / _SPLIT_FILE}: no such file; unpack it from iLIDS-VID.tar")
    _refuse_others(cameras)
    train, test = read_halves(path, _LAYOUT.persons, split)
    views = read_views(cameras, _LAYOUT)
    published = PUBLISHED["ilids_vid"].known()
    notes = check_counts("iLIDS-VID", cameras, views.counts(), published, partial=partial, missing=views.missing)
    return views.split(f"iLIDS-VID, split {split} of 0..{SPLITS - 1}", train, test, notes)


def _refuse_others(cameras: Path) -> None:
    """The splits name persons by their places, so a copy with other numbers would be split wrongly without a word."""
    known = {_LAYOUT.person.format(number) for number in _LAYOUT.persons}
    for camera in _LAYOUT.cameras:
        there = contents(cameras / camera).folders if exists(cameras / camera) else []
        others = sorted(name for name in there if name.lower().startswith("person") and name not in known)
        if others:
            raise DataError(
                f"{cameras / camera / others[0]}: iLIDS-VID has no such person (its 300 persons have "
                "numbers from 1 to 319, of three digits); wanted the folders as they are in iLIDS-VID.tar"
            )
