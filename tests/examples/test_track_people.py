"""The stand-in tracker links detections over gaps and crossings, and writes files that the library reads."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlreid.data.datasets.track_file import read_tracks

pytestmark = pytest.mark.examples
SOURCE = Path(__file__).parents[2] / "examples" / "track_people.py"


@pytest.fixture
def example(monkeypatch):
    spec = importlib.util.spec_from_file_location("track_people", SOURCE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "track_people", module)
    spec.loader.exec_module(module)
    return module


def walkers(example, missing=()):
    """Two people who walk towards each other and pass, seen in every second frame."""
    red, blue = np.array([90, 190, 160] * 2, float), np.array([60, 140, 60] * 2, float)
    found = []
    for step in range(30):
        people = [([50 + 8 * step, 100, 40, 100], red), ([300 - 8 * step, 104, 40, 100], blue)]
        people = [] if step in missing else people
        boxes = np.array([box for box, _ in people], float).reshape(-1, 4)
        colours = np.array([colour for _, colour in people], float).reshape(-1, 6)
        found.append(example.Detections(1 + 2 * step, boxes, colours, np.ones(len(boxes))))
    return found


@pytest.mark.parametrize("missing", [(), (10, 11)])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_people_who_pass_each_other_keep_their_tracks(example, tmp_path, missing):
    tracks = [example.interpolate(track) for track in example.link(walkers(example, missing), max_gap=12)]
    assert [sorted(track) for track in tracks] == [list(range(1, 60))] * 2
    for track, (start, step) in zip(tracks, ((50, 8), (300, -8)), strict=True):
        np.testing.assert_allclose([track[1 + 2 * i][0] for i in range(30)], [start + step * i for i in range(30)])
    example.write_tracks(tmp_path / "tracks.txt", tracks)
    read = read_tracks(tmp_path / "tracks.txt")
    assert len(read) == 118
    assert sorted(set(read.ids.tolist())) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.txt"]


def test_one_person_is_found_once(example):
    windows = np.array([[0, 0, 64, 128], [4, 4, 64, 128], [-10, -20, 100, 200], [300, 0, 64, 128]], float)
    assert example.suppress(windows, np.array([1.0, 2.0, 0.5, 0.1])) == [1, 3]


def run(example, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["track_people.py", *map(str, arguments)])
    return example.main()


@pytest.mark.parametrize(("size", "answer"), [((200, 200), "nobody could be followed"), ((25, 25), "31 x 31 pixels")])
def test_videos_without_people_are_refused_and_nothing_is_written(example, monkeypatch, tmp_path, capsys, size, answer):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(1, 4):
        Image.new("RGB", size, (90, 90, 90)).save(frames / f"{number}.png")
    assert run(example, monkeypatch, frames, "-o", tmp_path / "tracks.txt") == 1
    assert answer in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_outputs_that_cannot_be_written_are_refused_before_the_work(example, monkeypatch, tmp_path, capsys):
    assert run(example, monkeypatch, tmp_path, "-o", tmp_path / "no" / "tracks.txt") == 1
    assert "cannot be written" in capsys.readouterr().err
