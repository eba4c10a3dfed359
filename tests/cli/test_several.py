"""Commands under `torchrun`: two processes print and write what one does, once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nlreid import Embeddings
from nlreid.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = ("--model", "test_r3d_nl", "--device", "cpu")


@pytest.fixture
def people(tmp_path):
    """Four persons under two cameras, as folders of pictures."""
    generator = np.random.default_rng(0)
    for person in "1234":
        for track in ("c1/t1", "c2/t1"):
            folder = tmp_path / "people" / person / track
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(generator.integers(0, 256, (8, 4, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "people"


def torchrun(*arguments, count=2):
    """The same command in several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--standalone", "-m", "nlreid"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=500, check=False)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


def evaluate(people, *options):
    return ["evaluate", "people", people, *TINY, "--json", *options]


def test_evaluating_embeds_and_scores_as_one_process(people, tmp_path, capsys):
    several = torchrun(*evaluate(people, "--keep", tmp_path / "several"))
    assert several.returncode == 0, several.stderr
    assert several.stderr.count("the weights are random") == 1
    assert main(list(map(str, evaluate(people, "--keep", tmp_path / "one")))) == 0
    assert json.loads(several.stdout) == json.loads(capsys.readouterr().out)
    one, other = (files(tmp_path / kept) for kept in ("one", "several"))
    assert one == other
    assert {"query.safetensors", "gallery.safetensors"} < set(one)


@pytest.mark.examples
def test_embedding_and_scoring_files_as_one_process(people, tmp_path, capsys):
    embed = ["embed", people, *TINY, "-o", tmp_path / "several.safetensors", "--keep", tmp_path / "kept"]
    several = torchrun(*embed, count=3)
    assert several.returncode == 0, several.stderr
    assert several.stdout.count("embeddings of") == 1
    assert main(list(map(str, ["embed", people, *TINY, "-o", tmp_path / "one.safetensors", "--keep", tmp_path / "one"]))) == 0
    one, other = (Embeddings.load(tmp_path / f"{name}.safetensors") for name in ("one", "several"))
    assert torch.equal(one.features, other.features)
    capsys.readouterr()
    labelled = Embeddings(one.features, torch.arange(len(one)) // 2, torch.arange(len(one)) % 2, one.tracks, one.model)
    (tmp_path / "gallery").mkdir()
    for number in range(2):
        labelled.select(list(range(number * 4, number * 4 + 4))).save(tmp_path / "gallery" / f"{number}.safetensors")
    labelled.save(tmp_path / "query.safetensors")
    score = ["evaluate", "--query", tmp_path / "query.safetensors", "--gallery", tmp_path / "gallery"]
    assert main(list(map(str, score))) == 0
    assert torchrun(*score).stdout == capsys.readouterr().out


@pytest.mark.examples
def test_an_error_ends_all_with_its_message(people, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis.tex").write_text("mine")
    ended = torchrun(*evaluate(people, "--keep", tmp_path / "kept"))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "nlreid: error: process 0 of 2: " in ended.stderr
    assert "holds other files (thesis.tex)" in ended.stderr


@pytest.mark.parametrize("command", [["embed"], ["evaluate", "people"]])
def test_several_processes_want_a_folder(people, tmp_path, monkeypatch, refused, command):
    monkeypatch.setattr("nlreid.cli.several.count", lambda: 2)
    monkeypatch.setattr("nlreid.cli.several.rank", lambda: 0)
    monkeypatch.setattr("nlreid.cli.several.dist.init_process_group", lambda *_, **__: None)
    monkeypatch.setattr("nlreid.cli.several.dist.destroy_process_group", lambda: None)
    output = ["-o", tmp_path / "people.safetensors"] if command == ["embed"] else []
    assert "process 0 of 2: several processes embed into one folder" in refused(*command, people, *TINY, *output)


def test_of_a_command_that_is_not_shared_only_the_first_does_anything(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["models"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    assert main(["models"]) == 0
    assert "r3d50_nl" in capsys.readouterr().out


def test_a_video_is_not_shared(street, refused):
    said = refused(*street.embed("--keep", street.folder / "kept"))
    assert "a video is decoded in order, by one process" in said
    assert street.leftovers() == set()


def test_a_kept_embedding_of_folders_is_the_same(street, tmp_path, capsys):
    people = street.people()
    outputs = []
    for _ in range(2):
        outputs.append(tmp_path / f"{len(outputs)}.safetensors")
        assert main(list(map(str, ["embed", people, *TINY, "-o", outputs[-1], "--keep", tmp_path / "kept"]))) == 0
    capsys.readouterr()
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert main(["search", str(tmp_path / "kept"), "--query", "1"]) == 0
    folder = capsys.readouterr().out
    assert main(["search", str(tmp_path / "kept" / "parts" / "00000.safetensors"), "--query", "1"]) == 0
    assert folder == capsys.readouterr().out
    assert Path(tmp_path / "kept" / "embedding.json").exists()


def test_a_folder_among_the_pictures_keeps_nothing(street, refused):
    people = street.people()
    said = refused("embed", people, *TINY, "-o", street.output, "--keep", people / "kept")
    assert "lies among the pictures" in said
