from __future__ import annotations

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlreid.data.datasets.track_file import read_tracks
from nlreid.errors import DataError

coordinates = st.floats(-1e6, 1e6, width=32)
sizes = st.floats(1e-3, 1e6)
keys = st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 2**53)), min_size=1, max_size=8, unique=True)
spaces = st.sampled_from(["", " ", "  ", "\t"])


def write(folder, *lines):
    path = folder / "tracks.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@given(data=st.data(), keys=keys, rest=st.sampled_from(["", ",1", ",0.5,-1,-1,-1", ",x"]), bom=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, data, keys, rest, bom):
    boxes = [tuple(data.draw(kind) for kind in (coordinates, coordinates, sizes, sizes)) for _ in keys]
    path = tmp_path_factory.mktemp("tracks") / "tracks.txt"
    lines, numbers = [], []
    for key, box in zip(keys, boxes, strict=True):
        lines += [""] * data.draw(st.integers(0, 2))
        pad = data.draw(spaces)
        lines.append(pad + f"{pad},{pad}".join([*map(str, key), *map(repr, box)]) + rest)
        numbers.append(len(lines))
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    path.write_bytes((newline.join(lines)).encode("utf-8-sig" if bom else "utf-8"))
    tracks = read_tracks(path)
    assert list(zip(tracks.frames.tolist(), tracks.ids.tolist(), strict=True)) == keys
    assert [tuple(box) for box in tracks.boxes.tolist()] == boxes
    assert tracks.lines.tolist() == numbers
    assert tracks.problems == ()


def test_whole_numbers_may_be_written_as_fractions(tmp_path):
    tracks = read_tracks(write(tmp_path, "1.0,2.00,3,4,5,6", "1e1,+3,.5,4.,5,6"))
    assert tracks.frames.tolist() == [1, 10]
    assert tracks.ids.tolist() == [2, 3]
    assert tracks.boxes[1].tolist() == [0.5, 4, 5, 6]


BAD = [
    ("1,2,3,4,5", "5 comma-separated fields; wanted at least 6: frame,id,x,y,w,h"),
    ("1 2 3 4 5 6", "1 comma-separated fields"),
    ("frame,id,x,y,w,h", "frame is 'frame'; wanted a finite number"),
    ("1,2,,4,5,6", "x is ''; wanted a finite number"),
    ("1,2,nan,4,5,6", "x is 'nan'; wanted a finite number"),
    ("1,2,3,-inf,5,6", "y is '-inf'; wanted a finite number"),
    ("1,2,3,4,1e999,6", "w is '1e999'; wanted a finite number"),
    ("1,2,3,4,1_0,6", "w is '1_0'; wanted a finite number"),
    ("0,2,3,4,5,6", "frame is 0; wanted a whole number from 1"),
    ("-3,2,3,4,5,6", "frame is -3; wanted a whole number from 1"),
    ("1.5,2,3,4,5,6", "frame is 1.5; wanted a whole number from 1"),
    ("1,2.5,3,4,5,6", "id is 2.5; wanted a whole number from 0"),
    ("1,-1,3,4,5,6", "id is -1; wanted a whole number from 0 (-1 marks detections"),
    ("1,1e30,3,4,5,6", "id is 1e30; wanted a whole number"),
    ("1,2,3,4,0,6", "the box is 0 x 6; wanted a positive width and height"),
    ("1,2,3,4,5,-6", "the box is 5 x -6; wanted a positive width and height"),
    ("7,9,3,4,5,6", "a second box of id 9 in frame 7, whose first is in line 1"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_a_bad_line_is_named_or_left_out_and_reported(tmp_path, caplog, line, message):
    path = write(tmp_path, "7,9,0,0,10,20", "", line, "8,9,0,0,10,20")
    with pytest.raises(DataError, match=re.escape(f"{path}:3: {message}")):
        read_tracks(path)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger="nlreid"):
        tracks = read_tracks(path, skip_bad_lines=True)
    assert tracks.frames.tolist() == [7, 8]
    [problem] = tracks.problems
    assert problem.startswith(f"{path}:3: {message}")
    [record] = caplog.records
    assert "left out 1 bad lines" in record.getMessage()


def test_a_file_without_boxes_is_refused(tmp_path):
    for content in (b"", b"\n \n", b"\xef\xbb\xbf"):
        (tmp_path / "empty.txt").write_bytes(content)
        with pytest.raises(DataError, match=r"empty\.txt: holds no box"):
            read_tracks(tmp_path / "empty.txt")
    with pytest.raises(DataError, match=r"holds no box; .* 1 bad lines, the first: .*tracks\.txt:1: "):
        read_tracks(write(tmp_path, "a,b"), skip_bad_lines=True)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe1\x00,\x00")
    for name, message in (("binary.txt", "not UTF-8 text"), ("missing.txt", "cannot be read"), ("", "cannot be read")):
        with pytest.raises(DataError, match=message):
            read_tracks(tmp_path / name, skip_bad_lines=True)
