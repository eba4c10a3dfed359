from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.listings import shuffle_listings
from data.miniature import (
    LS_VID_QUERIES,
    LS_VID_TEST,
    LS_VID_TRAIN,
    Row,
    contents,
    labels,
    of_rows,
    publish_ls_vid,
    write_ls_vid,
    write_picture,
)
from scipy.io import savemat

from nlreid.data.datasets.ls_vid import read_ls_vid
from nlreid.data.datasets.mat_file import read_mat
from nlreid.data.datasets.published import PUBLISHED
from nlreid.errors import DataError, MissingExtraError

COMPARED = ["cameras", "train identities", "train tracklets", "train boxes", "test identities", "test tracklets", "test boxes"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A copy that no test changes."""
    return write_ls_vid(tmp_path_factory.mktemp("ls_vid") / "LS-VID")


@pytest.fixture
def root(whole, tmp_path):
    """A copy for a test to damage."""
    return Path(shutil.copytree(whole, tmp_path / "LS-VID"))


@pytest.fixture(autouse=True)
def _published(monkeypatch):
    publish_ls_vid(monkeypatch)


def test_the_gallery_is_the_whole_test_part(whole):
    split = read_ls_vid(str(whole))
    assert labels(split.train) == of_rows(LS_VID_TRAIN)
    assert labels(split.gallery) == of_rows(LS_VID_TEST)
    assert labels(split.query) == of_rows(LS_VID_TEST[line - 1] for line in LS_VID_QUERIES)
    assert all(any(query is tracklet for tracklet in split.gallery) for query in split.query)
    assert split.notes == ()


def test_frames_are_in_time_order_by_their_number(whole):
    last = read_ls_vid(whole).train[-1]
    assert last.name == "tracklet_train/0002/0002_0001"
    assert last.frame_numbers == tuple(range(1, 13))
    assert [path.name for path in last.frames] == [f"0002_0001_15_{n}.jpg" for n in range(1, 13)]
    greys = last.read(range(12), (8, 4))[:, 0, 0, 0].tolist()
    assert greys == sorted(greys)


def test_the_list_may_name_the_camera_too(tmp_path, whole):
    named = contents(read_ls_vid(write_ls_vid(tmp_path / "LS-VID", camera_in_list=True)))
    plain = contents(read_ls_vid(whole))
    assert [[row[1:4] for row in part] for part in named] == [[row[1:4] for row in part] for part in plain]


def test_a_stem_that_begins_another_is_not_mixed_up_with_it(root):
    (root / "list_sequence" / "list_seq_train.txt").write_text("train/1/1_1 1\ntrain/1/1_11 1\n")
    for track, frames in ((1, 3), (11, 2)):
        for number in range(frames):
            write_picture(root / f"train/1/1_{track}_4_f{number:05d}.jpg")
    split = read_ls_vid(root, partial=True)
    assert [len(tracklet) for tracklet in split.train] == [3, 2]
    assert split.train[0].frame_numbers == (0, 1, 2)


def test_the_order_of_the_directory_does_not_matter(whole, monkeypatch):
    expected = contents(read_ls_vid(whole))
    shuffle_listings(monkeypatch, seed=0)
    for _ in range(5):
        assert contents(read_ls_vid(whole)) == expected


def test_stray_files_do_no_harm(root):
    expected = contents(read_ls_vid(root))
    for stray in (".DS_Store", "0001_0001.txt", "0001_0001_01_3.txt", "Thumbs_1_x_2.jpg"):
        (root / "tracklet_train" / "0001" / stray).write_bytes(b"no picture")
    assert contents(read_ls_vid(root)) == expected


def test_a_missing_tracklet_is_an_error_and_partial_leaves_it_out(root):
    for path in (root / "tracklet_test" / "0004").glob("0004_0002_*"):
        path.unlink()
    with pytest.raises(DataError, match=r"not the whole of LS-VID: .*missing: 1 \(.*0004_0002_\*\); .*partial=True"):
        read_ls_vid(root)
    split = read_ls_vid(root, partial=True)
    assert labels(split.gallery) == of_rows([*LS_VID_TEST[:3], LS_VID_TEST[4]])
    assert labels(split.query) == of_rows(LS_VID_TEST[:1])
    assert "queries: 1 found, 2 published" in split.notes


def test_a_missing_frame_shows_in_the_number_of_boxes(root):
    next((root / "tracklet_train" / "0002").iterdir()).unlink()
    with pytest.raises(DataError, match="train boxes: 16 found, 17 published"):
        read_ls_vid(root)
    assert read_ls_vid(root, partial=True).notes == ("train boxes: 16 found, 17 published",)


@pytest.mark.parametrize("count", [*COMPARED, "queries"])
def test_every_number_of_its_two_parts_is_compared(whole, monkeypatch, count):
    field = count.replace(" ", "_")
    changed = replace(PUBLISHED["ls_vid"], **{field: getattr(PUBLISHED["ls_vid"], field) + 1})
    monkeypatch.setitem(PUBLISHED, "ls_vid", changed)
    with pytest.raises(DataError, match=f"{count}: .* found"):
        read_ls_vid(whole)


def test_queries_without_a_right_answer_are_noted(root):
    savemat(root / "test/data/info_test.mat", {"query": [1, 5]})
    assert read_ls_vid(root).notes == ("1 of 2 queries have no right answer in the gallery",)


def test_partial_of_nothing_is_an_error(root):
    for part in ("train", "test"):
        shutil.rmtree(root / f"tracklet_{part}")
    with pytest.raises(DataError, match="none of the pictures of LS-VID"):
        read_ls_vid(root, partial=True)


@pytest.mark.parametrize("name", ["list_sequence/list_seq_train.txt", "test/data/info_test.mat"])
def test_a_missing_list_is_an_error(root, name):
    (root / name).unlink()
    with pytest.raises(DataError, match=f"not LS-VID.*has no {name}"):
        read_ls_vid(root, partial=True)


@pytest.mark.parametrize(
    "line",
    ["tracklet_test/0003/0003_0001", "tracklet_test/0003/0003_0001 x", "0003_0001 3", "/a/0003_0001 3", "../0003/0003_0001 3",
     "tracklet_test/../../0003_0001 3", "tracklet_test/0003/0003 3", "tracklet_test/0003/0003_0001 -1",
     f"tracklet_test/0003/0003_0001 {10**25}", f"tracklet_test/0003/0003_0001 {'7' * 5000}"],
)  # fmt: skip
def test_a_line_that_is_none(root, line):
    path = root / "list_sequence" / "list_seq_test.txt"
    path.write_text(f"{path.read_text()}\n{line}\n")
    with pytest.raises(DataError, match=r"list_seq_test\.txt:6: .* is no line of LS-VID"):
        read_ls_vid(root, partial=True)


def test_a_line_that_comes_twice(root):
    path = root / "list_sequence" / "list_seq_test.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[1])
    with pytest.raises(DataError, match=r"list_seq_test\.txt:6: the same tracklet as in line 2"):
        read_ls_vid(root, partial=True)


@pytest.mark.parametrize(
    "line",
    ["tracklet_test//0003/0003_0001 3", "./tracklet_test/0003/0003_0001 3", "tracklet_test/0003/0003_0001_01 3",
     "tracklet_test/0003/0003_0001_ 4", "elsewhere/0003/0003_0001 3"],
)  # fmt: skip
def test_one_tracklet_under_two_names(root, line):
    (root / "elsewhere").symlink_to("tracklet_test")
    path = root / "list_sequence" / "list_seq_test.txt"
    path.write_text(path.read_text() + line)
    wanted = "lines 'tracklet_test/0003/0003_0001 3' and .* are one tracklet, that of .*0003_0001_01_1.jpg; wanted it once"
    with pytest.raises(DataError, match=rf"list_seq_test\.txt: {wanted}"):
        read_ls_vid(root, partial=True)


def test_a_picture_whose_number_is_no_number(root):
    write_picture(root / f"tracklet_test/0003/0003_0001_01_{'9' * 30}.jpg")
    assert labels(read_ls_vid(root).gallery) == of_rows(LS_VID_TEST)


def test_a_table_of_queries_is_refused(root):
    savemat(root / "test/data/info_test.mat", {"query": np.array([[1, 2], [3, 4]])})
    with pytest.raises(DataError, match=r"info_test\.mat: 'query' is one row or column"):
        read_ls_vid(root, partial=True)


def test_a_tracklet_in_two_cameras(root):
    write_picture(root / "tracklet_test/0003/0003_0001_09_7.jpg")
    with pytest.raises(DataError, match=r"0003_0001_\*: pictures of cameras \[1, 9\]"):
        read_ls_vid(root, partial=True)


@pytest.mark.parametrize(("lines", "what"), [([0], "has 0"), ([6], "has 6"), ([2, 2], "has a number twice")])
def test_queries_that_are_no_lines(root, lines, what):
    savemat(root / "test/data/info_test.mat", {"query": np.array(lines, float)})
    with pytest.raises(DataError, match=f"'query' {what}; wanted different numbers, 1 to 5"):
        read_ls_vid(root, partial=True)


def test_another_variable_is_an_error(root):
    savemat(root / "test/data/info_test.mat", {"queries": [1]})
    with pytest.raises(DataError, match=r"info_test\.mat: has no variable 'query'; its variables: queries"):
        read_ls_vid(root)


def test_a_file_saved_anew_by_an_older_matlab_is_the_same(root):
    before = read_ls_vid(root)
    path = root / "test/data/info_test.mat"
    savemat(path, {"query": read_mat(path)["query"]})
    assert [tracklet.name for tracklet in read_ls_vid(root).query] == [tracklet.name for tracklet in before.query]


@pytest.mark.parametrize("kept", [9, 520, 600, 1000])
def test_a_damaged_file_of_matlab_7_3_is_an_error(root, kept):
    path = root / "test/data/info_test.mat"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"info_test\.mat: not a whole MATLAB file"):
        read_ls_vid(root)


def test_without_h5py_the_extra_is_named(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"nlreid\[datasets\]"):
        read_ls_vid(whole)


def test_persons_may_count_from_0(tmp_path, monkeypatch):
    counts = replace(PUBLISHED["ls_vid"], cameras=6, train_identities=1, train_tracklets=1, train_boxes=2)
    monkeypatch.setitem(PUBLISHED, "ls_vid", counts)
    root = write_ls_vid(tmp_path / "LS-VID", train=[Row(0, 14, 1, 2)])
    assert read_ls_vid(root).train_labels() == {0: 0}
