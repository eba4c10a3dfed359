from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from data.listings import shuffle_listings
from data.miniature_two_cameras import PICTURE, write
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.data.datasets.people import read_people
from nlreid.errors import DataError


def facts(tracklets):
    return [(tracklet.name, tracklet.pid, tracklet.camid) for tracklet in tracklets]


def plant(root, *tracks):
    for track in tracks:
        write(root / track, "1.png", "2.png")
    return root


def test_without_parts_all_is_gallery_and_first_tracks_are_queries(tmp_path):
    data = read_people(plant(tmp_path, "p2/c1/t10", "p2/c1/t9", "p2/c2", "p10/c2/only", "p10/c1/a", "p10/c1/b"))
    assert data.train == ()
    assert facts(data.gallery) == [
        ("p2/c1/t9", 2, 1),
        ("p2/c1/t10", 2, 1),
        ("p2/c2", 2, 2),
        ("p10/c1/a", 10, 1),
        ("p10/c1/b", 10, 1),
        ("p10/c2/only", 10, 2),
    ]
    assert [tracklet.name for tracklet in data.query] == ["p2/c1/t9", "p2/c2", "p10/c1/a", "p10/c2/only"]
    assert all(any(tracklet is other for other in data.gallery) for tracklet in data.query)
    assert data.notes == ()


def test_parts_have_their_own_persons_and_common_labels(tmp_path):
    plant(tmp_path, "train/ann/left", "train/bob/right/t1", "query/carl/left", "gallery/carl/right", "gallery/dora/top")
    data = read_people(str(tmp_path))
    assert facts(data.train) == [("train/ann/left", 1, 1), ("train/bob/right/t1", 2, 2)]
    assert facts(data.query) == [("query/carl/left", 3, 1)]
    assert facts(data.gallery) == [("gallery/carl/right", 3, 2), ("gallery/dora/top", 4, 3)]
    assert data.notes == ()


@pytest.mark.parametrize("part", ["train", "query", "gallery"])
def test_a_part_that_is_not_there_is_empty(tmp_path, part):
    data = read_people(plant(tmp_path, f"{part}/1/1"))
    assert {name: len(getattr(data, name)) for name in ("train", "query", "gallery") if getattr(data, name)} == {part: 1}


@pytest.mark.parametrize(
    "pids",
    [
        {"1": 1, "2": 2, "10": 10},
        {"007": 7, "12": 12},
        {"person_3": 3, "person_12": 12},
        {"p3": 3, "q12": 12, "5": 5},
        {"-1": -1, "0": 0, "0005": 5},  # junk and a distractor
        {"person_0": 1, "person_1": 2},  # both are somebody
        {"01": 1, "1": 2},
        {"a1": 1, "b1": 2},
        {"a1": 1, "b": 2},
        {"ann": 1, "bob": 2},
        {"3": 1, "10": 2, "ann": 3},
        {"1": 1, str(2**63): 2},
        {"p1": 1, "p²": 2},
        {"anna": 1, "bob": 2, "0": 0, "-1": -1},
        {"0001": 1, "0002": 2, "0000": 0, "00-1": -1},
        {"p1": 1, "p7": 7, "00": 0, "0": 0, "-01": -1},
        {"person_0": 1, "person_1": 2, "0": 0},
        {"-0": 0, "-5": -5, "3": 3},
    ],
)
def test_pids_are_numbers_or_places(tmp_path, pids):
    data = read_people(plant(tmp_path, *(f"gallery/{name}/c" for name in pids)))
    assert {tracklet.name.split("/")[1]: tracklet.pid for tracklet in data.gallery} == pids


@pytest.mark.parametrize("nobody", ["0", "-1", "0000", "00-1"])
@pytest.mark.parametrize("part", ["train", "query"])
def test_nobody_trains_on_or_searches_for_distractors_and_junk(tmp_path, part, nobody):
    plant(tmp_path, f"{part}/anna/c1", f"{part}/{nobody}/c1/t2", "gallery/anna/c2", f"gallery/{nobody}/c2")
    wanted = re.escape(str(tmp_path / part / nobody / "c1" / "t2"))
    with pytest.raises(DataError, match=f"^{wanted}: nobody trains on or searches for .*; move it to gallery"):
        read_people(tmp_path)


@pytest.mark.parametrize("part", ["Query", "GALLERY", "Train"])
@pytest.mark.parametrize("beside", ["query/1/c1", "1/c1"])
def test_parts_are_in_lower_case(tmp_path, part, beside):
    plant(tmp_path, f"{part}/1/c1", beside)
    message = f"^{re.escape(str(tmp_path / part))}: parts are called train, query, gallery, in lower case; rename it"
    with pytest.raises(DataError, match=message):
        read_people(tmp_path)


def test_persons_that_are_called_like_parts_are_noted(tmp_path):
    plant(tmp_path, "probe/1/c1", "bob/1/c1", "bob/2/c1")
    assert read_people(tmp_path).notes[0] == (
        "read as persons, and not as parts, which are called train, query, gallery: probe"
    )
    assert read_people(plant(tmp_path, "gallery/1/1")).notes[0].endswith("beside train, query, gallery: bob, probe")


def test_links_that_lead_nowhere_are_noted(tmp_path):
    plant(tmp_path, "1/1/t", "1/2")
    links = ["2", "1/3", "1/1/u", "1/1/t/3.png", "1/2/4.png"]
    for link in links:
        (tmp_path / link).symlink_to("nowhere")
    (tmp_path / "1" / ".hidden").symlink_to("nowhere")
    data = read_people(tmp_path)
    assert [len(tracklet) for tracklet in data.gallery] == [2, 2]
    [note] = data.notes
    assert note.startswith("left out, since they are neither files nor folders, or lead nowhere: 5 (")
    assert str(tmp_path / "1" / "1" / "t" / "3.png") in note


def test_numbers_of_frames_that_are_none(tmp_path):
    write(tmp_path / "1" / "1", "1.png", f"{2**63}.png")
    write(tmp_path / "1" / "2", "1.png", f"{2**63 - 1}.png")
    assert [tracklet.frame_numbers for tracklet in read_people(tmp_path).gallery] == [None, (1, 2**63 - 1)]


@pytest.mark.parametrize(
    ("names", "camids"),
    [(["cam_0", "cam_1"], [0, 1]), (["c2", "c10"], [2, 10]), (["entry", "exit"], [1, 2]), (["0", "3"], [0, 3])],
)
def test_camids_are_numbers_or_places(tmp_path, names, camids):
    data = read_people(plant(tmp_path, *(f"1/{name}" for name in names)))
    assert {tracklet.name.split("/")[1]: tracklet.camid for tracklet in data.gallery} == dict(zip(names, camids, strict=True))


def test_distractors_and_junk_are_not_searched_for(tmp_path):
    data = read_people(plant(tmp_path, "-1/1", "0/1", "4/1", "4/2"))
    assert [tracklet.pid for tracklet in data.query] == [4, 4]
    assert sorted(tracklet.pid for tracklet in data.gallery) == [-1, 0, 4, 4]


words = st.text("ab019_", min_size=1, max_size=3)
trees = st.dictionaries(st.tuples(words, words, words), st.integers(1, 3), min_size=1, max_size=6)


def natural(name):
    return [int(piece) if piece.isdigit() else piece for piece in re.split("([0-9]+)", name)], name


def label(names, zero):
    """As the documentation has it, in words: numbers if all have one and all differ, places otherwise."""
    nobody = {} if zero else {name: 0 for name in names if not name.strip("0")}
    numbers = {}
    for name in names - nobody.keys():
        digits = re.search("[0-9]*$", name)[0]
        if digits and (int(digits) > 0 or zero):
            numbers[name] = int(digits)
    if len(numbers) + len(nobody) == len(names) and len(numbers) == len(set(numbers.values())):
        return numbers | nobody
    return nobody | {name: place for place, name in enumerate(sorted(names - nobody.keys(), key=natural), start=1)}


@settings(deadline=None, max_examples=40)
@given(tree=trees, seed=st.integers(0, 99))
def test_every_track_is_read_whatever_the_order_on_disk(tree, seed):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for track, frames in tree.items():
            write(Path(name, *track), *(f"f{number}.png" for number in range(8, 8 + frames)))
        shuffle_listings(patch, seed)
        gallery = read_people(name).gallery
    pids, camids = (label({track[level] for track in tree}, zero=level == 1) for level in (0, 1))
    ordered = sorted(tree, key=lambda track: [natural(part) for part in track])
    assert facts(gallery) == [("/".join(track), pids[track[0]], camids[track[1]]) for track in ordered]
    for tracklet, track in zip(gallery, ordered, strict=True):
        assert tracklet.frame_numbers == tuple(range(8, 8 + tree[track]))
        assert [path.name for path in tracklet.frames] == [f"f{number}.png" for number in range(8, 8 + tree[track])]


@pytest.mark.parametrize(
    ("names", "ordered", "numbers"),
    [
        (["10.png", "9.jpg"], ["9.jpg", "10.png"], (9, 10)),
        (["0001C1T0001F010.png", "0001C1T0001F002.png"], ["0001C1T0001F002.png", "0001C1T0001F010.png"], (2, 10)),
        (["b.png", "a1.png"], ["a1.png", "b.png"], None),
        (["b1.png", "a2.png"], ["a2.png", "b1.png"], None),
        (["1.png", "1.jpg"], ["1.jpg", "1.png"], None),
        (["7_left.png", "8_left.png"], ["7_left.png", "8_left.png"], (7, 8)),
    ],
)
def test_frames_are_in_natural_order_with_numbers_that_rise(tmp_path, names, ordered, numbers):
    write(tmp_path / "1" / "1", *names)
    [tracklet] = read_people(tmp_path).gallery
    assert [path.name for path in tracklet.frames] == ordered
    assert tracklet.frame_numbers == numbers


def test_stray_and_hidden_files_do_no_harm(tmp_path):
    expected = facts(read_people(plant(tmp_path, "1/1/t", "1/2")).gallery)
    for folder in (".", "1", "1/1", "1/1/t", "1/2"):
        write(tmp_path / folder, "notes.txt", ".hidden.png", "Thumbs.db")
        write(tmp_path / folder / ".cache", "1.png")
    (tmp_path / "train").write_text("a file is no part")
    data = read_people(tmp_path)
    assert facts(data.gallery) == expected
    assert all(len(tracklet) == 2 for tracklet in data.gallery)


def test_notes_say_what_is_not_read_and_what_has_no_answer(tmp_path):
    plant(tmp_path, "train/1/1", "query/1/1", "query/2/1", "gallery/1/2", "gallery/2/1/other", "gallery/0/1")
    plant(tmp_path, "val/3/1", "old/3/1")
    beside, known, alone = read_people(tmp_path).notes
    assert beside == "not read, since they lie beside train, query, gallery: old, val"
    assert known.startswith("1 persons are trained on and tested on")
    assert alone == "1 of 2 queries have no right answer in the gallery"


@pytest.mark.parametrize(
    ("tracks", "where", "message"),
    [
        ((), ".", "holds nothing to read"),
        (("1",), "1", "pictures where folders are wanted"),
        ((".",), ".", "pictures where folders are wanted"),
        (("1/1", "1"), "1", "pictures where folders are wanted"),
        (("1/1", "1/1/t"), "1/1", "pictures where folders are wanted"),
        (("1/1/t/deeper",), "1/1/t", "holds no picture"),
        (("1/1/t", "1/1/t/deeper"), "1/1/t", "holds folders inside that of a track"),
        (("gallery/1",), "gallery/1", "pictures where folders are wanted"),
    ],
)
def test_another_layout_is_named(tmp_path, tracks, where, message):
    plant(tmp_path, *tracks)
    wanted = re.escape(f"{tmp_path / where}: ") + message + ".*; wanted person/camera/track/frames, or person/camera/frames"
    with pytest.raises(DataError, match=wanted):
        read_people(tmp_path)


@pytest.mark.parametrize("empty", ["2", "1/2", "1/1/t2", "train"])
def test_a_folder_with_nothing_in_it_is_named(tmp_path, empty):
    plant(tmp_path, "1/1/t1")
    write(tmp_path / empty, "notes.txt")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / empty}: holds no")):
        read_people(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="missing: not a folder that can be read"):
        read_people(tmp_path / "missing")
    write(tmp_path, "a_file.txt")
    with pytest.raises(DataError, match=r"a_file\.txt: not a folder"):
        read_people(tmp_path / "a_file.txt")
    plant(tmp_path, "1/1/t")
    (tmp_path / "1" / "1" / "t" / "2.png").write_bytes(PICTURE[: len(PICTURE) // 2])
    [tracklet] = read_people(tmp_path).gallery
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "1" / "1" / "t" / "2.png"))):
        tracklet.read([0, 1], (8, 4))
    genuine = os.scandir

    def forbidden(path):
        if Path(path).name == "t":
            raise PermissionError(13, "Permission denied")
        return genuine(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "1" / "1" / "t")) + ".*Permission denied"):
        read_people(tmp_path)
