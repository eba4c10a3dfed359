"""From MARS to iLIDS-VID and PRID2011 as docs/how_to/fine_tune.md has it, on miniatures of the three."""

import importlib
import json
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data.miniature import write_mars
from data.miniature_two_cameras import ILIDS_PERSONS, PRID_PERSONS, write_ilids_vid, write_prid2011
from PIL import Image

import nlreid
from nlreid.cli import main
from nlreid.data.datasets.table import read_splits

pytestmark = [pytest.mark.examples, pytest.mark.usefixtures("one_thread")]
EXAMPLES = Path(__file__).parents[2] / "examples"
OPTIONS = ["--model", "test_r3d_nl", "--partial", "-K", "2", "--steps", "1", "--workers", "0", "--precision", "float32"]


@pytest.fixture(scope="module")
def run():
    """Runs the example here, with the options of a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        train = importlib.import_module("train")

        def run(*options):
            patch.setattr(sys, "argv", ["train.py", *map(str, options)])
            return train.main()

        yield run


@pytest.fixture(scope="module")
def on_mars(run, tmp_path_factory, one_thread):  # noqa: ARG001 - it is there while this runs
    """A network that was trained on three persons of MARS, with another non-local block than the zoo's."""
    root = tmp_path_factory.mktemp("mars")
    block = 'non_local={"blocks": [[], [0], [0], []], "scale": "1/sqrt(d)"}'
    mars = ["mars", write_mars(root / "MARS"), *OPTIONS, "-P", "2", "--set", block]
    assert run(*mars, "-o", root / "out") == 0
    return root / "out" / "model"


@pytest.fixture(scope="module")
def ilids_vid(tmp_path_factory):
    """Forty persons, each of a colour of their own."""
    root = write_ilids_vid(tmp_path_factory.mktemp("ilids"), ILIDS_PERSONS[:40])
    for path in root.rglob("*.png"):
        person, camera = int(path.parent.name.removeprefix("person")), int(path.parts[-3].removeprefix("cam"))
        noise = np.random.default_rng((person, camera)).normal(0, 9, 3)
        colour = np.random.default_rng(person).integers(0, 256, 3) + noise
        Image.fromarray(np.broadcast_to(colour.clip(0, 255).astype(np.uint8), (8, 4, 3))).save(path)
    return root


@pytest.fixture(scope="module")
def ten(run, on_mars, ilids_vid, tmp_path_factory):
    """The folder of ten runs from the network of MARS that learn nothing, so that what they started from can be seen."""
    folder = tmp_path_factory.mktemp("ten")
    options = ["--pretrained", on_mars, "-P", "4", "--lr", "0", "--split", "all", "-o", folder]
    assert run("ilids_vid", ilids_vid, *OPTIONS, *options) == 0
    return folder


def test_a_network_for_each_split_starts_from_that_of_mars_with_a_new_classifier(ten, on_mars, ilids_vid):
    before = nlreid.create_model("test_r3d_nl", on_mars)
    for number, split in enumerate(read_splits("ilids_vid", ilids_vid, partial=True)):
        model = nlreid.create_model("test_r3d_nl", ten / f"split_{number}" / "model", num_classes=split.num_classes)
        assert model.loaded.missing == ()
        assert model.spec.non_local.scale == before.spec.non_local.scale == "1/sqrt(d)"
        after = dict(model.named_parameters())
        assert all(torch.equal(after[name], value) for name, value in before.named_parameters())
        assert set(after) - set(dict(before.named_parameters())) == {"head.classifier.weight", "head.classifier.bias"}


def test_the_mean_is_that_of_the_ten_splits(ten):
    scores = json.loads((ten / "scores.json").read_text())
    assert list(scores["splits"]) == [f"split_{number}" for number in range(10)]
    for name in ("rank-1", "rank-20", "mAP"):
        values = []
        for number in range(10):
            log = (ten / f"split_{number}" / "log.jsonl").read_text().splitlines()
            values.append(json.loads(log[-1])[name])
        assert scores["mean"][name] == pytest.approx({"mean": statistics.mean(values), "std": statistics.stdev(values)})
    assert len({own["mAP"] for own in scores["splits"].values()}) > 1  # or it says nothing that they agree


def test_the_command_line_scores_a_split_alike(ten, ilids_vid, capsys):
    dataset = ["evaluate", "ilids_vid", str(ilids_vid), "--partial", "--split", "3", "--json"]
    assert main([*dataset, "--model", "test_r3d_nl", "--pretrained", str(ten / "split_3" / "model")]) == 0
    (split,) = json.loads(capsys.readouterr().out)["splits"]
    own = json.loads((ten / "scores.json").read_text())["splits"]["split_3"]
    assert split["scores"]["mAP"] == pytest.approx(own["mAP"], abs=1e-4)
    assert split["scores"]["rank-1"] == pytest.approx(own["rank-1"], abs=1e-4)


def test_stopped_in_a_split_it_goes_on_to_the_same_mean(run, ten, on_mars, ilids_vid, tmp_path, capsys):
    options = ["ilids_vid", ilids_vid, *OPTIONS, "--pretrained", on_mars, "-P", "4", "--lr", "0", "--split", "all"]
    assert run(*options, "--time-limit", "0", "-o", tmp_path) == 0
    assert not (tmp_path / "scores.json").exists()
    assert run(*options, "-o", tmp_path) == 0
    assert json.loads((tmp_path / "scores.json").read_text()) == json.loads((ten / "scores.json").read_text())
    assert "mean of 10 splits" in capsys.readouterr().out


def test_prid_is_fine_tuned_on_as_well(run, on_mars, tmp_path):
    root = write_prid2011(tmp_path / "PRID2011")
    for person in (root / "prid_2011" / "multi_shot").glob("cam_*/person_*"):
        if int(person.name.removeprefix("person_")) not in PRID_PERSONS[:16]:
            person.unlink()
    options = ["--pretrained", on_mars, "-P", "2", "--split", "2", "-o", tmp_path / "out"]
    assert run("prid2011", root, *OPTIONS, *options) == 0
    (split,) = read_splits("prid2011", root, split=2, partial=True)
    model = nlreid.create_model("test_r3d_nl", tmp_path / "out" / "model", num_classes=split.num_classes)
    assert model.loaded.missing == ()


def test_all_splits_of_a_data_set_with_one_are_refused(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("mars", tmp_path, "--split", "all", "-o", tmp_path / "out")
    assert "mars has one split" in capsys.readouterr().err
