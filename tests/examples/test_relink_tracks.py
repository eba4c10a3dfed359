"""The measuring of re-linking: the scores by hand and by a loop, and a run on a small made-up video."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlreid.data.datasets.mot import TrackFile, read_tracks

pytestmark = pytest.mark.examples
SOURCE = Path(__file__).parents[2] / "examples" / "relink_tracks.py"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE.parent))
    spec = importlib.util.spec_from_file_location("relink_tracks", SOURCE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "relink_tracks", module)
    spec.loader.exec_module(module)
    return module


def tracks(*rows):
    """Boxes (frame, id, left) of 10 x 20 pixels."""
    frames, ids, left = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    boxes = np.stack([left, 0 * left, 0 * left + 10, 0 * left + 20], axis=1).astype(float)
    return TrackFile(Path("tracks"), frames, ids, boxes, np.arange(1, len(ids) + 1))


PEOPLE = tracks(*[(frame, person, 100 * person) for frame in range(1, 9) for person in (1, 2)])


def test_whoever_keeps_the_tracks_has_no_switch(example):
    same = tracks(*[(frame, 10 * person, 100 * person + 2) for frame in range(1, 9) for person in (1, 2)])
    assert example.score(PEOPLE, same) == (0, 1.0)


def test_a_lost_and_a_new_track_are_a_switch(example):
    broken = tracks(*[(frame, 5 if frame < 4 else 6, 100) for frame in (1, 2, 3, 6, 7, 8)])
    switches, idf1 = example.score(PEOPLE, broken)
    assert switches == 1
    assert idf1 == pytest.approx(2 * 3 / (16 + 6))


def test_two_who_change_tracks_are_two_switches(example):
    swapped = tracks(*[(f, p if f < 5 else 3 - p, 100 * p) for f in range(1, 9) for p in (1, 2)])
    switches, idf1 = example.score(PEOPLE, swapped)
    assert switches == 2
    assert idf1 == pytest.approx(2 * 8 / 32)


def test_a_person_keeps_the_track_while_it_is_on_the_person(example):
    two = tracks(*[(f, 7, 103) for f in range(1, 9)], *[(f, 8, 100) for f in range(3, 9)])  # 8 is nearer, and too late
    assert example.score(PEOPLE, two).switches == 0


def test_far_boxes_are_on_nobody(example):
    assert example.score(PEOPLE, tracks((1, 7, 104), (2, 8, 104))) == (0, 0.0)  # 6 of 14 columns are shared


def test_pieces_are_the_labels_with_gaps(example):
    labels = tracks(*[(frame, track, 100 * track) for track in (1, 2) for frame in range(1, 301)])
    pieces = example.in_pieces(labels, np.random.default_rng(0))
    assert set(zip(pieces.frames, pieces.boxes[:, 0], strict=True)) <= set(zip(labels.frames, labels.boxes[:, 0], strict=True))
    for piece in np.unique(pieces.ids):
        numbers = pieces.frames[pieces.ids == piece]
        assert len(numbers) <= 90
        assert (np.diff(numbers) == 1).all()
    for left in (100, 200):
        own = pieces.boxes[:, 0] == left
        gaps = np.diff(np.sort(pieces.frames[own]))
        assert set(gaps[gaps > 1] - 1) <= set(range(5, 41))
        assert len(np.unique(pieces.ids[own])) > 2


def test_from_a_video_to_the_tables(example, monkeypatch, tmp_path, capsys):
    (tmp_path / "street").mkdir()
    lines = []
    for number in range(1, 41):
        picture = np.full((60, 120, 3), 90, np.uint8)
        for person, colour in ((1, (200, 30, 30)), (2, (30, 60, 200))):
            picture[10:50, 60 * person - 50 : 60 * person - 30] = colour
            lines.append(f"{number},{person},{60 * person - 50},10,20,40\n")
        Image.fromarray(picture).save(tmp_path / "street" / f"{number}.png")
    (tmp_path / "labels.txt").write_text("".join(lines))
    (tmp_path / "people.csv").write_text("track,person\n1,1\n2,2\n")
    broken = [
        line.replace(",1,", ",3,", 1) if int(line.split(",")[0]) > 20 and line.split(",")[1] == "1" else line for line in lines
    ]
    (tmp_path / "tracks.txt").write_text("".join(broken))
    given = ["street", "tracks.txt", "--labels", "labels.txt", "--people", "people.csv", "--seeds", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["relink_tracks.py", *given])
    assert example.main() == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[3][:2] == ["| before", "3"]
    assert rows[3][4] == "1"
    assert rows[-1][0].startswith("| each track to its person")
    assert len(read_tracks("tracks.txt")) == 80
    (tmp_path / "people.csv").write_text("track,person\n1,1\n")
    assert example.main() == 1
    assert "who is followed in track 2" in capsys.readouterr().err
