from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.listings import shuffle_listings
from data.miniature import MARS_QUERIES, MARS_TEST, MARS_TRAIN, contents, labels, of_rows, publish_mars, write_mars
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from nlreid.data.datasets.mars import read_mars
from nlreid.data.datasets.published import PUBLISHED
from nlreid.errors import DataError, MissingExtraError, UnknownNameError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A copy that no test changes."""
    return write_mars(tmp_path_factory.mktemp("mars") / "MARS")


@pytest.fixture
def root(whole, tmp_path):
    """A copy for a test to damage."""
    return Path(shutil.copytree(whole, tmp_path / "MARS"))


@pytest.fixture(autouse=True)
def _published(monkeypatch):
    publish_mars(monkeypatch)


def test_official_the_gallery_is_the_whole_test_part(whole):
    split = read_mars(whole)
    assert labels(split.train) == of_rows(MARS_TRAIN)
    assert labels(split.gallery) == of_rows(MARS_TEST)
    assert labels(split.query) == of_rows(MARS_TEST[row - 1] for row in MARS_QUERIES)
    assert all(any(query is tracklet for tracklet in split.gallery) for query in split.query)
    assert split.notes == ()
    assert "official" in split.name
    assert split.train_labels() == {1: 0, 3: 1, 7: 2}


def test_community_the_gallery_has_no_query_and_no_junk_and_the_unanswered_are_noted(whole):
    split = read_mars(whole, protocol="community")
    left = [row for number, row in enumerate(MARS_TEST, start=1) if number not in MARS_QUERIES and row.pid != -1]
    assert labels(split.gallery) == of_rows(left)
    assert labels(split.query) == labels(read_mars(whole).query)
    assert split.notes == ("2 of 4 queries have no right answer in the gallery",)
    assert "community" in split.name
    assert 0 in {tracklet.pid for tracklet in split.gallery}


def test_frames_are_those_on_disk_in_time_order_with_their_numbers(whole):
    last = read_mars(str(whole)).train[-1]
    assert last.name == "0007C5T0002F001"
    assert last.frame_numbers == tuple(range(1, 13))
    assert list(last.frames) == [whole / "bbox_train" / "0007" / f"0007C5T0002F{n:03d}.jpg" for n in range(1, 13)]
    greys = last.read(range(12), (8, 4))[:, 0, 0, 0].tolist()
    assert greys == sorted(greys)
    assert len(set(greys)) == 12


def test_the_summary_is_table_1(whole):
    lines = read_mars(whole).summary().splitlines()
    assert lines[2].split() == ["train", "3", "6", "25", "4", "0", "0", "2/4.2/12"]
    assert lines[4].split() == ["gallery", "4", "11", "27", "5", "1", "2", "2/2.5/5"]
    assert lines[5].split() == ["total", "7", "17", "52", "6", "1", "2", "2/3.1/12"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("protocol", ["official", "community"])
def test_the_order_of_the_directory_does_not_matter(whole, monkeypatch, protocol, seed):
    expected = contents(read_mars(whole, protocol=protocol))
    shuffle_listings(monkeypatch, seed)
    assert contents(read_mars(whole, protocol=protocol)) == expected


def test_each_folder_is_listed_once_and_no_picture_is_asked_after(whole, monkeypatch):
    listed, scandir, stat = [], os.scandir, os.stat
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(str(path)), scandir(path))[1])

    def guarded(path, *args, **kwargs):
        assert not str(path).endswith(".jpg")
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", guarded)
    read_mars(whole)
    assert len(listed) == len(set(listed)) == 3 + 6  # persons to train on, and those of the test part with 00-1 and 0000


def test_lines_out_of_order_give_frames_in_order(root):
    path = root / "info" / "train_name.txt"
    names = path.read_text().splitlines()
    path.write_text("\r\n".join(names[:-12] + names[-12:][::-1]) + "\r\n")  # the last row has 12 frames
    assert read_mars(root).train[-1].frame_numbers == tuple(range(1, 13))


def change_table(root, row, column, value, part="train"):
    path = root / "info" / f"tracks_{part}_info.mat"
    table = loadmat(path)[f"track_{part}_info"]
    table[row - 1, column] = value
    savemat(path, {f"track_{part}_info": table})


def test_stray_files_do_no_harm(root):
    expected = contents(read_mars(root))
    for stray in (".DS_Store", "bbox_train/Thumbs.db", "bbox_train/0001/.DS_Store", "bbox_test/0002/0002C1T0009F001.jpg"):
        (root / stray).write_bytes(b"no picture")
    (root / "bbox_test" / "9999").mkdir()
    assert contents(read_mars(root)) == expected


def test_missing_frames_are_an_error_that_counts_them(root):
    (root / "bbox_train/0003/0003C6T0001F002.jpg").unlink()
    (root / "bbox_test/0005/0005C6T0001F001.jpg").unlink()
    with pytest.raises(DataError, match="not the whole of MARS") as caught:
        read_mars(root)
    for part in (str(root), "boxes: 50 found, 52 published", "train boxes: 24 found, 25 published", "missing: 2 ("):
        assert part in str(caught.value)
    assert str(root / "bbox_train/0003/0003C6T0001F002.jpg") in str(caught.value)
    assert "partial=True" in str(caught.value)


@pytest.mark.parametrize("missing", [1, 3])
def test_partial_leaves_missing_frames_out(root, missing):
    for number in range(1, missing + 1):
        (root / f"bbox_train/0003/0003C6T0001F{number:03d}.jpg").unlink()
    split = read_mars(root, partial=True)
    assert labels(split.train) == [*of_rows(MARS_TRAIN[:3]), (3, 6, 4 - missing), *of_rows(MARS_TRAIN[4:])]
    assert split.train[3].name == "0003C6T0001F001"
    assert split.train[3].frame_numbers == tuple(range(missing + 1, 5))
    assert f"train boxes: {25 - missing} found, 25 published" in split.notes
    assert any(note.startswith(f"missing: {missing} (") for note in split.notes)


def test_partial_leaves_out_a_tracklet_of_which_nothing_remains_also_as_a_query(root):
    shutil.rmtree(root / "bbox_test" / "0006")
    split = read_mars(root, partial=True)
    assert labels(split.query) == of_rows([MARS_TEST[3], MARS_TEST[6], MARS_TEST[7]])
    assert labels(split.gallery) == of_rows(MARS_TEST[:-2])
    assert "queries: 3 found, 4 published" in split.notes
    assert "test tracklets: 9 found, 11 published" in split.notes


def test_partial_with_one_part_only(root):
    shutil.rmtree(root / "bbox_train")
    split = read_mars(root, partial=True, protocol="community")
    assert split.train == ()
    assert "train tracklets: 0 found, 6 published" in split.notes
    assert split.notes[-1] == "2 of 4 queries have no right answer in the gallery"


def test_partial_of_nothing_is_an_error(root):
    shutil.rmtree(root / "bbox_train")
    shutil.rmtree(root / "bbox_test")
    with pytest.raises(DataError, match=r"none of the pictures of MARS.*0001C1T0001F001\.jpg"):
        read_mars(root, partial=True)


@pytest.mark.parametrize("count", [name.replace(" ", "_") for name in PUBLISHED["mars"].known()])
def test_every_published_number_is_compared(whole, monkeypatch, count):
    published = PUBLISHED["mars"]
    changed = replace(published, **{count: getattr(published, count) + 1})
    monkeypatch.setitem(PUBLISHED, "mars", changed)
    with pytest.raises(DataError, match=f"{count.replace('_', ' ')}: .* found"):
        read_mars(whole)
    assert len(read_mars(whole, partial=True).notes) == 1


@pytest.mark.parametrize("name", ["train_name.txt", "test_name.txt", "tracks_test_info.mat", "query_IDX.mat"])
@pytest.mark.parametrize("partial", [False, True])
def test_a_missing_list_is_an_error(root, name, partial):
    (root / "info" / name).unlink()
    with pytest.raises(DataError, match=f"not MARS.*has no info/{name}"):
        read_mars(root, partial=partial)


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, Path.touch])
def test_a_root_that_is_no_mars(tmp_path, make):
    make(tmp_path / "here")
    with pytest.raises(DataError, match="not MARS"):
        read_mars(tmp_path / "here")


def test_a_file_in_place_of_a_folder(root):
    shutil.rmtree(root / "bbox_test" / "0002")
    (root / "bbox_test" / "0002").write_text("not a folder")
    with pytest.raises(DataError, match="0002: not a folder that can be read"):
        read_mars(root, partial=True)


def test_a_folder_that_cannot_be_listed(whole, monkeypatch):
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("0004"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"0004: not a folder that can be read .Permission denied"):
        read_mars(whole, partial=True)


def test_a_truncated_picture_is_an_error_when_it_is_read(root):
    path = root / "bbox_train/0001/0001C1T0001F002.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    tracklet = read_mars(root).train[0]
    assert tracklet.read([0], (8, 4)).shape == (1, 8, 4, 3)
    with pytest.raises(DataError, match=r"0001C1T0001F002\.jpg: not a readable image"):
        tracklet.read([0, 1], (8, 4))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tracks_train_info.mat", {"track_test_info": np.ones((2, 4))}),
        ("tracks_train_info.mat", {}),
        ("query_IDX.mat", {"query": [1, 2]}),
    ],
)
def test_another_variable_is_an_error_that_lists_those_of_the_file(root, name, content):
    savemat(root / "info" / name, content)
    with pytest.raises(DataError, match=f"{name}: has no variable .*; its variables: {next(iter(content), 'none')}"):
        read_mars(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((2, 3)), r"columns first, last, pid, camera; this one has shape \(2, 3\)"),
        (np.zeros((0, 4)), "holds whole numbers; this one is .* of shape"),
        (np.array([[1, 3, 1.5, 1]]), "holds whole numbers"),
        (np.array([[1, np.nan, 1, 1]]), "holds whole numbers"),
        (np.array([[1, np.inf, 1, 1]]), "holds whole numbers"),
        (np.array([[1, 1e300, 1, 1]]), "holds whole numbers"),
        ("text", "holds whole numbers"),
        (np.array([[0, 3, 1, 1]]), "row 1 is of lines 0 to 3; .* has lines 1 to 25"),
        (np.array([[1, 3, 1, 1], [4, 2, 1, 1]]), "row 2 is of lines 4 to 2"),
        (np.array([[1, 26, 1, 1]]), "row 1 is of lines 1 to 26"),
    ],
)
def test_a_table_that_cannot_be(root, content, message):
    savemat(root / "info" / "tracks_train_info.mat", {"track_train_info": content})
    with pytest.raises(DataError, match=message) as caught:
        read_mars(root, partial=True)
    assert "tracks_train_info.mat" in str(caught.value)


@pytest.mark.parametrize(("column", "value", "what"), [(2, 3, "pid 3 in camera 2"), (2, -1, "pid -1"), (3, 5, "camera 5")])
def test_a_row_that_disagrees_with_the_names(root, column, value, what):
    change_table(root, row=2, column=column, value=value)
    with pytest.raises(DataError, match=rf"tracks_train_info\.mat: row 2 is of .*{what}.*line 4 .* is 0001C2T0001F001\.jpg"):
        read_mars(root, partial=True)


@pytest.mark.parametrize("name", ["0001C1T0001F001.png", "../0001C1T0001F001.jpg", "0001C1T0001F001.jpg 7", "name"])
def test_a_line_that_is_no_name(root, name):
    path = root / "info" / "test_name.txt"
    names = path.read_text().splitlines()
    path.write_text("\n".join([*names[:4], name, *names[5:]]))
    with pytest.raises(DataError, match=r"test_name\.txt:5: .* is no name of MARS"):
        read_mars(root, partial=True)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00"])
def test_a_list_without_text(root, content):
    (root / "info" / "test_name.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"test_name\.txt: (is empty|not UTF-8)"):
        read_mars(root)


@pytest.mark.parametrize(("rows", "what"), [([0], "has 0"), ([12], "has 12"), ([4, 4], "has a number twice")])
def test_queries_that_are_no_rows(root, rows, what):
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([rows])})
    with pytest.raises(DataError, match=f"'query_IDX' {what}; wanted different numbers, 1 to 11"):
        read_mars(root)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize(("row", "pid"), [(1, -1), (3, 0)])
def test_queries_of_junk_or_distractors_are_refused(root, row, pid, partial):
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([[4, 7, row, 10]])})
    with pytest.raises(DataError, match=rf"query_IDX\.mat: 'query_IDX' has row {row} of tracks_test_info\.mat, .* pid {pid}, "):
        read_mars(root, partial=partial)


def test_a_table_of_queries_is_refused(root):
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([[4, 7], [8, 10]])})
    with pytest.raises(DataError, match=r"query_IDX\.mat: 'query_IDX' is one row or column of numbers; .* \(2, 2\)"):
        read_mars(root)


@pytest.mark.parametrize(("row", "first", "last"), [(2, 1, 3), (2, 3, 5), (6, 12, 25)])
def test_rows_that_share_lines_are_refused(root, row, first, last):
    change_table(root, row, 0, first)
    change_table(root, row, 1, last)
    with pytest.raises(DataError, match=rf"tracks_train_info\.mat: rows \d and {row} both have line \d+ of .*train_name\.txt"):
        read_mars(root, partial=True)


def test_a_row_of_several_tracks_is_noted(root):
    change_table(root, row=6, column=0, value=12)  # lines 12 and 13 are of the first track of person 7, in the same camera
    path = root / "info" / "tracks_train_info.mat"
    savemat(path, {"track_train_info": loadmat(path)["track_train_info"][[0, 1, 2, 3, 5]]})
    data = read_mars(root, partial=True)
    assert data.notes[-1] == "1 rows of the tables hold pictures of several tracks: tracks_train_info.mat: row 5"
    assert data.train[-1].frame_numbers == (1, 2, *range(1, 13))


@pytest.mark.parametrize("what", ["folder", "broken link", "loop"])
def test_what_is_no_file_is_no_frame(root, what):
    path = root / "bbox_train/0003/0003C6T0001F002.jpg"
    path.unlink()
    path.mkdir() if what == "folder" else path.symlink_to("nowhere" if what == "broken link" else path.name)
    with pytest.raises(DataError, match=r"missing: 1 \(.*0003C6T0001F002\.jpg\)"):
        read_mars(root)
    assert read_mars(root, partial=True).train[3].frame_numbers == (1, 3, 4)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(0, 300))
def test_a_cut_off_table_is_an_error(whole, size):
    path = whole / "info" / "query_IDX.mat"
    content = path.read_bytes()
    try:
        path.write_bytes(content[: min(size, len(content) - 1)])
        with pytest.raises(DataError, match=r"query_IDX\.mat: "):
            read_mars(whole)
    finally:
        path.write_bytes(content)


def test_without_scipy_the_extra_is_named(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"nlreid\[datasets\]"):
        read_mars(whole)


@pytest.mark.parametrize("protocol", ["Official", "", None])
def test_another_protocol_is_refused(whole, protocol):
    with pytest.raises(UnknownNameError, match="Allowed: community, official"):
        read_mars(whole, protocol=protocol)
