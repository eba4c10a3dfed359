"""Miniature copies of data sets in their official layouts: real names, real tables, pictures of a few pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from nlreid.data.datasets.published import PUBLISHED


@dataclass(frozen=True)
class Row:
    """A tracklet: pid (-1: junk, 0: distractor), camera, the number of its track, how many frames."""

    pid: int
    camera: int
    track: int
    frames: int

    @property
    def person(self) -> str:
        return "00-1" if self.pid == -1 else f"{self.pid:04d}"

    def names(self) -> list[str]:
        return [f"{self.person}C{self.camera}T{self.track:04d}F{number:03d}.jpg" for number in range(1, self.frames + 1)]


MARS_TRAIN = [Row(1, 1, 1, 3), Row(1, 2, 1, 2), Row(3, 1, 1, 2), Row(3, 6, 1, 4), Row(7, 5, 1, 2), Row(7, 5, 2, 12)]
MARS_TEST = [
    Row(-1, 1, 1, 2),
    Row(-1, 3, 1, 2),
    Row(0, 2, 1, 3),
    Row(2, 1, 1, 2),  # a query
    Row(2, 1, 2, 3),
    Row(2, 4, 1, 2),
    Row(4, 2, 1, 2),  # a query
    Row(4, 3, 1, 5),  # a query: without the queries, both have no right answer
    Row(5, 6, 1, 2),
    Row(6, 1, 1, 2),  # a query
    Row(6, 2, 1, 2),
]
MARS_QUERIES = [4, 7, 8, 10]


def write_picture(path: Path, grey: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 4, 3), grey, np.uint8)).save(path)


def write_mars(root: Path, train=MARS_TRAIN, test=MARS_TEST, queries=MARS_QUERIES) -> Path:
    (root / "info").mkdir(parents=True)
    for part, rows in (("train", train), ("test", test)):
        names = [name for row in rows for name in row.names()]
        ends = np.cumsum([row.frames for row in rows])
        table = [[end - row.frames + 1, end, row.pid, row.camera] for row, end in zip(rows, ends, strict=True)]
        for row in rows:
            for number, name in enumerate(row.names(), start=1):
                write_picture(root / f"bbox_{part}" / row.person / name, grey=number)
        (root / "info" / f"{part}_name.txt").write_text("\n".join(names) + "\n")
        savemat(root / "info" / f"tracks_{part}_info.mat", {f"track_{part}_info": np.array(table, np.int32)})
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([queries], np.uint16)})
    return root


def publish_mars(monkeypatch) -> None:
    """Make the miniature's numbers the published ones, written down rather than counted."""
    counts = replace(
        PUBLISHED["mars"], identities=9, tracklets=17, boxes=52, cameras=6, train_identities=3, train_tracklets=6,
        train_boxes=25, test_tracklets=11, test_boxes=27, distractors=1, junk=2, queries=4,
    )  # fmt: skip
    monkeypatch.setitem(PUBLISHED, "mars", counts)


LS_VID_TRAIN = [Row(1, 1, 1, 3), Row(1, 12, 2, 2), Row(2, 15, 1, 12)]
LS_VID_TEST = [Row(3, 1, 1, 2), Row(3, 2, 2, 3), Row(4, 5, 1, 2), Row(4, 6, 2, 2), Row(5, 7, 1, 2)]
LS_VID_QUERIES = [1, 4]


def write_mat73(path: Path, arrays) -> None:
    """A file as MATLAB 7.3 writes it: HDF5 behind a header of its own, arrays by columns."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
        file.create_group("#refs#")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write_ls_vid(root: Path, train=LS_VID_TRAIN, test=LS_VID_TEST, queries=LS_VID_QUERIES, camera_in_list=False) -> Path:
    (root / "list_sequence").mkdir(parents=True)
    (root / "test" / "data").mkdir(parents=True)
    for part, rows in (("train", train), ("test", test)):
        lines = []
        for row in rows:
            stem = f"{row.pid:04d}_{row.track:04d}"
            for number in range(1, row.frames + 1):
                write_picture(root / f"tracklet_{part}/{row.pid:04d}/{stem}_{row.camera:02d}_{number}.jpg", grey=number)
            stem += f"_{row.camera:02d}" if camera_in_list else ""
            lines.append(f"tracklet_{part}/{row.pid:04d}/{stem} {row.pid}")
        (root / "list_sequence" / f"list_seq_{part}.txt").write_text("\n".join(lines) + "\n")
    # a column of doubles, as MATLAB saves numbers unless told otherwise
    write_mat73(root / "test" / "data" / "info_test.mat", {"query": np.array([queries], float).T, "gallery": np.eye(2)})
    return root


def publish_ls_vid(monkeypatch) -> None:
    """Make the miniature's numbers the published ones, written down rather than counted."""
    counts = replace(
        PUBLISHED["ls_vid"], cameras=7, train_identities=2, train_tracklets=3, train_boxes=17, test_identities=3,
        test_tracklets=5, test_boxes=11, queries=2,
    )  # fmt: skip
    monkeypatch.setitem(PUBLISHED, "ls_vid", counts)


def labels(tracklets):
    return [(tracklet.pid, tracklet.camid, len(tracklet)) for tracklet in tracklets]


def of_rows(rows):
    return [(row.pid, row.camera, row.frames) for row in rows]


def contents(split):
    parts = (split.train, split.query, split.gallery)
    return [[(t.name, t.pid, t.camid, t.frame_numbers, list(t.frames)) for t in part] for part in parts]
