"""The paper's Table 2 in one command, with networks of few channels on a miniature MARS: to its end, and killed on the way."""

import importlib
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from data.miniature import publish_mars, write_mars

import nlreid
from nlreid.models.zoo import model_spec

pytestmark = [pytest.mark.examples, pytest.mark.usefixtures("one_thread")]
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OPTIONS = ["--tiny", "--partial", "-P", "2", "-K", "2", "--steps", "3", "--workers", "0", "--precision", "float32"]


@pytest.fixture(scope="module")
def mars(tmp_path_factory):
    return write_mars(tmp_path_factory.mktemp("data") / "MARS")


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("reproduce_table_2")


@pytest.fixture(scope="module")
def run(example):
    """Runs the example here, with the options of a command line."""

    def run(*options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["reproduce_table_2.py", *map(str, options)])
            return example.main()

    return run


@pytest.fixture(scope="module")
def whole(run, mars, tmp_path_factory, one_thread):  # noqa: ARG001 - it is there while this runs
    """The folder of all rows, which nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert run(mars, *OPTIONS, "-o", folder) == 0
    return folder


def weights(folder):
    return {path.parent.parent.name: path.read_bytes() for path in folder.glob("*/model/model.safetensors")}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_row_is_trained_scored_and_set_beside_the_papers(example, whole):
    lines = (whole / "table.md").read_text().splitlines()
    table = [cells(line) for line in lines if line.startswith("| ")]
    assert table[0][2:] == ["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mAP, trapezoid", "paper: rank-1", "paper: mAP"]
    assert len(table) - 2 == len(example.TABLE_2) == len(weights(whole)) == 6
    for name, row in zip(example.TABLE_2, table[2:], strict=True):
        last = json.loads((whole / name / "log.jsonl").read_text().splitlines()[-1])
        assert row[2:8] == [f"{100 * last[figure]:.1f}" for figure in table[0][2:8]]
        assert last["step"] == 3
        assert row[8:] == (["84.3", "77"] if name == "r3d50_nl" else ["", ""])
    assert any("11 tracklets in the gallery" in line for line in lines)  # the queries and the junk among them
    assert any(line.startswith("- ") and "partial" not in line for line in lines)  # what is missing of MARS
    assert any("these figures say nothing" in line for line in lines)


KILLED = """
import os, signal, sys
sys.path.insert(0, {examples!r})
import torch
save, count = torch.save, []
def killed(state, file):
    count.append(file)
    if len(count) == 7:  # four to a row
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, file)
torch.save = killed
torch.set_num_threads(1)
import reproduce_table_2
sys.exit(reproduce_table_2.main())
"""


def test_killed_in_the_second_row_it_goes_on_to_the_same_table(run, whole, mars, tmp_path, capsys):
    folder = tmp_path / "killed"
    options = [mars, *OPTIONS, "--save-every", "0", "-o", folder]
    command = [sys.executable, "-c", KILLED.format(examples=str(EXAMPLES)), *map(str, options)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert list(weights(folder)) == ["c2d50"]
    assert (folder / "c2d50_max" / "checkpoint.pt").exists()
    assert (folder / "table.md").read_text().count("not run") == 5 * 6
    first = folder / "c2d50" / "model" / "model.safetensors"
    written = first.stat().st_mtime_ns
    assert run(mars, *OPTIONS, "--dry-run", "-o", folder) == 0
    states = re.findall(r"^(\w+) .*  (finished|begun|to do)$", capsys.readouterr().out, flags=re.MULTILINE)
    assert [state for _, state in states] == ["finished", "begun", *["to do"] * 4]
    assert run(*options) == 0
    assert first.stat().st_mtime_ns == written
    assert (folder / "table.md").read_bytes() == (whole / "table.md").read_bytes()
    assert weights(folder) == weights(whole)


def test_a_time_limit_stops_it_between_two_steps_of_any_row(run, whole, mars, tmp_path, capsys):
    options = [mars, *OPTIONS, "--rows", "r3d50_nl", "c2d50", "-o", tmp_path / "out"]
    for _ in range(20):
        assert run(*options, "--time-limit", 0) == 0
        if "written to" in capsys.readouterr().out:
            break
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.count("not run") == 4 * 6
    assert weights(tmp_path / "out") == {name: weights(whole)[name] for name in ("c2d50", "r3d50_nl")}
    wanted = (whole / "table.md").read_text().splitlines()
    assert [line for line in table.splitlines() if "not run" not in line] == [line for line in wanted if line in table]


def test_it_says_how_long_an_epoch_takes_and_what_is_left(run, mars, tmp_path, capsys):
    assert run(mars, *OPTIONS, "--rows", "c2d50", "r3d50", "-o", tmp_path / "out") == 0
    told = re.findall(r"(\w+): [\d.]+ \w+ an epoch; left are about [\d.]+ \w+(, with the rows)?", capsys.readouterr().err)
    assert told == [("c2d50", ", with the rows"), ("r3d50", "")]


def test_a_dry_run_reads_the_data_set_and_writes_nothing(run, tmp_path, capsys, monkeypatch):
    publish_mars(monkeypatch)
    mars = write_mars(tmp_path / "MARS")
    assert run(mars, "--rows", "c2d50", "r3d50_nl", "--dry-run", "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "MARS" in said
    first, second = (line.split() for line in said.splitlines()[-2:])
    # 300 epochs of 3 persons with 4 tracklets; the multiply-adds of a clip are those of `nlreid info`
    assert first == ["c2d50", "imagenet", "21.35", "3,600", "4.6e+14", "to", "do"]
    assert second == ["r3d50_nl", "kinetics", "23.18", "3,600", "5.0e+14", "to", "do"]
    assert not (tmp_path / "out").exists()


def test_an_incomplete_data_set_is_refused_before_anything_is_begun(run, mars, tmp_path, capsys):
    options = [option for option in OPTIONS if option != "--partial"]
    assert run(mars, *options, "-o", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"error: {mars}: not the whole of MARS" in error
    assert "give --partial" in error
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_are_missed_before_the_first_epoch(run, mars, tmp_path, capsys):
    options = [option for option in OPTIONS if option != "--tiny"]
    rows = ["--rows", "r3d50", "r3d50_nl", "--weights-3d", tmp_path / "none.pth"]
    assert run(mars, *options, *rows, "-o", tmp_path / "out") == 1
    assert "none.pth" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*/log.jsonl"))


@pytest.mark.parametrize("other", [["--steps", "4"], ["--lr", "0.1"], ["--weights-2d", "elsewhere.pth"]])
def test_a_table_is_of_one_set_of_options(run, whole, mars, capsys, other):
    assert run(mars, *OPTIONS, *other, "-o", whole) == 1
    assert f"error: {whole} holds a run with other options: {other[0]} was" in capsys.readouterr().err


def test_the_tiny_rows_are_the_papers_in_small(example):
    for row in example.ROWS.values():
        real, tiny = model_spec(row.model), model_spec(row.tiny)
        assert (real.plan, real.aggregate) == (tiny.plan, tiny.aggregate)
        assert (real.non_local is None) == (tiny.non_local is None)
        assert f"{row.model}.imagenet" in nlreid.list_pretrained()
        assert row.start == "2d" or any(name.startswith(f"{row.model}.") for name in nlreid.list_pretrained())


def commands(page):
    """The commands of a page that call an example: its name and its options."""
    for block in re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "how_to" / page).read_text("utf-8"), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            found = [place for place, word in enumerate(words) if word.startswith("examples/")]
            if found:
                yield words[found[0]], words[found[0] + 1 :]


@pytest.mark.parametrize("page", ["reproduce_table_2.md", "fine_tune.md"])
def test_commands_of_the_page_have_options_that_exist(example, page):
    parsers = {
        "examples/reproduce_table_2.py": example.parse_arguments,
        "examples/train.py": sys.modules["training.arguments"].parse_arguments,
    }
    found = list(commands(page))
    assert found
    for name, options in found:
        parsers[name](options)
