from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.data.images import FramePaths
from nlreid.data.split import Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError


def tracklet(name, pid=1, camid=1, frames=2):
    return Tracklet(name, FramePaths(Path("pictures"), [f"{n}.jpg" for n in range(frames)]), pid=pid, camid=camid)


def tracklets(*labels):
    return tuple(tracklet(f"{index}", pid, camid) for index, (pid, camid) in enumerate(labels))


labelled = st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 3)), max_size=12)


def test_classes_rise_with_the_pid_whatever_the_order():
    split = Split("toy", tracklets((7, 1), (2, 1), (40, 2), (2, 3)), (), ())
    assert split.train_labels() == {2: 0, 7: 1, 40: 2}
    assert split.num_classes == 3
    assert Split("toy", split.train[::-1], (), ()).train_labels() == split.train_labels()


def test_without_a_training_part_there_are_no_classes():
    assert Split("toy", (), (), ()).num_classes == 0


@pytest.mark.parametrize("part", ["train", "query", "gallery"])
def test_names_are_unique_within_a_part(part):
    parts = {"train": (), "query": (), "gallery": ()} | {part: (tracklet("a"), tracklet("b"), tracklet("a", pid=2))}
    with pytest.raises(InputError, match=f"{part} of toy: two tracklets are called 'a'"):
        Split("toy", **parts)


def test_names_may_come_in_several_parts():
    both = (tracklet("a"),)
    assert Split("toy", both, both, both).gallery == both


@pytest.mark.parametrize(
    ("part", "labels", "wanted"),
    [
        ("train", {"pid": None}, "needs pid;"),
        ("query", {"pid": None}, "needs pid and camid;"),
        ("query", {"camid": None}, "needs pid and camid;"),
        ("gallery", {"camid": None}, "needs pid and camid;"),
    ],
)
def test_labels_are_wanted_where_they_are_needed(part, labels, wanted):
    parts = {"train": (), "query": (), "gallery": ()} | {part: (tracklet("a", **labels),)}
    with pytest.raises(InputError, match=f"{part} of toy: tracklet 'a' {wanted}"):
        Split("toy", **parts)


def test_training_needs_no_camera():
    assert Split("toy", (tracklet("a", camid=None),), (), ()).num_classes == 1


def test_something_else_than_a_tracklet_is_refused():
    with pytest.raises(InputError, match="query of toy: wanted tracklets; got str"):
        Split("toy", (), ("a",), ())


@pytest.mark.parametrize("part", ["train", "query", "gallery", "notes"])
@pytest.mark.parametrize("given", [None, 5, "text", tracklet("a")])
def test_a_part_of_another_type_is_refused(part, given):
    parts = {"train": (), "query": (), "gallery": ()} | {part: given}
    with pytest.raises(InputError, match=f"{part} of toy: wanted a tuple, also of nothing or of one; got "):
        Split("toy", **parts)


def test_a_name_and_notes_are_text():
    with pytest.raises(InputError, match="the name of a split is text; got None"):
        Split(None, (), (), ())
    with pytest.raises(InputError, match=r"notes of toy: wanted text; got \(1,\)"):
        Split("toy", (), (), (), notes=(1,))


def test_lists_and_iterators_become_tuples():
    split = Split("toy", [tracklet("a")], iter([tracklet("b")]), (), notes=["one"])
    assert [type(part) for part in (split.train, split.query, split.gallery, split.notes)] == [tuple] * 4
    assert (split.train[0].name, split.query[0].name, split.notes) == ("a", "b", ("one",))


def cells(split):
    """The table of the summary, as {part: {column: text}}."""
    lines = [line.split() for line in split.summary().replace("frames (min/mean/max)", "frames").splitlines()]
    header = next(line for line in lines if line[0] == "part")
    rows = lines[lines.index(header) + 1 :][:4]
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def test_the_summary_counts_each_part_and_a_tracklet_of_two_parts_once():
    query = (tracklet("q", pid=5, camid=1, frames=4),)
    gallery = (*query, tracklet("g", 5, 2, 1), tracklet("d", 0, 3, 2), tracklet("j", -1, 3, 3), tracklet("h", 6, 1, 5))
    train = (tracklet("t", pid=1, camid=6, frames=1200),)
    split = Split("toy", train, query, gallery, notes=("one is missing", "and one is odd"))
    table = cells(split)
    assert list(table) == ["train", "query", "gallery", "total"]
    assert list(table["train"].values()) == ["1", "1", "1,200", "1", "0", "0", "1200/1200.0/1200"]
    assert list(table["query"].values()) == ["1", "1", "4", "1", "0", "0", "4/4.0/4"]
    assert list(table["gallery"].values()) == ["2", "5", "15", "3", "1", "1", "1/3.0/5"]
    assert list(table["total"].values()) == ["3", "6", "1,215", "4", "1", "1", "1/202.5/1200"]
    assert split.summary().startswith("toy\n")
    assert split.summary().endswith("\nnote: one is missing\nnote: and one is odd")


def test_a_data_set_whose_persons_count_from_0_has_no_distractors():
    table = cells(Split("toy", (), tracklets((0, 1)), tracklets((0, 2), (1, 2))))
    assert (table["gallery"]["identities"], table["gallery"]["distractors"]) == ("2", "0")


def test_an_empty_part_has_no_frames():
    assert cells(Split("toy", (), (), tracklets((1, 1))))["query"]["frames"] == "-"


@settings(deadline=None)
@given(query=labelled, gallery=labelled)
def test_a_right_answer_is_the_same_person_in_another_camera(query, gallery):
    asked, there = tracklets(*query), tracklets(*gallery)
    slow = [q for q in asked if not any(g.pid == q.pid and g.camid != q.camid for g in there)]
    assert list(unanswered(asked, there)) == slow


def test_a_split_is_short_to_look_at():
    assert (
        repr(Split("toy", tracklets((3, 1)), (), tracklets((1, 2), (2, 2))))
        == "Split('toy', train: 1, query: 0, gallery: 2, notes: 0)"
    )
