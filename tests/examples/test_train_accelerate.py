"""The example with Accelerate learns what `train.py` learns, and goes on after a kill as if there had been none."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nlreid
from nlreid.errors import InputError

pytestmark = pytest.mark.examples
EXAMPLES = Path(__file__).parents[2] / "examples"
PEOPLE = ["--identities", "8", "--tracklets", "2", "--rendered-frames", "4", "--rendered-size", "32", "16"]
RECIPE = ["--model", "test_r3d_nl", "-P", "4", "-K", "2", "--epochs", "3", "--workers", "0", "--margin", "soft"]
OPTIONS = ["synthetic", *PEOPLE, "--test-identities", "3", *RECIPE]

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {examples!r})
import train_accelerate as example
take_step, save_state = example.Training.take_step, example.Accelerator.save_state

def in_an_epoch(self, batch):
    if self.progress.step == 3 and self.accelerator.process_index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self, batch)

def while_it_saves(self, folder):
    save_state(self, folder)
    if self.is_main_process:
        for path in Path(folder).iterdir():
            path.write_bytes(path.read_bytes()[:100])
        os.kill(os.getpid(), signal.SIGKILL)

if {when!r} == "in an epoch":
    example.Training.take_step = in_an_epoch
else:
    example.Accelerator.save_state = while_it_saves
sys.exit(example.main())
"""


def launch(script, *options, processes=2):
    """Runs a script in processes of `torchrun`."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
    command = [sys.executable, *torchrun, str(script), *map(str, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("train_accelerate")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run of three epochs of two steps in two processes, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = launch(EXAMPLES / "train_accelerate.py", *OPTIONS, "--cpu", "-o", folder)
    assert process.returncode == 0, process.stderr
    return folder


def log(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


def test_two_processes_train_a_network_that_loads(whole):
    assert [(row["epoch"], row["step"]) for row in log(whole)] == [(0, 2), (1, 4), (2, 6)]
    assert 0 < log(whole)[-1]["mAP"] <= 1
    model = nlreid.create_model("test_r3d_nl", whole / "model", num_classes=8)
    assert model.loaded.missing == ()
    assert "examples/train_accelerate.py" in (whole / "model" / "README.md").read_text()
    assert sorted(path.name for path in whole.iterdir()) == ["figures", "log.jsonl", "model", "options.json"]


def test_after_any_kill_the_same_command_goes_on(whole, tmp_path):
    out = tmp_path / "out"
    for when, kept in (("in an epoch", ["state_000001"]), ("while it saves", [".state.part", "state_000001"])):
        script = tmp_path / "killed.py"
        script.write_text(KILLED.format(examples=str(EXAMPLES), when=when))
        process = launch(script, *OPTIONS, "--cpu", "-o", out)
        assert process.returncode != 0
        assert f"Signal {signal.SIGKILL.value}" in process.stderr
        assert sorted(path.name for path in out.iterdir() if "state" in path.name) == kept
    process = launch(EXAMPLES / "train_accelerate.py", *OPTIONS, "--cpu", "-o", out)
    assert process.returncode == 0, process.stderr
    assert weights(out) == weights(whole)
    assert log(out) == log(whole)
    assert sorted(path.name for path in out.iterdir()) == ["figures", "log.jsonl", "model", "options.json"]


def test_it_learns_what_the_plain_loop_learns(tmp_path):
    """Both draw the same people, batches and clips; without dropout, nothing else is drawn."""
    for script, device in (("train_accelerate.py", ["--cpu"]), ("train.py", ["--device", "cpu", "--precision", "float32"])):
        process = launch(EXAMPLES / script, *OPTIONS, "--set", "dropout=0", *device, "-o", tmp_path / script)
        assert process.returncode == 0, process.stderr
    assert weights(tmp_path / "train_accelerate.py") == weights(tmp_path / "train.py")
    assert log(tmp_path / "train_accelerate.py") == log(tmp_path / "train.py")


def test_a_start_that_failed_binds_to_nothing(example, tmp_path, capsys, monkeypatch):
    options = ["train_accelerate.py", *OPTIONS, "--cpu", "--epochs", "1", "-o", str(tmp_path / "out")]
    for more, status in ((("--size", "8", "8"), 1), ((), 0)):
        monkeypatch.setattr(sys, "argv", [*options, *more])
        assert example.main() == status, capsys.readouterr().err


def a_state(example, folder):
    keep = sys.modules[example.keep_state.__module__]
    keep.keep_state(folder, 3, lambda part: (part / "random_states_1.pkl").write_bytes(b"12345"), True, lambda: None)
    return keep


@pytest.mark.parametrize("content", [None, b"123"])
def test_a_state_that_lacks_something_is_refused(example, tmp_path, content):
    keep = a_state(example, tmp_path)
    (state,) = tmp_path.iterdir()
    keep.check_state(state)
    (state / "random_states_1.pkl").unlink() if content is None else (state / "random_states_1.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"random_states_1.pkl: .*, where there were 5 bytes"):
        keep.check_state(state)
    (state / keep.SIZES).unlink()
    with pytest.raises(InputError, match="remove the state to begin anew"):
        keep.check_state(state)


def test_a_state_that_cannot_be_written_leaves_the_one_before(example, tmp_path):
    keep = a_state(example, tmp_path)

    def full(part):
        (part / "model.safetensors").write_bytes(b"half of it")
        raise RuntimeError("unexpected pos 1024 vs 918")

    with pytest.raises(OSError, match="cannot be written"):
        keep.keep_state(tmp_path, 4, full, True, lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == ["state_000003"]
    keep.check_state(keep.newest_state(tmp_path))


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ((), "--num-processes was 2"),
        (("--lr", "0.1"), "--lr was 0.0003"),
        (("--licence", "mine"), "mine"),
        (("-o", "{}/other", "-P", "9"), "need 9 identities"),
        (("-o", "{}/other", "--pretrained", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(example, whole, tmp_path, capsys, monkeypatch, options, answer):
    options = [option.format(tmp_path) for option in options]
    monkeypatch.setattr(sys, "argv", ["train_accelerate.py", *OPTIONS, "--cpu", "-o", str(whole), *options])
    assert example.main() == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert answer in error
