from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from data.listings import shuffle_listings
from data.miniature_two_cameras import ILIDS_PERSONS, ILIDS_ROWS, ILIDS_SPLITS, PICTURE, write, write_ilids_vid
from scipy.io import savemat

from nlreid.data.datasets.ilids_vid import read_ilids_vid
from nlreid.errors import DataError, InputError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A copy that no test changes."""
    return write_ilids_vid(tmp_path_factory.mktemp("ilids"))


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.fixture
def splits(tmp_path):
    """The split file of a copy with one person: it is read first."""
    return write_ilids_vid(tmp_path, persons=[1]) / ILIDS_SPLITS


def facts(tracklets):
    return [(tracklet.name, tracklet.pid, tracklet.camid) for tracklet in tracklets]


def oracle(split):
    """The halves as the authors describe them: places among the sorted persons, first the 150 to test on."""
    row = ILIDS_ROWS[split].tolist()
    test = [person for place, person in enumerate(ILIDS_PERSONS, start=1) if place in row[:150]]
    train = [person for place, person in enumerate(ILIDS_PERSONS, start=1) if place in row[150:]]
    return (
        [(f"cam{camera}/person{person:03d}", person, camera) for person in train for camera in (1, 2)],
        [(f"cam1/person{person:03d}", person, 1) for person in test],
        [(f"cam2/person{person:03d}", person, 2) for person in test],
    )


@pytest.mark.parametrize("split", range(10))
def test_the_ten_splits(whole, split):
    data = read_ilids_vid(whole, split=split)
    assert (facts(data.train), facts(data.query), facts(data.gallery)) == oracle(split)
    assert (len(data.train), len(data.query), len(data.gallery)) == (300, 150, 150)
    assert data.notes == ()
    assert f"split {split}" in data.name


def test_the_root_is_the_folder_above_or_the_data_set_itself(whole, copy, monkeypatch):
    expected = facts(read_ilids_vid(whole, split=3).train)
    assert facts(read_ilids_vid(str(whole), split=3).train) == expected
    assert facts(read_ilids_vid(whole / "i-LIDS-VID", split=3).train) == expected
    for folder in (copy, copy / "i-LIDS-VID"):
        monkeypatch.chdir(folder)
        assert facts(read_ilids_vid(".", split=3).train) == expected
    (copy / ILIDS_SPLITS.parent).rename(copy / "i-LIDS-VID" / ILIDS_SPLITS.parent)
    assert facts(read_ilids_vid(copy, split=3).train) == expected


@pytest.mark.parametrize("seed", range(3))
def test_frames_and_persons_are_in_order_however_the_disk_lists_them(whole, copy, monkeypatch, seed):
    folder = copy / "i-LIDS-VID" / "sequences" / "cam1" / "person001"
    (folder / "cam1_person001_00007.png").unlink()
    write(folder, *(f"cam1_person001_{number}.png" for number in ("100000", "00999", "00317", "00318", "01002")))
    expected = read_ilids_vid(whole, split=0)
    shuffle_listings(monkeypatch, seed)
    data = read_ilids_vid(copy, split=0)
    assert facts(data.train) == facts(expected.train)
    assert facts(data.gallery) == facts(expected.gallery)
    [tracklet] = [tracklet for tracklet in (*data.train, *data.query) if tracklet.name == "cam1/person001"]
    assert tracklet.frame_numbers == (317, 318, 999, 1002, 100000)
    assert [path.stem[-6:] for path in tracklet.frames] == ["_00317", "_00318", "_00999", "_01002", "100000"]
    assert tracklet.read([0, 4], (8, 4)).shape == (2, 8, 4, 3)


def test_stray_files_do_no_harm(whole, copy):
    sequences = copy / "i-LIDS-VID" / "sequences"
    write(sequences / "cam1" / "person001", "Thumbs.db", "._cam1_person001_00007.png", "cam1_person001.png", "overview.jpg")
    write(sequences / "cam1", ".DS_Store", "cam1_person001_00001.png")
    write(sequences / "cam3" / "person001", "cam3_person001_00001.png")
    write(copy / "i-LIDS-VID" / "images" / "cam1" / "person001", "cam1_person001.png")
    write(sequences / "cam1" / "notes", "cam1_person001_00001.png")
    for split in (0, 7):
        expected, data = read_ilids_vid(whole, split=split), read_ilids_vid(copy, split=split)
        for part in ("train", "query", "gallery"):
            assert facts(getattr(data, part)) == facts(getattr(expected, part))
            assert all(len(tracklet) == 1 for tracklet in getattr(data, part))
        assert data.notes == ()


def remove(folder, what):
    if what == "folder":
        shutil.rmtree(folder)
    else:
        for path in folder.iterdir():
            path.unlink()


@pytest.mark.parametrize("what", ["folder", "frames"])
def test_a_person_in_one_camera_only(copy, what):
    place = int(ILIDS_ROWS[4, 0])  # of a person to test on
    person = f"person{ILIDS_PERSONS[place - 1]:03d}"
    remove(copy / "i-LIDS-VID" / "sequences" / "cam2" / person, what)
    with pytest.raises(DataError, match=rf"599 found, 600 published.*cam2/{person}.*partial=True"):
        read_ilids_vid(copy, split=4)
    data = read_ilids_vid(copy, split=4, partial=True)
    train, query, gallery = oracle(4)
    assert (facts(data.train), facts(data.query)) == (train, query)
    assert facts(data.gallery) == [fact for fact in gallery if fact[0] != f"cam2/{person}"]
    notes = " ".join(data.notes)
    assert all(words in notes for words in ("599 found", f"cam2/{person}", "1 of 150 queries have no right answer"))


def test_the_halves_of_a_part_are_the_official_ones(copy):
    """Persons are places in a list: those that are missing must not move the others."""
    gone = [1, 3, 4, 150, 319]
    for camera in ("cam1", "cam2"):
        for person in gone:
            shutil.rmtree(copy / "i-LIDS-VID" / "sequences" / camera / f"person{person:03d}")
    data = read_ilids_vid(copy, split=9, partial=True)
    found = (facts(data.train), facts(data.query), facts(data.gallery))
    assert found == tuple([fact for fact in part if fact[1] not in gone] for part in oracle(9))
    assert "identities: 295 found, 300 published" in data.notes


def test_one_camera_alone(copy):
    shutil.rmtree(copy / "i-LIDS-VID" / "sequences" / "cam1")
    with pytest.raises(DataError, match="cameras: 1 found, 2 published"):
        read_ilids_vid(copy, split=0)
    data = read_ilids_vid(copy, split=0, partial=True)
    assert (len(data.train), len(data.query), len(data.gallery)) == (150, 0, 150)


def test_a_renumbered_copy_is_refused(tmp_path):
    root = write_ilids_vid(tmp_path, persons=range(1, 301))
    for partial in (False, True):
        with pytest.raises(DataError, match="person011: iLIDS-VID has no such person"):
            read_ilids_vid(root, split=0, partial=partial)


@pytest.mark.parametrize("camera", ["cam1", "cam2"])
@pytest.mark.parametrize("person", ["person320", "person000", "person0001", "person1", "Person001", "person011"])
def test_a_person_whom_the_data_set_does_not_have(copy, camera, person):
    folder = write(copy / "i-LIDS-VID" / "sequences" / camera / person, f"{camera}_{person}_00001.png")
    for partial in (False, True):
        with pytest.raises(DataError, match=re.escape(str(folder)) + ": iLIDS-VID has no such person"):
            read_ilids_vid(copy, split=0, partial=partial)


@pytest.mark.parametrize("name", ["cam1_person002_00300.png", "cam2_person007_00300.png", "cam2_person2_00300.png"])
def test_a_picture_of_somebody_else_is_refused(copy, name):
    folder = write(copy / "i-LIDS-VID" / "sequences" / "cam2" / "person002", name)
    with pytest.raises(DataError, match=re.escape(str(folder / name)) + ": its name is of another camera or person"):
        read_ilids_vid(copy, split=0, partial=True)


def test_numbers_that_are_skipped_are_noted(copy):
    sequences = copy / "i-LIDS-VID" / "sequences"
    write(sequences / "cam1" / "person001", *(f"cam1_person001_{number:05d}.png" for number in (8, 9, 13)))
    write(sequences / "cam2" / "person003", *(f"cam2_person003_{number:05d}.png" for number in (22, 24)))
    write(sequences / "cam2" / "person004", "cam2_person004_00029.png")
    skipped = "4 numbers of frames are skipped within 2 tracklets: cam1/person001, cam2/person003"
    for split in range(3):
        assert read_ilids_vid(copy, split=split).notes == (skipped,)  # each person is in one of the halves


def test_the_root_may_be_two_dots(copy, monkeypatch):
    expected = facts(read_ilids_vid(copy, split=3).train)
    monkeypatch.chdir(copy / "i-LIDS-VID" / "sequences")
    assert facts(read_ilids_vid("..", split=3).train) == expected
    assert facts(read_ilids_vid("../..", split=3).train) == expected
    (copy / "link").symlink_to("i-LIDS-VID/sequences/cam1")
    assert facts(read_ilids_vid(copy / "link" / ".." / "..", split=3).train) == expected


def test_the_data_set_may_be_a_link_beside_its_splits(copy, tmp_path):
    expected = facts(read_ilids_vid(copy, split=3).train)
    (tmp_path / "elsewhere").mkdir()
    (copy / "i-LIDS-VID").rename(tmp_path / "elsewhere" / "data")
    (copy / "i-LIDS-VID").symlink_to(tmp_path / "elsewhere" / "data")
    for root in (copy, copy / "i-LIDS-VID"):
        assert facts(read_ilids_vid(root, split=3).train) == expected


def test_two_pictures_of_one_frame_are_refused(copy):
    folder = write(copy / "i-LIDS-VID" / "sequences" / "cam1" / "person002", "cam1_person002_14.jpg")
    with pytest.raises(DataError, match=re.escape(str(folder)) + ".*are both frame 14"):
        read_ilids_vid(copy, split=0, partial=True)


def test_a_truncated_picture_is_found_when_it_is_read(copy):
    path = copy / "i-LIDS-VID" / "sequences" / "cam1" / "person003" / "cam1_person003_00021.png"
    path.write_bytes(PICTURE[: len(PICTURE) // 2])
    data = read_ilids_vid(copy, split=0)
    [tracklet] = [tracklet for tracklet in (*data.train, *data.query) if tracklet.name == "cam1/person003"]
    with pytest.raises(DataError, match=re.escape(str(path))):
        tracklet.read([0], (8, 4))


def test_what_cannot_be_listed_is_named(copy, monkeypatch):
    folder = copy / "i-LIDS-VID" / "sequences" / "cam2" / "person005"
    shutil.rmtree(folder)
    folder.write_text("a file")
    with pytest.raises(DataError, match=re.escape(str(folder)) + ": not a folder"):
        read_ilids_vid(copy, split=0, partial=True)
    folder.unlink()
    write(folder, "cam2_person005_00001.png")
    genuine = Path.stat

    def forbidden(self, **options):
        if self == folder:
            raise PermissionError(13, "Permission denied")
        return genuine(self, **options)

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(DataError, match=re.escape(str(folder)) + r": cannot be read \(Permission denied\)"):
        read_ilids_vid(copy, split=0, partial=True)


@pytest.mark.parametrize("content", ["nothing", "a file", "empty cameras"])
def test_a_root_without_the_data_set(tmp_path, content):
    root = tmp_path / "root"
    if content == "a file":
        root.write_text("no folder")
    elif content == "empty cameras":
        (root / "i-LIDS-VID" / "sequences" / "cam1").mkdir(parents=True)
        (root / ILIDS_SPLITS).parent.mkdir()
        savemat(root / ILIDS_SPLITS, {"ls_set": ILIDS_ROWS})
    wanted = "no frame of any person" if content == "empty cameras" else "does not hold i-LIDS-VID/sequences/cam1"
    with pytest.raises(DataError, match=re.escape(str(root)) + ".*" + wanted):
        read_ilids_vid(root, split=0, partial=True)


def replaced(place, value):
    rows = ILIDS_ROWS.astype(np.float64)
    rows[:, place] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ILIDS_ROWS - 1, "row 2 of ls_set does not hold each of 1..300 once"),
        (replaced(0, 301), "does not hold each of 1..300 once"),
        (np.concatenate([ILIDS_ROWS[:, :299], ILIDS_ROWS[:, :1]], axis=1), "does not hold each of 1..300 once"),
        (ILIDS_ROWS[:, :178], r"ls_set is \(10, 178\); wanted \(10, 300\)"),
        (ILIDS_ROWS.T, r"ls_set is \(300, 10\)"),
        (replaced(0, 0.5), "whole numbers"),
        (replaced(0, np.nan), "whole numbers"),
        (np.array(["a"] * 300), "whole numbers"),
    ],
)
def test_a_damaged_table_of_splits_is_named(splits, rows, message):
    savemat(splits, {"ls_set": rows})
    with pytest.raises(DataError, match=re.escape(str(splits)) + ".*" + message):
        read_ilids_vid(splits.parents[1], split=2, partial=True)


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "a folder", "other variable"])
def test_a_split_file_that_cannot_be_read_is_named(splits, damage):
    content = splits.read_bytes()
    splits.unlink()
    if damage == "truncated":
        splits.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        splits.write_text("no table")
    elif damage == "a folder":
        splits.mkdir()
    elif damage == "other variable":
        savemat(splits, {"splits": ILIDS_ROWS})
    with pytest.raises(DataError, match=re.escape(str(splits))):
        read_ilids_vid(splits.parents[1], split=0, partial=True)


@pytest.mark.parametrize("split", [-1, 10, 1.0, "0", None, True])
def test_refuses_what_is_no_split(whole, split):
    with pytest.raises(InputError, match=f"split is a whole number from 0.*got {split!r}"):
        read_ilids_vid(whole, split=split)


def test_split_has_no_default(whole):
    with pytest.raises(TypeError, match="split"):
        read_ilids_vid(whole)
