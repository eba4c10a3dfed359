"""The ablation, from people to tables, with one step for each network; and what its networks start from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

pytestmark = pytest.mark.examples
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import ablation_study.report
    import ablation_study.training
    import ablation_study.variants

    return ablation_study


def test_all_runs_once_then_the_tables(tmp_path):
    quick = ["--identities", "24", "--seeds", "1", "--steps", "1", "--image-steps", "1", "--action-steps", "1"]
    command = [sys.executable, EXAMPLES / "ablation.py", "-o", tmp_path, "--processes", "1", *quick]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (tmp_path / "runs.jsonl").read_text()
    runs = [json.loads(line) for line in lines.splitlines()]
    assert len({(run["variant"], run["lr"]) for run in runs}) == len(runs) == 9 * 2
    assert all(0 <= run[part]["mAP"] <= run[part]["rank-10"] <= 1 for run in runs for part in ("validation", "test"))
    assert first.count("\n| ") == 7 + 3 + 2 + 2 - 1  # rows of both tables with their rules, and one heading behind a line
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (again, (tmp_path / "runs.jsonl").read_text()) == (first, lines)
    other = subprocess.run([*command, "--steps", "2"], capture_output=True, text=True)
    assert other.returncode == 1
    assert "holds runs of" in other.stderr


def test_too_few_people_are_refused(tmp_path):
    command = [sys.executable, EXAMPLES / "ablation.py", "-o", tmp_path, "--identities", "23"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "at least 24; got 23" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["c2d", "c2d_rnn", "c2d_attention", "r3d", "r3d_separable", "r3d_nl"])
def test_who_starts_from_frames_answers_as_on_frames(study, name):
    torch.manual_seed(0)
    frames = study.variants.make(study.variants.VARIANTS["image"], 3).eval()
    clip = torch.randn(1, 3, 1, 64, 32)
    wanted = frames.backbone(clip)[:, :, 0]
    model = study.variants.make(study.variants.VARIANTS[name], 3)
    study.training._start(model, frames.backbone.state_dict())
    answered = model.eval().backbone(clip.expand(-1, -1, 8, -1, -1))
    assert_close(answered, wanted[:, :, None].expand_as(answered), rtol=1e-4, atol=1e-3)


def test_rates_are_chosen_on_validation_and_scores_are_those_of_test(study):
    def run(variant, seed, lr, validation, test):
        scores = dict.fromkeys(("rank-1", "rank-5", "rank-10"), test) | {"mAP": test}
        return {"variant": variant, "seed": seed, "lr": lr, "seconds": 60, "validation": {"mAP": validation}, "test": scores}

    runs = [
        run(name, seed, lr, validation, test + 0.1 * (name != "image") + 0.2 * seed)
        for name in study.variants.VARIANTS
        for seed, lr, validation, test in ((0, 0.1, 0.5, 0.2), (0, 0.3, 0.4, 0.9), (1, 0.1, 0.1, 0.4))
    ]
    assert study.report.chosen_rate(runs, "c2d") == 0.1
    row = next(line for line in study.report.tables(runs).splitlines() if line.startswith("| c2d with an RNN"))
    assert row.split(" | ")[1:] == ["0.1", *["50.0 ± 28.3"] * 4, "10.0 ± 0.0", "0.0 ± 0.0", "1.0 |"]
