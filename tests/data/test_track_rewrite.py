"""Track files with other ids are the same text, but for the ids."""

import pytest

from nlreid.data.datasets.track_file import read_tracks
from nlreid.data.datasets.track_rewrite import with_ids
from nlreid.errors import DataError

TEXT = "\ufeff1, 7,10.50,5,30,60,1,-1,-1,-1\n\n2,7,10,5,30,60\n1,9,50,5,30,60,0.25\n3,9.0,50,5,30,60\n"


def test_only_ids_change(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text(TEXT, encoding="utf-8")
    tracks = read_tracks(path)
    assert with_ids(tracks, {}).decode() == TEXT.removeprefix("\ufeff").replace("\n\n", "\n")
    expected = "1, 7,10.50,5,30,60,1,-1,-1,-1\n2,7,10,5,30,60\n1,4,50,5,30,60,0.25\n3,4,50,5,30,60\n"
    assert with_ids(tracks, {9: 4, 100: 3}).decode() == expected


def test_bad_lines_that_were_left_out_are_left_out(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text("1,7,10,5,30,60\nwhat\n2,7,10,5,30,60\n")
    assert with_ids(read_tracks(path, skip_bad_lines=True), {7: 1}) == b"1,1,10,5,30,60\n2,1,10,5,30,60\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("inside", "\x0b\x0c\x1c\x85\u2028")
def test_what_ends_a_line_for_others_may_stand_in_one(tmp_path, end, inside):
    path = tmp_path / "tracks.txt"
    path.write_bytes(f"1,7,10,5,30,60,a{inside}b{end}2,7,10,5,30,60{end}".encode())
    assert with_ids(read_tracks(path), {7: 1}).decode() == f"1,1,10,5,30,60,a{inside}b\n2,1,10,5,30,60\n"


def test_two_boxes_of_one_id_are_refused(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text("1,7,10,5,30,60\n1,9,50,5,30,60\n")
    with pytest.raises(DataError, match=r"tracks\.txt:2: frame 1 would have two boxes of id 7"):
        with_ids(read_tracks(path), {9: 7})


@pytest.mark.parametrize("text", ["", "1,8,10,5,30,60\n", "2,7,10,5,30,60\n", "x,7,10,5,30,60\n"])
def test_a_file_that_changed_meanwhile_is_refused(tmp_path, text):
    path = tmp_path / "tracks.txt"
    path.write_text("1,7,10,5,30,60\n")
    tracks = read_tracks(path)
    path.write_text(text)
    with pytest.raises(DataError, match=r"tracks\.txt:1: has changed since it was read"):
        with_ids(tracks, {7: 1})
