"""Ranked lists: which answers are right, and that every one is drawn in its place, with the sign that says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from visualize.reading import Box, check_legible, drawn, frames, photographs, sheet, texts

from nlreid import Tracklet
from nlreid.errors import DataError, InputError
from nlreid.visualize import RankedList, draw_ranked_lists
from nlreid.visualize.figures.style import GREEN, GREY, INK, VERMILLION

SHADES = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
LOOKS = {True: (GREEN, "tick"), False: (VERMILLION, "cross"), None: (GREY, None)}


def tracklet(name, shade=9, pid=None, size=(32, 16), count=3, camid=None):
    """Black frames, but for the middle one."""
    pictures = [np.zeros((*size, 3), np.uint8) for _ in range(count)]
    pictures[count // 2][:] = shade
    return Tracklet(name, pictures, pid=pid, camid=camid)


def ranked(pids, asked=7, **options):
    answers = [tracklet(f"{place}", shade, pid) for place, (shade, pid) in enumerate(zip(SHADES, pids, strict=False))]
    return RankedList(
        tracklet("query", (90, 90, 90), asked), answers, [0.1 * place for place in range(len(answers))], **options
    )


def signs_by_column(figure):
    """What sign stands below each frame; the last two are those of the key."""
    boxes = [box for _, _, box in frames(figure)]
    found = [None] * len(boxes)
    for kind in ("tick", "cross"):
        for ((x, y),) in drawn(figure, kind):
            for place in (at for at, box in enumerate(boxes) if box.left <= x <= box.right and 0 < y - box.bottom < 0.2):
                assert found[place] is None
                found[place] = kind
    return found


@pytest.mark.parametrize(
    ("asked", "pids", "right"),
    [
        (7, [7, 9, -1, 7], [True, False, None, True]),
        (None, [7, 9], [None, None]),
        (7, [None, 7], [None, True]),
        (-1, [-1, 7], [None, None]),
        (0, [0, 1], [True, False]),
    ],
)
def test_colour_line_and_sign_say_who_is_right(asked, pids, right):
    shown = ranked(pids, asked)
    assert [shown.right(place) for place in range(len(pids))] == right
    figure = draw_ranked_lists([shown])
    first, *others = frames(figure)
    assert first[:2] == (INK, "-")
    assert [colour for colour, _, _ in others] == [LOOKS[each][0] for each in right]
    assert signs_by_column(figure) == [None, *(LOOKS[each][1] for each in right)]
    assert [style != "-" for _, style, _ in others] == [each is False for each in right]  # dashed, if and only if wrong
    written = [text for text, _ in texts(figure)]
    assert ("same person" in written) == ("another person" in written) == any(each is not None for each in right)


def test_each_picture_stands_in_its_place_with_its_distance_camera_and_name():
    answers = [tracklet(name, shade, 1, camid=camid) for name, shade, camid in zip("xyz", SHADES, (4, None, 6), strict=False)]
    figure = draw_ranked_lists([RankedList(tracklet("who", (90, 90, 90), 1, camid=2), answers, [0.25, 0.5, 1.75], "by chance")])
    boxes = [box for _, _, box in frames(figure)]
    for (pixels, box), frame, shade in zip(photographs(figure), boxes, [(90, 90, 90), *SHADES[:3]], strict=True):
        assert frame.holds(box)
        assert (pixels == np.array(shade)).all()
    assert [box.left for box in boxes] == sorted(box.left for box in boxes)
    written = [(text, where) for text, where in texts(figure) if text]
    rooms = [Box(box.left - 0.05, 0, box.right + 0.1, box.bottom + 0.5) for box in boxes]
    below = [[text for text, at in written if room.left <= at.left <= room.right and at.top < room.bottom] for room in rooms]
    assert below[0] == ["by chance", "query", "camera 2", "who"]
    assert below[1:] == [["0.250", "camera 4", "x"], ["0.500", "y"], ["1.750", "camera 6", "z"]]
    assert boxes[1].left - boxes[0].right > boxes[2].left - boxes[1].right  # the query stands apart


def test_lists_stand_one_below_the_other_and_none_is_cut():
    figure = draw_ranked_lists([ranked([7]), ranked([9, 9, 9, 9], title="by chance")])
    boxes = [box for _, _, box in frames(figure)]
    assert [box.left for box in boxes[:2]] == [box.left for box in boxes[2:4]]
    assert min(box.top for box in boxes[2:]) > max(box.bottom for box in boxes[:2])
    assert len(photographs(figure)) == 2 + 5
    check_legible(figure)


def test_pictures_keep_their_proportions():
    answers = [tracklet("tall", size=(40, 10)), tracklet("square", size=(8, 8))]
    figure = draw_ranked_lists([RankedList(tracklet("wide", size=(10, 40)), answers, [1, 2])])
    for (pixels, box), (_, _, frame) in zip(photographs(figure), frames(figure), strict=True):
        assert (box.right - box.left) / (box.bottom - box.top) == pytest.approx(pixels.shape[1] / pixels.shape[0])
        assert frame.holds(box, slack=1e-6)
        assert min(frame.right - frame.left - box.right + box.left, frame.bottom - frame.top - box.bottom + box.top) < 1e-6


def test_a_height_can_be_asked_for():
    for height in (0.5, 3):
        _, _, box = frames(draw_ranked_lists([ranked([7])], height=height))[0]
        assert box.bottom - box.top == pytest.approx(height)


@pytest.mark.parametrize("answers", [1, 5, 10, 20])
def test_figures_fit_a_page_as_long_as_people_can_be_seen(answers):
    shown = RankedList(
        tracklet("q", size=(64, 32)), [tracklet(str(place), size=(64, 32)) for place in range(answers)], [0] * answers
    )
    figure = draw_ranked_lists([shown])
    _, _, box = frames(figure)[0]
    assert sheet(figure).right <= 7.2 + 1e-6 or box.bottom - box.top == pytest.approx(0.8)
    assert 0.8 - 1e-6 <= box.bottom - box.top <= 1.5 + 1e-6


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=40)


@st.composite
def lists(draw):
    def person():
        size = draw(st.tuples(st.integers(4, 60), st.integers(4, 60)))
        pid, camid = draw(st.sampled_from([None, -1, 0, 1])), draw(st.sampled_from([None, 1, 12345]))
        return tracklet(draw(names), pid=pid, size=size, camid=camid)

    count = draw(st.integers(0, 7))
    distances = draw(st.lists(st.floats(0, 2), min_size=count, max_size=count))
    return RankedList(person(), [person() for _ in range(count)], distances, draw(names))


@settings(deadline=None, max_examples=40)
@given(st.lists(lists(), min_size=1, max_size=3))
def test_nothing_lies_on_anything_else(some):
    figure = draw_ranked_lists(some)
    check_legible(figure)
    assert len(photographs(figure)) == sum(1 + len(each.answers) for each in some)


def test_names_are_written_as_they_are_and_never_read_as_mathematics():
    name = "$x$_a%"
    written = [text for text, _ in texts(draw_ranked_lists([RankedList(tracklet(name), [], [])]))]
    assert name in written
    odd = "a\nb\x1b[31m \udce9"
    written = [
        text for text, _ in texts(draw_ranked_lists([RankedList(tracklet("q"), [tracklet("a")] * 9, [0.0] * 9, title=odd)]))
    ]
    assert r"a\nb\x1b[31m \udce9" in written


def test_long_names_keep_both_ends():
    name = "0001" + "C1T0003" * 9 + "F042"
    (shown,) = [text for text, _ in texts(draw_ranked_lists([RankedList(tracklet(name), [], [])])) if "…" in text]
    start, end = shown.split("…")
    assert name.startswith(start)
    assert name.endswith(end)
    assert min(len(start), len(end)) >= 2


def test_pictures_are_read_from_files(tmp_path):
    Image.new("RGB", (16, 32), (0, 0, 200)).save(tmp_path / "1.png")
    ((pixels, _),) = photographs(draw_ranked_lists([RankedList(Tracklet("a", [tmp_path / "1.png"]), [], [])]))
    assert (pixels == (0, 0, 200)).all()
    with pytest.raises(DataError, match=r"no\.png: not a readable image"):
        draw_ranked_lists([RankedList(Tracklet("a", [tmp_path / "no.png"]), [], [])])


def test_what_is_no_ranked_list_is_refused():
    one = tracklet("a")
    with pytest.raises(InputError, match="are tracklets; got str"):
        RankedList(one, ["b"], [0.5])
    with pytest.raises(InputError, match="a distance for each of 1 answers is wanted; got 2"):
        RankedList(one, [one], [0.5, 0.5])
    with pytest.raises(InputError, match="finite number; got nan"):
        RankedList(one, [one], [float("nan")])
    with pytest.raises(InputError, match="no ranked list"):
        draw_ranked_lists([])
    for lists in (RankedList(one, [], []), [one], (each for each in [RankedList(one, [], [])])):
        with pytest.raises(InputError, match="what is drawn is a sequence of ranked lists; got"):
            draw_ranked_lists(lists)
    for height in (0, -1, float("inf"), "1", True):
        with pytest.raises(InputError, match="height is a number above 0, in inches; got"):
            draw_ranked_lists([RankedList(one, [], [])], height=height)
