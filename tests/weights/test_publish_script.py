"""The script publishes what licences permit, prints the manifest lines that pin it, and loses nothing of what is done."""

import importlib.util
import io
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard as HubCard

import nlreid
from nlreid.hub.convert import RECIPES, Conversion, Recipe
from nlreid.hub.table import manifest as table
from nlreid.hub.table.config import ACTIONS, Config
from nlreid.hub.table.manifest import HubFile, Licence, find_entry
from nlreid.models import pretrained

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("publish_script", WEIGHTS / "publish.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def entries(script, hub, monkeypatch, tmp_path):
    """A table of three small checkpoints at their publishers' server, in a layout of their own, with cards."""
    monkeypatch.setitem(RECIPES, "strolling", STROLLING)
    source = find_entry("mc3_18.torchvision")
    clip = {**source.clip, "frames": 4}
    made = {}
    for number, model in enumerate(("test_mc3", "test_r3d", "test_r2plus1d")):
        name = f"{model}.strollers"
        hub.files[f"{name}.pth"] = published(model)
        known = {"title": f"Number {number}", "recipe": "strolling", "num_classes": 3, "clip": clip, "default_for": ()}
        made[name] = replace(source, name=name, url=f"{hub.url}/files/{name}.pth", checksums=table.Checksums(), **known)
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n<!-- x -->\n\nFirst {number}.\n\nSecond.\n")
    monkeypatch.setattr(script, "CARDS", tmp_path)
    monkeypatch.setattr(script, "manifest", lambda: made)
    monkeypatch.setattr(pretrained, "entries_of", lambda model: {e.tag: e for e in made.values() if e.model == model})
    return made


STROLLING = Recipe(
    "strolling",
    "tests",
    convert=lambda source: Conversion({name.removeprefix("net/"): tensor for name, tensor in source.items()}),
    recognises=lambda names: all(name.startswith("net/") for name in names),
)


def published(model):
    """The file as its publishers have it."""
    network = nlreid.create_model(model, head="linear", num_classes=3)
    file = io.BytesIO()
    torch.save({f"net/{name}": tensor for name, tensor in network.state_dict().items()}, file)
    return file.getvalue()


def printed(capsys):
    """What was printed: an object after each success, and all of them at the end."""
    text, objects, decoder = capsys.readouterr().out.strip(), [], json.JSONDecoder()
    while text:
        content, end = decoder.raw_decode(text)
        objects.append(content)
        text = text[end:].strip()
    return objects


def test_every_entry_goes_to_a_repository_of_its_name(script, entries, hub, capsys):
    assert script.main(["people"]) == 0
    *each, together = printed(capsys)
    assert [list(lines) for lines in each] == [[name] for name in entries]
    assert together == {name: content for lines in each for name, content in lines.items()}
    assert hub.repos.keys() == {f"people/{name}" for name in entries}
    for name, lines in together.items():
        files = hub.repos[f"people/{name}"].commits[lines["hub"]["revision"]]
        content = files["model.safetensors"].data
        assert lines["checksums"] == {"sha256": sha256(content).hexdigest(), "size": len(content)}
        config = Config.from_json(files["config.json"].data, name)
        assert (config.name, config.task, config.head, config.num_classes) == (name, ACTIONS, "linear", 3)
        assert config.licence == entries[name].licence.id
        assert config.origin["sha256"] == sha256(hub.files[f"{name}.pth"]).hexdigest()
        assert config.origin["url"] == entries[name].url
        readme = files["README.md"].data.decode()
        assert HubCard(readme).data.license == "bsd-3-clause"
        assert entries[name].title in readme
        assert "First" in readme
        assert "Second" not in readme


def test_the_lines_that_are_printed_make_the_entry_one_that_loads(script, entries, hub, capsys):
    script.main(["people", "--only", "test_mc3.*"])
    (lines, _) = printed(capsys)
    name = "test_mc3.strollers"
    before = nlreid.create_model(name, pretrained=True, head="linear", num_classes=3)
    changes = lines[name]
    entries[name] = replace(
        entries[name],
        status=changes["status"],
        format=changes["format"],
        hub=HubFile(**changes["hub"]),
        checksums=table.Checksums(**changes["checksums"]),
    )
    hub.files.clear()
    again = nlreid.create_model(name, pretrained=True, head="linear", num_classes=3)
    assert hub.repos["people/test_mc3.strollers"].refs["main"] in again.loaded.source
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in before.state_dict().items())


@pytest.mark.usefixtures("entries")
def test_the_lines_are_what_the_manifest_takes(script, capsys):
    script.main(["people", "--only", "test_mc3.*"])
    lines = printed(capsys)[0]["test_mc3.strollers"]
    content = json.loads((WEIGHTS / "manifest.json").read_text("utf-8"))
    content["entries"]["mc3_18.torchvision"].update(lines)
    entry = table.parse_manifest(json.dumps(content), "manifest")["mc3_18.torchvision"]
    assert (entry.status, entry.hub.repo) == ("published", "people/test_mc3.strollers")


@pytest.mark.usefixtures("entries")
def test_what_is_there_already_is_not_sent_again(script, hub, capsys):
    script.main(["people"])
    first = printed(capsys)[-1]
    sent = len(hub.asked("PUT", "/lfs/"))
    assert script.main(["people"]) == 0
    assert printed(capsys)[-1] == first
    assert len(hub.asked("PUT", "/lfs/")) == sent == 3
    assert all(len(repo.commits) == 2 for repo in hub.repos.values())


def test_what_a_licence_does_not_permit_is_not_published(script, entries, hub, capsys):
    name = "test_r3d.strollers"
    entries[name] = replace(entries[name], licence=Licence("CC-BY-NC-ND-4.0", "their page", False))
    assert script.main(["people"]) == 0
    output = capsys.readouterr()
    assert f"{name}: not published: its licence, CC-BY-NC-ND-4.0, does not permit it" in output.err
    assert f"people/{name}" not in hub.repos
    assert len(hub.repos) == 2


def test_a_dry_run_touches_nothing(script, entries, hub, capsys):
    assert script.main(["people", "--dry-run"]) == 0
    output = capsys.readouterr()
    for name in entries:
        assert f"{name}: would go to people/{name}, BSD-3-Clause" in output.err
    assert json.loads(output.out) == {}
    assert hub.log == []


@pytest.mark.usefixtures("entries")
def test_one_that_fails_does_not_keep_the_others_from_being_published(script, hub, capsys):
    hub.fail("POST", "/api/models/people/test_r3d.strollers/commit", 403)
    assert script.main(["people"]) == 1
    output = capsys.readouterr()
    assert "test_r3d.strollers: FAILED: people/test_r3d.strollers: writing to the Hub: the server answered 403" in output.err
    assert "2 published, 1 failed" in output.err
    assert '"test_mc3.strollers"' in output.out
    assert '"test_r3d.strollers"' not in output.out


@pytest.mark.usefixtures("entries")
def test_interrupted_it_has_printed_what_is_done(script, capsys, monkeypatch):
    real, calls = script.publish, []

    def publish(entry, org, *, private):
        calls.append(entry.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(entry, org, private=private)

    monkeypatch.setattr(script, "publish", publish)
    with pytest.raises(KeyboardInterrupt):
        script.main(["people"])
    each, together = printed(capsys)
    assert each == together
    assert together.keys() == {"test_mc3.strollers"}


@pytest.mark.usefixtures("entries")
def test_a_pattern_that_matches_nothing_is_told(script, capsys):
    assert script.main(["people", "--only", "r3d50_xl*"]) == 2
    assert "--only 'r3d50_xl*' matches none of test_mc3.strollers" in capsys.readouterr().err


def test_the_real_cards_have_a_first_paragraph_and_the_real_entries_a_card(script, monkeypatch):
    monkeypatch.setattr(script, "origin_of", lambda entry: {"name": entry.name})
    for name, entry in table.manifest().items():
        card = script.card_of(entry)
        assert card.licence == entry.licence.id, name
        assert card.training_data == entry.training_data
        assert "ResNet-50" in card.summary or "18 layers" in card.summary
        assert "never opened" not in card.summary


def test_a_recipe_without_its_file_fails_with_the_way_to_it(script, hub, capsys):
    assert script.main(["people", "--only", "r3d50_full.hara"]) == 1
    assert "get it from https://github.com/kenshohara/3D-ResNets-PyTorch" in capsys.readouterr().err
    assert hub.log == []
