from __future__ import annotations

import json
import re
from hashlib import sha256

import numpy as np
import pytest
from data.listings import shuffle_listings
from data.miniature_two_cameras import PICTURE, PRID_PERSONS, PRID_ROWS, prid_halves, write, write_prid2011
from scipy.io import savemat

from nlreid.data.datasets.prid2011 import read_prid2011
from nlreid.errors import DataError, InputError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A copy that no test changes."""
    return write_prid2011(tmp_path_factory.mktemp("prid"))


@pytest.fixture
def copy(tmp_path):
    return write_prid2011(tmp_path / "copy")


def facts(tracklets):
    return [(tracklet.name, tracklet.pid, tracklet.camid) for tracklet in tracklets]


def parts(data):
    return facts(data.train), facts(data.query), facts(data.gallery)


def oracle(halves):
    def named(names, *cameras):
        letters = {"cam_a": 1, "cam_b": 2}
        return [(f"{camera}/{name}", int(name[-4:]), letters[camera]) for name in sorted(names) for camera in cameras]

    return named(halves["train"], "cam_a", "cam_b"), named(halves["test"], "cam_a"), named(halves["test"], "cam_b")


def own_frames(root, camera, person, *names):
    """Give a person frames of its own in place of the shared ones."""
    folder = root / "prid_2011" / "multi_shot" / camera / f"person_{person:04d}"
    folder.unlink()
    return write(folder, *names)


@pytest.mark.parametrize("split", range(10))
def test_the_ten_splits(whole, split):
    data = read_prid2011(whole, split=split)
    assert parts(data) == oracle(prid_halves(split))
    assert (len(data.train), len(data.query), len(data.gallery)) == (178, 89, 89)
    assert data.notes == ()
    assert f"split {split}" in data.name


@pytest.mark.parametrize("split", range(10))
def test_the_table_of_the_authors_is_the_same_splits(whole, tmp_path, split):
    name = "train_test_splits_prid.mat" if split % 2 else "SPLITS.MAT"
    savemat(tmp_path / name, {"ls_set": PRID_ROWS.astype(np.uint8)}, appendmat=False)
    data = read_prid2011(whole, split=split, splits=tmp_path / name)
    assert parts(data) == oracle(prid_halves(split))


def test_where_the_split_file_is_looked_for(copy, monkeypatch):
    expected = oracle(prid_halves(5))
    monkeypatch.chdir(copy / "prid_2011")
    for root in (copy / "prid_2011", "."):
        assert parts(read_prid2011(root, split=5)) == expected
    (copy / "splits_prid2011.json").rename(copy / "prid_2011" / "splits_prid2011.json")
    assert parts(read_prid2011(str(copy), split=5)) == expected
    (copy / "prid_2011" / "splits_prid2011.json").rename(copy / "mine.json")
    assert parts(read_prid2011(copy, split=5, splits=str(copy / "mine.json"))) == expected
    with pytest.raises(DataError, match=r"splits_prid2011\.json: no such file.*put .* splits=.*'generated'"):
        read_prid2011(copy, split=5)
    savemat(copy / "train_test_splits_prid.mat", {"ls_set": PRID_ROWS})
    assert parts(read_prid2011(copy, split=5)) == expected


def test_persons_from_201_on_are_other_people_in_each_camera(whole):
    data = read_prid2011(whole, split=0, splits="generated", min_frames=1)
    assert {tracklet.pid for tracklet in (*data.train, *data.query, *data.gallery)} == set(range(1, 201))


def test_kept_are_those_with_enough_frames_in_both_cameras(copy):
    """Others than the published ones are not counted against them, and a note says so."""
    own_frames(copy, "cam_b", 1, *(f"{number:04d}.png" for number in range(1, 27)))
    with pytest.raises(DataError, match="at least 27 frames in both cameras: 177 found, 178 published"):
        read_prid2011(copy, split=0)
    data = read_prid2011(copy, split=0, splits="generated", min_frames=26)
    assert {tracklet.pid for tracklet in (*data.train, *data.query)} == set(range(1, 201))
    assert "200 persons have at least 26 frames in both cameras" in data.notes[0]
    with pytest.raises(DataError, match="no person has 28 frames in both cameras; lower min_frames"):
        read_prid2011(copy, split=0, min_frames=28)


def test_a_split_may_leave_persons_out(whole):
    data = read_prid2011(whole, split=1, min_frames=26)
    assert parts(data) == oracle(prid_halves(1))
    assert any("does not name 22 of the persons kept: person_0006, " in note for note in data.notes)


def test_persons_of_the_split_who_are_not_kept(copy):
    named = prid_halves(0)["train"][0]
    own_frames(copy, "cam_a", int(named[-4:]), "0001.png")
    with pytest.raises(DataError, match="not the whole of PRID2011"):
        read_prid2011(copy, split=0)
    data = read_prid2011(copy, split=0, partial=True)
    halves = prid_halves(0)
    assert parts(data) == oracle({"train": halves["train"][1:], "test": halves["test"]})
    assert any(f"names 1 persons who do not have 27 frames in both cameras: {named}" in note for note in data.notes)


@pytest.mark.parametrize("name", ["person_0006", "person_0250"])
def test_a_split_that_names_others_is_refused(copy, name):
    halves = prid_halves(0)
    halves = {**halves, "train": [*halves["train"][1:], name]}
    (copy / "mine.json").write_text(json.dumps([halves] * 10))
    with pytest.raises(DataError, match=rf"mine\.json: names 1 persons.*{name}; lower min_frames, or pass partial=True"):
        read_prid2011(copy, split=0, splits=copy / "mine.json")
    data = read_prid2011(copy, split=0, splits=copy / "mine.json", partial=True)
    assert parts(data) == oracle({**halves, "train": halves["train"][:-1]})
    assert any(name in note for note in data.notes)


def test_generated_splits_are_halves_by_hash(whole):
    """The order of SHA-256 of "split:person"; the halves are the same for ever."""
    seen = set()
    for split in range(10):
        data = read_prid2011(whole, split=split, splits="generated")
        names = [f"person_{person:04d}" for person in PRID_PERSONS]
        ordered = sorted(names, key=lambda name, split=split: sha256(f"{split}:{name}".encode()).hexdigest())
        assert parts(data) == oracle({"train": ordered[:89], "test": ordered[89:]})
        assert data.notes == ("the split is drawn by nlreid: numbers on it are not comparable with published ones",)
        assert "generated" in data.name
        seen.add(tuple(facts(data.query)))
    assert len(seen) == 10
    data = read_prid2011(whole, split=0, splits="generated")
    assert [tracklet.pid for tracklet in data.query][:8] == [1, 3, 4, 5, 8, 9, 10, 13]


def test_frames_are_in_order_however_the_disk_lists_them(copy, monkeypatch):
    own_frames(copy, "cam_a", 2, "Thumbs.db", "cover.png", ".0001.png", *(f"{number}.png" for number in range(12, 0, -1)))
    for number in range(13, 30):
        write(copy / "prid_2011" / "multi_shot" / "cam_a" / "person_0002", f"{number + 100:04d}.png")  # frames are missing
    shuffle_listings(monkeypatch, seed=0)
    data = read_prid2011(copy, split=0)
    assert parts(data) == oracle(prid_halves(0))
    [tracklet] = [tracklet for tracklet in (*data.train, *data.query) if tracklet.name == "cam_a/person_0002"]
    assert tracklet.frame_numbers == (*range(1, 13), *range(113, 130))
    assert data.notes == ("100 numbers of frames are skipped within 1 tracklets: cam_a/person_0002",)
    assert [int(path.stem) for path in tracklet.frames] == list(tracklet.frame_numbers)


def test_a_person_in_one_camera_only(copy):
    (copy / "prid_2011" / "multi_shot" / "cam_b" / "person_0003").unlink()
    with pytest.raises(DataError, match=r"tracklets: 399 found, 400 published.*cam_b/person_0003"):
        read_prid2011(copy, split=0)
    data = read_prid2011(copy, split=0, partial=True)
    halves = {part: [name for name in names if name != "person_0003"] for part, names in prid_halves(0).items()}
    assert parts(data) == oracle(halves)


def test_a_file_in_place_of_a_person_and_a_truncated_picture_are_named(copy):
    folder = own_frames(copy, "cam_a", 4, *(f"{number:04d}.png" for number in range(1, 28)))
    (folder / "0001.png").write_bytes(PICTURE[: len(PICTURE) // 2])
    data = read_prid2011(copy, split=0)
    [tracklet] = [tracklet for tracklet in (*data.train, *data.query) if tracklet.name == "cam_a/person_0004"]
    with pytest.raises(DataError, match=re.escape(str(folder / "0001.png"))):
        tracklet.read([0], (8, 4))
    person = copy / "prid_2011" / "multi_shot" / "cam_b" / "person_0004"
    person.unlink()
    person.write_text("a file")
    with pytest.raises(DataError, match=re.escape(str(person)) + ": not a folder"):
        read_prid2011(copy, split=0, partial=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON file"),
        ('[{"train": ["person_0001"], "te', "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("{}", "not a list of splits"),
        ("[]", "not a list of splits"),
        ("[1]", "split 0 is not"),
        ('[{"train": ["person_0001"]}]', "split 0 is not"),
        ('[{"train": "person_0001", "test": []}]', "split 0 is not"),
        ('[{"train": ["person_0001", 2], "test": []}]', "2 is no person of PRID2011; wanted names like 'person_0001'"),
        ('[{"train": ["person1"], "test": []}]', "'person1' is no person"),
        ('[{"train": ["person_0001\\n"], "test": []}]', "is no person"),
        ('[{"train": ["person_0001"], "test": ["person_0001"]}]', "names person_0001 more than once"),
        ('[{"train": ["person_0002", "person_0002"], "test": []}]', "names person_0002 more than once"),
    ],
)
def test_a_damaged_split_file_is_named(whole, tmp_path, text, message):
    path = tmp_path / "splits.json"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(str(path)) + ".*" + message):
        read_prid2011(whole, split=0, splits=path)


def test_split_files_that_cannot_be_read_are_named(whole, tmp_path):
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    savemat(tmp_path / "twice.mat", {"ls_set": np.ones((10, 178))})
    savemat(tmp_path / "ilids.mat", {"ls_set": np.ones((10, 300))})
    (tmp_path / "text.mat").write_text("no table")
    for name in ("latin.json", "twice.mat", "ilids.mat", "text.mat", "missing.json", "missing.mat", "."):
        with pytest.raises(DataError, match=re.escape(str(tmp_path / name))):
            read_prid2011(whole, split=0, splits=tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": -1}, "split is a whole number from 0; got -1"),
        ({"split": 10}, "split is a whole number from 0 to 9; got 10"),
        ({"split": 10, "splits": "generated"}, "split is a whole number from 0 to 9; got 10"),
        ({"split": "0"}, "split is a whole number from 0; got '0'"),
        ({"min_frames": 0}, "min_frames is a whole number from 1; got 0"),
        ({"min_frames": 2.5}, r"min_frames is a whole number from 1; got 2\.5"),
        ({"splits": 5}, "splits is the path of a split file, None or 'generated'; got 5"),
    ],
)
def test_refuses_what_does_not_fit(whole, arguments, message):
    with pytest.raises(InputError, match=message):
        read_prid2011(whole, **{"split": 0, **arguments})


def test_a_split_file_of_ones_own_may_have_fewer_splits(whole, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([prid_halves(0), prid_halves(1)]))
    for split in (1, 2):
        with pytest.raises(DataError, match=r"mine\.json: has 2 splits, not the 10.*partial=True"):
            read_prid2011(whole, split=split, splits=path)
    data = read_prid2011(whole, split=1, splits=path, partial=True)
    assert parts(data) == oracle(prid_halves(1))
    assert data.notes == ("mine.json has 2 splits, not the 10 that results are means over",)
    with pytest.raises(InputError, match=r"mine\.json: split is a whole number from 0 to 1; got 2"):
        read_prid2011(whole, split=2, splits=path, partial=True)


@pytest.mark.parametrize(("train", "test"), [(0, 178), (50, 89), (89, 88), (0, 0)])
def test_halves_of_another_size_are_refused(whole, tmp_path, train, test):
    names = [f"person_{person:04d}" for person in PRID_PERSONS]
    halves = {"train": names[:train], "test": names[train : train + test]}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([halves] * 10))
    size = f"in split 3 {train} persons to train on, {test} to test on, not 89 each"
    with pytest.raises(DataError, match=rf"mine\.json: has {size}; .*partial=True"):
        read_prid2011(whole, split=3, splits=path)
    data = read_prid2011(whole, split=3, splits=path, partial=True)
    assert parts(data) == oracle(halves)
    assert f"mine.json has {size}" in data.notes
    assert parts(read_prid2011(whole, split=3, splits=path, min_frames=26)) == oracle(halves)  # they are other persons


def test_a_root_without_the_data_set(tmp_path):
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match="does not hold prid_2011/multi_shot/cam_a; wanted the folder that holds prid_2011"):
            read_prid2011(root, split=0, partial=True)
