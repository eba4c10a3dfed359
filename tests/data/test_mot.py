from __future__ import annotations

import gc
import itertools
import logging
import re
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlreid.data.datasets import mot
from nlreid.data.datasets.crops import CropReport, crop
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.data.transforms import resize
from nlreid.errors import DataError, InputError


def write(folder, *lines):
    path = folder / "tracks.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- one crop


def pixels_inside(box, height, width):
    """The pixels of a picture between the rounded edges of a box, one by one."""
    x, y, w, h = box
    rows = [row for row in range(height) if round(y) <= row < round(y + h)]
    columns = [column for column in range(width) if round(x) <= column < round(x + w)]
    return rows, columns


edge = st.one_of(st.integers(-12, 12), st.floats(-12, 12))
length = st.one_of(st.integers(1, 20), st.floats(0.01, 20), st.just(1e300))


@given(x=edge, y=edge, w=length, h=length)
def test_a_crop_holds_the_pixels_of_the_box_that_lie_in_the_picture(x, y, w, h):
    picture = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    piece, clipped = crop(picture, np.array([x, y, w, h], dtype=np.float64))
    rows, columns = pixels_inside((x, y, w, h), 7, 9)
    if not rows or not columns:
        assert piece is None
    else:
        np.testing.assert_array_equal(piece, picture[np.ix_(rows, columns)])
        assert clipped == (round(x) < 0 or round(y) < 0 or round(x + w) > 9 or round(y + h) > 7)


@pytest.mark.parametrize("size", [None, (7, 9), (4, 5)])
def test_a_crop_is_a_copy(size):
    picture = np.zeros((7, 9, 3), np.uint8)
    piece, _ = crop(picture, np.array([0, 0, 9, 7.0]), size)
    assert piece.shape == (*(size or (7, 9)), 3)
    assert not np.shares_memory(piece, picture)
    picture[:] = 255
    assert not piece.any()


# --- tracklets of a video


def oracle(synthetic, boxes, frames):
    """All pictures in memory, one track after the other: (last frame, id) -> [(frame, crop)]."""
    found = {}
    for identity in sorted({identity for _, identity, *_ in boxes}):
        own = sorted(box for box in boxes if box[1] == identity)
        pieces = []
        for frame, _, *box in own:
            if frame <= frames:
                rows, columns = pixels_inside(box, synthetic.height, synthetic.width)
                if rows and columns:
                    pieces.append((frame, synthetic.picture(frame)[np.ix_(rows, columns)]))
        found[min(own[-1][0], frames + 1), identity] = pieces
    return [(str(identity), found[end, identity]) for end, identity in sorted(found)]


def as_lines(boxes):
    return [",".join(map(str, box)) for box in boxes]


def random_boxes(seed, frames=12, ids=5):
    random = np.random.default_rng(seed)
    boxes = [
        (frame, identity, *random.integers(-30, 70, 2).tolist(), *random.integers(1, 40, 2).tolist())
        for frame, identity in itertools.product(range(1, frames + 1), range(ids))
        if random.random() < 0.6
    ]
    random.shuffle(boxes)
    return boxes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_frames", [1, 4])
def test_tracklets_equal_those_cut_with_everything_in_memory(synthetic, tmp_path, seed, min_frames):
    boxes = random_boxes(seed)
    expected = [(name, pieces) for name, pieces in oracle(synthetic, boxes, 12) if len(pieces) >= min_frames]
    report = CropReport()
    tracklets = list(
        read_video_tracklets(synthetic.pictures(12), write(tmp_path, *as_lines(boxes)), min_frames=min_frames, report=report)
    )
    assert [tracklet.name for tracklet in tracklets] == [name for name, _ in expected]
    for tracklet, (_, pieces) in zip(tracklets, expected, strict=True):
        assert tracklet.frame_numbers == tuple(frame for frame, _ in pieces)
        for came, (_, wanted) in zip(tracklet.frames, pieces, strict=True):
            np.testing.assert_array_equal(came, wanted)
    assert report.boxes == len(boxes)
    assert report.tracklets == len(expected)
    assert report.crops == sum(len(pieces) for _, pieces in expected)
    assert len(report.short) == len({box[1] for box in boxes}) - len(expected)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv"])
def test_the_crops_of_a_video_file_are_those_of_its_frame_numbers(synthetic, tmp_path, name):
    path = write(tmp_path, *(f"{frame},1,20,20,20,20" for frame in (3, 4, 9, 28)), "5,2,22,22,9,9")
    second, first = read_video_tracklets(str(synthetic.video(name)), str(path))
    assert (second.name, first.name) == ("2", "1")
    assert [round(piece.mean() / synthetic.step) for piece in first.frames] == [3, 4, 9, 28]


def test_crops_are_resized_at_once(synthetic, tmp_path):
    path = write(tmp_path, "1,1,5,6,20,30", "2,1,0,0,64,48")
    [tracklet] = read_video_tracklets(synthetic.pictures(2), path, size=(16, 8))
    for number, (x, y, w, h), piece in zip((1, 2), ((5, 6, 20, 30), (0, 0, 64, 48)), tracklet.frames, strict=True):
        whole = torch.from_numpy(synthetic.picture(number)[y : y + h, x : x + w].copy())
        np.testing.assert_array_equal(piece, resize(whole[None], (16, 8))[0].numpy())


def test_a_tracklet_comes_when_its_last_box_has_passed_and_is_then_let_go(synthetic, tmp_path, monkeypatch):
    path = write(tmp_path, "1,2,0,0,9,9", "2,2,0,0,9,9", "1,1,0,0,9,9", "2,1,0,0,9,9", "1,3,0,0,9,9", "8,3,0,0,9,9")
    read = []
    genuine = mot.read_frames

    def noting(source):
        for number, picture in genuine(source):
            read.append(number)
            yield number, picture

    monkeypatch.setattr(mot, "read_frames", noting)
    tracklets = read_video_tracklets(synthetic.pictures(12), path)
    assert read == []
    held = []
    for expected_name, expected_read in (("1", 2), ("2", 2), ("3", 8)):
        tracklet = next(tracklets)
        assert (tracklet.name, read[-1]) == (expected_name, expected_read)
        held += [weakref.ref(tracklet), *map(weakref.ref, tracklet.frames)]
        del tracklet
        gc.collect()
        assert [reference() for reference in held if reference() is not None] == []
    assert next(tracklets, None) is None
    assert read == list(range(1, 9))  # the frames after the last box are not read


def test_a_video_that_breaks_matters_only_if_its_missing_frames_are_wanted(synthetic, tmp_path):
    video = synthetic.video("a.avi")
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.85)])
    assert len(list(read_video_tracklets(video, write(tmp_path, "3,1,0,0,9,9")))) == 1
    for skip in (False, True):
        with pytest.raises(DataError, match=r"a\.avi: decoding stopped after frame \d+"):
            list(read_video_tracklets(video, write(tmp_path, "3,1,0,0,9,9", "29,1,0,0,9,9"), skip_bad_lines=skip))


def test_boxes_after_the_end_of_the_video_are_named_or_left_out(synthetic, tmp_path, caplog):
    path = write(tmp_path, "9,1,0,0,9,9", "3,1,0,0,9,9", "2,2,0,0,9,9", "5,3,0,0,9,9", "1,4,0,0,9,9")
    video = synthetic.pictures(4)
    message = re.escape(f"{path}:1: a box in frame 9 (and 1 more lines), but {video} has 4 frames")
    with pytest.raises(DataError, match=message):
        list(read_video_tracklets(video, path))
    report = CropReport()
    with caplog.at_level(logging.WARNING, logger="nlreid"):
        tracklets = list(read_video_tracklets(video, path, skip_bad_lines=True, report=report))
    assert [(tracklet.name, len(tracklet)) for tracklet in tracklets] == [("4", 1), ("2", 1), ("1", 1)]
    assert report.beyond == [1, 4]
    assert report.short == ["3"]
    assert "left out 2 boxes after the end of the video: lines 1, 4" in caplog.text
    assert "left out 2 boxes after the end of the video: lines 1, 4" in report.summary()


def test_what_is_clipped_outside_or_bad_is_reported(synthetic, tmp_path, caplog):
    path = write(tmp_path, "1,1,-5,0,9,9", "2,1,64,0,9,9", "x", "3,1,0.1,0.1,0.2,9", "4,1,0,0,9,9", "4,2,99,0,1,1")
    report = CropReport()
    with caplog.at_level(logging.WARNING, logger="nlreid"):
        [tracklet] = read_video_tracklets(synthetic.pictures(4), path, skip_bad_lines=True, report=report)
    assert tracklet.frame_numbers == (1, 4)
    assert tracklet.frames[0].shape == (9, 4, 3)
    assert (report.boxes, report.tracklets, report.crops) == (5, 1, 2)
    assert (report.clipped, report.outside, report.short) == ([1], [2, 4, 6], ["2"])
    assert len(report.bad_lines) == 1
    assert "left out 3 boxes wholly outside the picture or empty: lines 2, 4, 6" in caplog.text
    summary = report.summary().splitlines()
    assert len(summary) == 4
    assert summary[0].endswith("5 boxes, 1 tracklets with 2 pictures, 1 boxes clipped at the edge of the picture")
    assert all(line.startswith(f"{path}: ") for line in summary)


def test_closing_early_closes_the_video(synthetic, tmp_path, monkeypatch):
    closed = []
    opened = []  # held, so that nothing but close() ends them

    def endless():
        try:
            for number in itertools.count(1):
                yield number, synthetic.picture(1)
        finally:
            closed.append(number)

    monkeypatch.setattr(mot, "read_frames", lambda _source: opened.append(endless()) or opened[-1])
    path = write(tmp_path, "1,1,0,0,9,9", "5,2,0,0,9,9")
    tracklets = read_video_tracklets(tmp_path, path)
    next(tracklets)
    assert closed == []
    tracklets.close()
    assert closed == [1]
    assert len(list(read_video_tracklets(tmp_path, path))) == 2
    assert closed == [1, 5]


def test_bad_arguments_and_files_are_refused_before_anything_is_read(synthetic, tmp_path):
    path, video = write(tmp_path, "1,1,0,0,9,9"), synthetic.pictures(1)
    for wrong in ({"min_frames": 0}, {"size": (0, 8)}):
        with pytest.raises(InputError, match="must be positive"):
            read_video_tracklets(video, path, **wrong)
    with pytest.raises(DataError, match="no such file"):
        read_video_tracklets(tmp_path / "missing.avi", path)
    with pytest.raises(DataError, match="cannot be read"):
        read_video_tracklets(video, tmp_path / "missing.txt")
