"""Copies of iLIDS-VID and PRID2011 with all their persons, in the official layouts, of pictures of a few pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def _picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 4, 3), 100, np.uint8)).save(file, "PNG")
    return file.getvalue()


PICTURE = _picture()


def write(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(PICTURE)
    return folder


def numbers(ranges: str) -> list[int]:
    bounds = [part.split("-") for part in ranges.split()]
    return [number for ends in bounds for number in range(int(ends[0]), int(ends[-1]) + 1)]


def random_rows(persons: int) -> np.ndarray:
    """Ten splits as in the official files: places from 1."""
    random = np.random.default_rng(0)
    return np.stack([random.permutation(persons) + 1 for _ in range(10)])


# --- iLIDS-VID

ILIDS_PERSONS = numbers(
    "1-10 12-31 33-71 74-77 79-111 113-131 133-145 147-155 157-179 181-210 212-214 216-246 249 251-262 264-266 268-290 293-319"
)
ILIDS_ROWS = random_rows(300)
ILIDS_SPLITS = Path("train-test people splits", "train_test_splits_ilidsvid.mat")


def write_ilids_vid(root: Path, persons=ILIDS_PERSONS) -> Path:
    for camera in ("cam1", "cam2"):
        for person in persons:
            name = f"person{person:03d}"
            write(root / "i-LIDS-VID" / "sequences" / camera / name, f"{camera}_{name}_{person * 7:05d}.png")
    (root / ILIDS_SPLITS).parent.mkdir(parents=True)
    savemat(root / ILIDS_SPLITS, {"ls_set": ILIDS_ROWS.astype(np.uint16)})
    return root


# --- PRID2011

PRID_PERSONS = numbers(
    "1-5 7-18 20-30 32-51 53-56 58-61 63-70 72-93 95-105 107-119 121-135 137 140-141 143-144 146-157 160-165 167-182 "
    "184-189 191-198"
)
PRID_ROWS = random_rows(178)


def prid_halves(split: int) -> dict[str, list[str]]:
    names = [f"person_{PRID_PERSONS[place - 1]:04d}" for place in PRID_ROWS[split]]
    return {"train": sorted(names[89:]), "test": sorted(names[:89])}


def write_prid2011(root: Path) -> Path:
    """Persons share their folders of frames through links: ten thousand files would take a second for each test."""
    frames = {count: write(root / "shared" / str(count), *(f"{n:04d}.png" for n in range(1, count + 1))) for count in (26, 27)}
    for camera, last in (("cam_a", 205), ("cam_b", 210)):
        (root / "prid_2011" / "multi_shot" / camera).mkdir(parents=True)
        for person in range(1, last + 1):
            short = person <= 200 and person not in PRID_PERSONS and (camera == "cam_b" or person < 100)
            folder = root / "prid_2011" / "multi_shot" / camera / f"person_{person:04d}"
            folder.symlink_to(frames[26 if short else 27])
    (root / "splits_prid2011.json").write_text(json.dumps([prid_halves(split) for split in range(10)]))
    return root
