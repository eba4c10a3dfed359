"""The labels of OpenCV's vtest.avi (768 x 576 pixels, 795 frames) can be those of people in it."""

import csv
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from nlreid.data.datasets.track_file import read_tracks

LABELS = Path(__file__).parents[2] / "examples" / "vtest"
WIDTH, HEIGHT, LENGTH = 768, 576, 795


@pytest.fixture(scope="module")
def tracks():
    """Frame numbers and boxes of each track, in time order."""
    file = read_tracks(LABELS / "tracks.txt")
    order = np.argsort(file.frames, kind="stable")
    return {
        track: (file.frames[order][file.ids[order] == track], file.boxes[order][file.ids[order] == track])
        for track in np.unique(file.ids).tolist()
    }


@pytest.fixture(scope="module")
def rows():
    with (LABELS / "people.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_track_has_one_person_and_is_described(tracks, rows):
    assert [int(row["track"]) for row in rows] == list(tracks) == list(range(1, 20))
    assert sorted({int(row["person"]) for row in rows}) == list(range(1, 11))
    described = {(row["person"], row["appearance"]) for row in rows}
    assert len(described) == len({appearance for _, appearance in described}) == 10
    for row in rows:
        numbers, _ = tracks[int(row["track"])]
        assert (int(row["first_frame"]), int(row["last_frame"])) == (numbers[0], numbers[-1])


def test_seven_people_come_back(rows):
    persons = [row["person"] for row in rows]
    assert sum(persons.count(person) > 1 for person in set(persons)) == 7


def test_nobody_is_in_two_places_at_once(tracks, rows):
    for one, other in combinations(rows, 2):
        if one["person"] == other["person"]:
            first, second = (tracks[int(row["track"])][0] for row in (one, other))
            assert first[-1] < second[0] or second[-1] < first[0], (one, other)


def test_boxes_lie_in_the_video_and_have_the_shape_of_a_person(tracks):
    for numbers, boxes in tracks.values():
        left, top, width, height = boxes.T
        assert numbers[0] >= 1
        assert numbers[-1] <= LENGTH
        assert min(left.min(), top.min()) >= 0
        assert (left + width).max() <= WIDTH
        assert (top + height).max() <= HEIGHT
        at_edge = (left == 0) | (left + width == WIDTH) | (top + height == HEIGHT)
        shape = (width / height)[~at_edge]
        assert shape.min() > 0.28
        assert shape.max() < 0.68
        assert 0.33 < np.median(shape) < 0.5


def test_people_neither_jump_nor_grow_from_frame_to_frame(tracks):
    for track, (numbers, boxes) in tracks.items():
        for (before, after), (one, other) in zip(pairwise(numbers.tolist()), pairwise(boxes), strict=True):
            way = np.hypot(*(other[:2] + other[2:] / 2 - one[:2] - one[2:] / 2)) / one[3] / (after - before)
            assert way < 0.25, f"track {track} moves {way:.2f} heights from frame {before} to {after}"
            assert abs(np.log(other[3] / one[3])) < 0.12 * (after - before), f"track {track}, frame {after}: height"


def test_people_who_are_farther_away_are_smaller(tracks):
    """One camera over a plane: the height of a person follows from where their feet are."""
    boxes = np.concatenate([boxes for _, boxes in tracks.values()])
    feet, height = boxes[:, 1] + boxes[:, 3], boxes[:, 3]
    whole = feet < HEIGHT
    slope, offset = np.polyfit(feet[whole], height[whole], 1)
    away = height[whole] / (slope * feet[whole] + offset)
    assert np.quantile(np.abs(away - 1), 0.99) < 0.2


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in LABELS.iterdir()) < 300_000
