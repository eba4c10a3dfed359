"""A trained network becomes a part of the library: what `ship.py` writes loads by its name, verified, and embeds the same."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import nlreid
from nlreid.cli import main
from nlreid.errors import ChecksumError, WeightsError
from nlreid.hub.fetching import shipped
from nlreid.hub.table.config import METADATA_KEY, PERSONS, Config
from nlreid.hub.table.manifest import manifest, parse_manifest

WEIGHTS = Path(__file__).parents[2] / "weights"
NAME = "test_r3d_nl.synthetic"
CLIP = torch.randn(2, 3, 4, 64, 32, generator=torch.Generator().manual_seed(1))
FACTS = {
    "title": "A small one",
    "licence": {"id": "Apache-2.0", "evidence": "LICENSE of this project", "redistribution": True},
    "training_data": "nothing at all",
    "training": {"recipe": "none", "seed": 0, "hardware": "one core", "time": "no time", "command": "python train.py"},
    "scores": [{"dataset": "D", "metric": "rank-1", "value": 0.25, "by": "measured here, on one core"}],
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("ship_script", WEIGHTS / "ship.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script, tmp_path_factory):
    """A folder as training leaves it, and what was shipped of it."""
    place = tmp_path_factory.mktemp("made")
    torch.manual_seed(1)
    model = nlreid.create_model("test_r3d_nl", num_classes=3, head="bnneck", width=0.5, embedding_dim=8).train()
    for _ in range(3):  # so that the norms have seen something
        model(torch.randn(4, 3, 4, 64, 32))
    nlreid.save_pretrained(model, place / "model", card={"licence": "Apache-2.0"})
    (place / "facts.json").write_text(json.dumps(FACTS))
    (place / "weights").mkdir()
    shutil.copy(WEIGHTS / "manifest.json", place / "weights")
    assert script.main([str(place / "model"), str(place / "facts.json")], place / "weights") == 0
    return place


def entry_in(folder):
    return parse_manifest((folder / "manifest.json").read_bytes(), "manifest")[NAME]


@pytest.fixture
def installed(made, tmp_path, monkeypatch):
    """The folder of the library's own checkpoints, with what was shipped in it."""
    folder = shutil.copytree(made / "weights", tmp_path / "weights")
    monkeypatch.setattr(shipped, "weights_folder", lambda: folder)
    monkeypatch.setitem(manifest(), NAME, entry_in(folder))
    monkeypatch.delenv("NLREID_WEIGHTS", raising=False)
    return folder


# --- what is written


def test_a_manifest_is_written_as_it_is_read(script):
    text = (WEIGHTS / "manifest.json").read_text("utf-8")
    assert script.as_text(json.loads(text)["entries"]) == text


def test_the_entry_says_what_was_told_and_what_was_found(made):
    entry = entry_in(made / "weights")
    assert (entry.title, entry.status, entry.training.command) == ("A small one", "shipped", "python train.py")
    assert (entry.head, entry.num_classes, entry.task) == ("bnneck", 0, PERSONS)
    assert entry.overrides == {"width": 0.5, "embedding_dim": 8}  # the rest is the zoo's
    assert entry.checksums.size == (made / "weights" / f"{NAME}.safetensors").stat().st_size
    others = parse_manifest((made / "weights" / "manifest.json").read_bytes(), "manifest")
    del others[NAME]
    assert others == {name: entry for name, entry in manifest().items() if name != NAME}


def test_the_file_is_half_as_large_and_describes_itself(made):
    with safe_open(made / "weights" / f"{NAME}.safetensors", framework="pt") as file:
        assert list(file.metadata()) == [METADATA_KEY]
        config = Config.from_json(file.metadata()[METADATA_KEY], "file")
        kernels = [file.get_tensor(name) for name in file.keys() if len(file.get_slice(name).get_shape()) > 1]  # noqa: SIM118
    assert all(kernel.dtype == torch.float16 for kernel in kernels)
    assert (config.name, config.head, config.num_classes) == (NAME, "bnneck", 0)
    assert config.origin == {"name": NAME, "note": "trained on synthetic people by: python train.py"}
    assert config.overrides["width"] == 0.5


def test_the_same_again_without_facts_changes_nothing(script, made, tmp_path):
    folder = shutil.copytree(made / "weights", tmp_path / "weights")
    assert script.main([str(made / "model")], folder) == 0
    for name in ("manifest.json", f"{NAME}.safetensors"):
        assert (folder / name).read_bytes() == (made / "weights" / name).read_bytes()


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (None, "test_r3d_nl.synthetic: wanted are title, licence, training_data, training, scores; got none of them"),
        ({"title": "x"}, "got title; give them as FACTS"),
        ({**FACTS, "licence": "MIT"}, "FACTS: test_r3d_nl.synthetic: licence is an object"),
        ({**FACTS, "training": {"seed": 0}}, "training: 4 fields missing"),
        ({**FACTS, "scores": [{"dataset": "D"}]}, "scores: 3 fields missing"),
    ],
)
def test_what_is_not_told_is_asked_for(script, made, tmp_path, capsys, facts, answer):
    shutil.copy(WEIGHTS / "manifest.json", tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    arguments = [str(made / "model"), *([] if facts is None else [str(tmp_path / "facts.json")])]
    assert script.main(arguments, tmp_path) == 1
    assert answer in capsys.readouterr().err
    assert (tmp_path / "manifest.json").read_bytes() == (WEIGHTS / "manifest.json").read_bytes()
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("limit", ["TOLERANCE", "LARGEST"])
def test_what_embeds_otherwise_or_is_too_large_is_not_shipped(script, made, tmp_path, capsys, monkeypatch, limit):
    monkeypatch.setattr(script, limit, -1)
    shutil.copy(WEIGHTS / "manifest.json", tmp_path)
    assert script.main([str(made / "model"), str(made / "facts.json")], tmp_path) == 1
    answers = {"TOLERANCE": "rounded to float16 it embeds otherwise", "LARGEST": "what ships has at most -1"}
    assert answers[limit] in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_kernel_that_float16_cannot_hold_is_told(script, made, tmp_path, capsys):
    model = nlreid.create_model("test_r3d_nl", made / "model")
    with torch.no_grad():
        model.backbone.conv1[0].weight[0, 0, 0, 0, 0] = 1e6
    folder = nlreid.save_pretrained(model, tmp_path / "model", card={"licence": "Apache-2.0"})
    shutil.copy(WEIGHTS / "manifest.json", tmp_path)
    assert script.main([str(folder), str(made / "facts.json")], tmp_path) == 1
    assert "not finite numbers" in capsys.readouterr().err


# --- what is loaded


def test_it_loads_by_its_name_and_embeds_as_the_trained_one_does(made, installed):
    trained = nlreid.create_model("test_r3d_nl", made / "model").eval()
    for arguments in (("test_r3d_nl", "synthetic"), (NAME, True), ("test_r3d_nl", NAME)):
        model = nlreid.create_model(*arguments).eval()
        path = installed / f"{NAME}.safetensors"
        assert (model.name, replace(model.spec, plan=model.backbone.plan)) == (NAME, trained.spec)
        assert model.loaded.source == f"{path} ({NAME})"
        assert model.loaded.sha256 == entry_in(installed).checksums.sha256
        assert model.loaded.missing == model.loaded.dropped == ()
        assert (model.loaded.licence, model.loaded.task) == ("Apache-2.0", PERSONS)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        torch.testing.assert_close(model(CLIP).embedding, trained(CLIP).embedding, atol=1e-2, rtol=1e-2)


@pytest.mark.usefixtures("installed")
def test_a_new_classifier_is_drawn_and_everything_else_kept():
    plain, model = (nlreid.create_model("test_r3d_nl", "synthetic", num_classes=classes).eval() for classes in (0, 625))
    assert model(CLIP).logits.shape == (2, 625)
    assert {name.rpartition(".")[0] for name in model.loaded.missing} == {"head.classifier"}
    assert torch.equal(model(CLIP).embedding, plain(CLIP).embedding)


def test_it_is_listed_and_needs_no_conversion(installed, capsys, tmp_path):
    assert NAME in nlreid.list_pretrained("test_r3d_nl")
    assert main(["weights", NAME]) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line == [NAME, "shipped", "Apache-2.0", "4", "x", "1", "sha256", "-"]
    assert main(["weights", NAME, "--fetch"]) == 0
    assert entry_in(installed).checksums.sha256 in capsys.readouterr().out
    assert main(["convert", NAME, "file", "-o", str(tmp_path / "out")]) == 1
    assert "is nlreid's own, and needs no conversion" in capsys.readouterr().err


def test_a_damaged_file_is_refused_at_each_load(installed):
    path = installed / f"{NAME}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ChecksumError, match=r"its sha256 is .*changed or damaged after it was installed: install the same"):
            nlreid.create_model("test_r3d_nl", "synthetic")


def test_a_missing_file_is_told_with_what_to_do(installed):
    (installed / f"{NAME}.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"not there; .* this installation lacks it: install .* --force-reinstall"):
        nlreid.create_model("test_r3d_nl", "synthetic")


def test_the_users_own_folder_comes_first(installed, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("NLREID_WEIGHTS", str(own))
    assert nlreid.create_model(NAME, True).loaded.source.startswith(str(installed))
    model = nlreid.create_model(NAME)
    folder = nlreid.save_pretrained(model, tmp_path / "mine", card={"licence": "MIT"})
    shutil.copy(folder / "model.safetensors", own / f"{NAME}.safetensors")
    assert nlreid.create_model(NAME, True).loaded.source == f"{own / NAME}.safetensors ({NAME})"
    other = nlreid.save_pretrained(nlreid.create_model("test_r3d_nl"), tmp_path / "other", card={"licence": "MIT"})
    shutil.copy(other / "model.safetensors", own / f"{NAME}.safetensors")
    with pytest.raises(WeightsError, match=r"of another network than test_r3d_nl\.synthetic \(width\)"):
        nlreid.create_model(NAME, True)


# --- what is told


def test_the_card_has_what_the_entry_says(made):
    generate = module_at(WEIGHTS / "generate_cards.py")
    table = generate.facts(entry_in(made / "weights"))
    for told in (
        "in the library, verified at each load: weights/",
        "one core",
        "no time",
        "| `python train.py` |",
        "0.25, meas",
    ):
        assert told in table
    assert "| published as | A small one |" in table
    assert '`create_model("test_r3d_nl", pretrained="synthetic")`' in table
    assert "unknown" not in table
    assert "none; bnneck head" in table
    assert "0.250" in generate.overview([entry_in(made / "weights")], "cards")


def test_it_is_not_published_elsewhere(made):
    publish, entry = module_at(WEIGHTS / "publish.py"), entry_in(made / "weights")
    assert "ships with the library" in publish.reason_to_skip(entry)
    assert publish.reason_to_skip(replace(entry, status="published")) == ""


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
