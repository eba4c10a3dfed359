"""Ranked lists: every picture in its place, in a frame whose colour says whether it is right."""

import numpy as np
import pytest
from PIL import Image

from nlreid import Tracklet
from nlreid.errors import DataError, InputError
from nlreid.visualize import RankedList, draw_ranked_lists
from nlreid.visualize.drawing import GREEN, GREY, INK, PAPER, RED

SHADES = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]


def tracklet(name, shade, pid=None, size=(32, 16), frames=3):
    """Black frames, but for the middle one."""
    pictures = [np.zeros((*size, 3), np.uint8) for _ in range(frames)]
    pictures[frames // 2][:] = shade
    return Tracklet(name, pictures, pid=pid, camid=None if pid is None else 1)


def ranked(pids, asked=7, **options):
    answers = [tracklet(f"{place}", shade, pid) for place, (shade, pid) in enumerate(zip(SHADES, pids, strict=False))]
    return RankedList(
        tracklet("query", (90, 90, 90), asked), answers, [0.1 * place for place in range(len(answers))], **options
    )


def frames_of(picture, row):
    """The colours of a line of pixels, run by run, without the paper between them."""
    line = [tuple(pixel) for pixel in np.asarray(picture)[row].tolist()]
    runs = [colour for place, colour in enumerate(line) if place == 0 or colour != line[place - 1]]
    return [colour for colour in runs if colour != PAPER]


@pytest.mark.parametrize(
    ("asked", "pids", "colours"),
    [
        (7, [7, 9, -1, 7], [GREEN, RED, GREY, GREEN]),
        (None, [7, 9], [GREY, GREY]),
        (7, [None, 7], [GREY, GREEN]),
        (-1, [-1, 7], [GREY, GREY]),
        (0, [0, 1], [GREEN, RED]),
    ],
)
def test_frames_say_who_is_right(asked, pids, colours):
    picture = draw_ranked_lists([ranked(pids, asked)], size=(32, 16))
    expected = [INK, (90, 90, 90), INK]
    for colour, shade in zip(colours, SHADES, strict=False):
        expected += [colour, shade, colour]
    assert frames_of(picture, 12 + 3 + 16) == expected


def test_lists_stand_one_below_the_other_and_none_is_cut():
    short, long = ranked([7]), ranked([9, 9, 9], title="by chance")
    one, other = (draw_ranked_lists([each], size=(32, 16)) for each in (short, long))
    both = draw_ranked_lists([short, long], size=(32, 16))
    assert both.width == max(one.width, other.width)
    height = one.height - 12  # but for the margin, which both have
    assert both.height == height + other.height
    upper, lower = (np.asarray(both)[rows] for rows in (slice(0, one.height), slice(height, None)))
    assert np.array_equal(upper[:height, : one.width], np.asarray(one)[:height])
    assert (upper[:height, one.width :] == PAPER).all()
    assert np.array_equal(lower[12:], np.asarray(other)[12:])


def test_what_is_written_is_to_be_seen():
    base = RankedList(tracklet("a", 9), [tracklet("b", 9)], [0.25])
    others = [
        RankedList(tracklet("x", 9), [tracklet("b", 9)], [0.25]),
        RankedList(tracklet("a", 9), [tracklet("x", 9)], [0.25]),
        RankedList(tracklet("a", 9), [tracklet("b", 9)], [0.75]),
    ]
    pictures = {draw_ranked_lists([each]).tobytes() for each in (base, *others)}
    assert len(pictures) == 4
    assert draw_ranked_lists([base]).tobytes() in pictures


def test_pictures_keep_their_proportions():
    wide = RankedList(tracklet("wide", (0, 0, 200), size=(10, 40)), [], [])
    pixels = np.asarray(draw_ranked_lists([wide], size=(64, 32)))
    rows, columns = np.nonzero((pixels == (0, 0, 200)).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (8, 32)


def test_odd_names_and_nobody_found_are_drawn():
    name = "a\nvery\x1b[31m long \udce9 name \u4eba" * 9
    picture = draw_ranked_lists([RankedList(tracklet(name, 9), [], [], title=name)], size=(8, 4))
    assert picture.mode == "RGB"


def test_pictures_are_read_from_files(tmp_path):
    Image.new("RGB", (16, 32), (0, 0, 200)).save(tmp_path / "1.png")
    found = RankedList(Tracklet("a", [tmp_path / "1.png"]), [], [])
    assert (0, 0, 200) in frames_of(draw_ranked_lists([found]), 80)
    with pytest.raises(DataError, match=r"no\.png: not a readable image"):
        draw_ranked_lists([RankedList(Tracklet("a", [tmp_path / "no.png"]), [], [])])


def test_what_is_no_ranked_list_is_refused():
    one = tracklet("a", 9)
    with pytest.raises(InputError, match="are tracklets; got str"):
        RankedList(one, ["b"], [0.5])
    with pytest.raises(InputError, match="a distance for each of 1 answers is wanted; got 2"):
        RankedList(one, [one], [0.5, 0.5])
    with pytest.raises(InputError, match="finite number; got nan"):
        RankedList(one, [one], [float("nan")])
    with pytest.raises(InputError, match="no ranked list"):
        draw_ranked_lists([])
    with pytest.raises(InputError, match="each side of size is a whole number from 1; got 0"):
        draw_ranked_lists([RankedList(one, [], [])], size=(0, 4))
