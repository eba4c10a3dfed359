"""The training example: it learns, goes on after any interruption as if there had been none, and several processes are one."""

import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nlreid
from nlreid.layers import Conv3d

pytestmark = [pytest.mark.examples, pytest.mark.usefixtures("one_thread")]
EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPE = ["--model", "test_r3d_nl", "-P", "4", "-K", "2", "--workers", "0", "--lr", "1e-3", "--precision", "float32"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Eight people to train on and four to test on, each in a colour of their own, before two cameras."""
    root = tmp_path_factory.mktemp("people")
    noise = np.random.default_rng(0)
    for part, persons, cameras in (
        ("train", range(1, 9), (1, 2)),
        ("query", range(21, 25), (1,)),
        ("gallery", range(21, 25), (2,)),
    ):
        for person in persons:
            colour = np.random.default_rng(person).integers(0, 256, 3)
            for camera in cameras:
                folder = root / part / str(person) / str(camera) / "track"
                folder.mkdir(parents=True)
                for number in range(5):
                    picture = (colour + noise.normal(0, 20, (24, 12, 3))).clip(0, 255).astype(np.uint8)
                    Image.fromarray(picture).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def train():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("train")


@pytest.fixture(scope="module")
def network(train):
    return sys.modules[train.make_model.__module__]


@pytest.fixture(scope="module")
def run(train):
    """Runs the example here, with the options of a command line."""

    def run(*options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["train.py", *map(str, options)])
            return train.main()

    return run


@pytest.fixture(scope="module")
def whole(run, people, tmp_path_factory, one_thread):  # noqa: ARG001 - it is there while this runs
    """The folder of a run of five steps, two to an epoch, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert run("people", people, *RECIPE, "--steps", 5, "-o", folder) == 0
    return folder


def log(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def same(folder, other):
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (folder, other)]
    return weights[0] == weights[1] and log(folder) == log(other)


def test_a_few_steps_teach_something_and_leave_a_network_that_loads(run, people, tmp_path):
    out = tmp_path / "out"
    assert run("people", people, *RECIPE, "--epochs", 10, "--evaluate-every", 4, "--licence", "mit", "-o", out) == 0
    rows = log(out)
    assert [row["epoch"] for row in rows] == list(range(10))
    assert [row["step"] for row in rows] == list(range(2, 21, 2))
    assert rows[-1]["cross_entropy"] < 0.8 * rows[0]["cross_entropy"]
    assert rows[-1]["accuracy"] > 0.5
    assert [row["epoch"] for row in rows if "mAP" in row] == [3, 7, 9]
    model = nlreid.create_model("test_r3d_nl", out / "model", num_classes=8)
    assert model.loaded.missing == ()
    card = (out / "model" / "README.md").read_text()
    assert "license: mit" in card
    assert f"| mAP | {rows[-1]['mAP']:g} |" in card
    assert sorted(path.name for path in out.iterdir()) == ["log.jsonl", "model", "options.json"]


KILLED = """
import os, signal, sys
sys.path.insert(0, {examples!r})
import torch
save, count = torch.save, []
def killed(state, file):
    count.append(file)
    if len(count) == 3:
        file.write(b"half of it" * {inside})
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, file)
torch.save = killed
torch.set_num_threads(1)
import train
sys.exit(train.main())
"""


@pytest.mark.parametrize("inside", [0, 1], ids=["behind a step", "while it saves"])
def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(run, whole, people, tmp_path, inside):
    options = ["people", people, *RECIPE, "--steps", 5, "--save-every", 0, "-o", tmp_path / "killed"]
    script = KILLED.format(examples=str(EXAMPLES), inside=inside)
    process = subprocess.run([sys.executable, "-c", script, *map(str, options)], capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not (tmp_path / "killed" / "model").exists()
    assert run(*options) == 0
    assert same(tmp_path / "killed", whole)


@pytest.mark.parametrize(("step", "saved"), [(0, 1), (1, 2), (4, 5)])
def test_after_ctrl_c_the_same_command_goes_on(train, run, whole, people, tmp_path, monkeypatch, step, saved):
    options = ["people", people, *RECIPE, "--steps", 5, "-o", tmp_path / "out"]
    take_step = train.Training.take_step

    def interrupted(self, clip, label):
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(self, clip, label)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "take_step", interrupted)
        assert run(*options) == 130
    assert signal.getsignal(signal.SIGINT) is before
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert state["progress"]["step"] == saved
    assert run(*options) == 0
    assert same(tmp_path / "out", whole)


def test_a_time_limit_stops_it_at_a_checkpoint(run, whole, people, tmp_path, capsys):
    options = ["people", people, *RECIPE, "--steps", 5, "-o", tmp_path / "out"]
    for step in (1, 2, 3):
        assert run(*options, "--time-limit", 0) == 0
        assert f"stopped behind step {step} of 5" in capsys.readouterr().err
    assert run(*options) == 0
    assert same(tmp_path / "out", whole)
    assert run(*options) == 0
    assert "this run is finished" in capsys.readouterr().out


def test_a_start_that_failed_binds_to_nothing(run, people, tmp_path, capsys):
    options = ["people", people, *RECIPE, "--steps", 1, "-o", tmp_path / "out"]
    assert run(*options, "--size", 8, 8) == 1
    assert "at least 32 x 32 pixels" in capsys.readouterr().err
    assert run(*options) == 0


def test_a_full_disk_costs_nothing_that_was_kept(run, whole, people, tmp_path, capsys, monkeypatch):
    options = ["people", people, *RECIPE, "--steps", 5, "-o", tmp_path / "out"]
    assert run(*options, "--time-limit", 0) == 0
    kept = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        assert run(*options, "--save-every", 0) == 1
    assert "error: [Errno 28] No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["checkpoint.pt", "options.json"]
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == kept
    assert run(*options) == 0
    assert same(tmp_path / "out", whole)


@pytest.mark.parametrize(("name", "length"), [("checkpoint.pt", 0), ("checkpoint.pt", 100), ("options.json", 5)])
def test_a_damaged_file_is_named(run, people, tmp_path, capsys, name, length):
    options = ["people", people, *RECIPE, "--steps", 5, "-o", tmp_path / "out"]
    assert run(*options, "--time-limit", 0) == 0
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:length])
    assert run(*options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {path}: ")
    assert "damaged" in error


def test_a_data_set_that_has_changed_is_refused(run, people, tmp_path, capsys):
    shutil.copytree(people, tmp_path / "people")
    options = ["people", tmp_path / "people", *RECIPE, "--steps", 5, "-o", tmp_path / "out"]
    assert run(*options, "--time-limit", 0) == 0
    shutil.rmtree(tmp_path / "people" / "train" / "8")
    assert run(*options) == 1
    assert "on 16 tracklets, and now there are 14" in capsys.readouterr().err


def test_workers_change_nothing(run, whole, people, tmp_path):
    assert run("people", people, *RECIPE, "--steps", 5, "--workers", 1, "-o", tmp_path / "out") == 0
    assert same(tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--lr", "0.1"], "--lr was 0.001"),
        (["--licence", "mine"], "mine"),
        (["--pretrained", "a", "--init-from", "b", "-o", "{}/other"], "not both"),
        (["-P", "9", "-o", "{}/other"], "need 9 identities"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run, whole, people, tmp_path, capsys, options, answer):
    options = [option.format(tmp_path) for option in options]
    assert run("people", people, *RECIPE, "--steps", 5, "-o", whole, *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert answer in error


FROZEN_NORMS = """
import sys
sys.path.insert(0, {examples!r})
import torch
import nlreid
import train

torch.set_num_threads(1)
set_mode, take_step = nlreid.VideoReID.train, train.Training.take_step

def without_norms(self, mode=True):  # their statistics would be those of a process's part of the batch
    set_mode(self, mode)
    for module in self.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    return self

def noted(self, clip, label):
    losses = take_step(self, clip, label)
    gradients = {{name: parameter.grad.clone() for name, parameter in self.model.named_parameters()}}
    path = self.output / f"step_{{self.progress.step}}_of_{{self.team.rank}}.pt"
    torch.save((len(clip), losses, gradients, self.model.state_dict()), path)
    return losses

nlreid.VideoReID.train, train.Training.take_step = without_norms, noted
sys.exit(train.main())
"""


def test_two_processes_are_one(people, tmp_path):
    (tmp_path / "noted.py").write_text(FROZEN_NORMS.format(examples=str(EXAMPLES)))
    options = [tmp_path / "noted.py", "people", people, *RECIPE, "--steps", 3, "--margin", "soft", "--set", "dropout=0", "-o"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    for name, launcher in (("one", []), ("two", torchrun)):
        command = [sys.executable, *launcher, *map(str, options), str(tmp_path / name)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert process.returncode == 0, process.stderr
    steps = {
        (name, rank, step): torch.load(tmp_path / name / f"step_{step}_of_{rank}.pt", weights_only=True)
        for name, ranks in (("one", (0,)), ("two", (0, 1)))
        for rank in ranks
        for step in range(3)
    }
    for step in range(3):
        size, losses, gradients, _ = steps["one", 0, step]
        assert losses[2] > 0.01  # the triplet loss has something to say
        for rank in (0, 1):
            part, own, averaged, _ = steps["two", rank, step]
            assert 2 * part == size == 8
            torch.testing.assert_close(own, losses, rtol=1e-4, atol=1e-5)
            for name, gradient in gradients.items():
                scale = float(gradient.abs().max()) + 1e-6
                torch.testing.assert_close(
                    averaged[name], gradient, rtol=1e-3, atol=1e-3 * scale, msg=lambda m, n=name: f"{n}: {m}"
                )
    weights = [steps["two", rank, 2][3] for rank in (0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_rate_is_constant_and_then_falls_to_a_thousandth(train):
    rate = sys.modules[train.set_rate.__module__].rate
    rates = [rate(step, 1000, 0, 0.5) for step in (0, 500, 750, 1000)]
    assert rates == pytest.approx([1, 1, 0.001**0.5, 0.001])
    assert [rate(step, 10, 4, 1.0) for step in (0, 3, 4, 9)] == pytest.approx([0.2, 0.8, 1, 1])


def test_a_network_on_frames_is_where_one_on_clips_starts(network, tmp_path, capsys):
    frames = nlreid.create_model("test_c2d", num_classes=5)
    nlreid.save_pretrained(frames, tmp_path / "frames", card={"licence": "MIT"})
    clips = nlreid.create_model("test_r3d_nl", num_classes=5)
    network.start_from(clips, tmp_path / "frames")
    kernel = clips.backbone.state_dict()["layer1.0.conv1.weight"]
    torch.testing.assert_close(kernel.sum(2, keepdim=True), frames.backbone.state_dict()["layer1.0.conv1.weight"])
    assert kernel.shape[2] == 3
    assert all(torch.equal(clips.head.state_dict()[name], value) for name, value in frames.head.state_dict().items())
    assert "inflated" in capsys.readouterr().out


def test_non_local_blocks_come_into_a_trained_network_as_identities(network, tmp_path):
    plain = nlreid.create_model("test_r3d", num_classes=5).eval()
    nlreid.save_pretrained(plain, tmp_path / "plain", card={"licence": "MIT"})
    model = nlreid.create_model("test_r3d_nl", num_classes=5).eval()
    network.start_from(model, tmp_path / "plain" / "model.safetensors")
    clip = torch.randn(2, 3, 4, 64, 32)
    torch.testing.assert_close(model(clip).logits, plain(clip).logits)
    other = nlreid.create_model("test_r3d_nl", num_classes=5, clip={"mean": (0.5, 0.5, 0.5)})
    with pytest.raises(nlreid.errors.InputError, match="was trained with mean"):
        network.start_from(other, tmp_path / "plain")
    with pytest.raises(nlreid.errors.WeightsError, match="kernels over time"):
        network.start_from(nlreid.create_model("test_r3d_full", num_classes=5), tmp_path / "plain")


def test_convolutions_that_a_machine_gets_wrong_are_found(network, monkeypatch):
    model = nlreid.create_model("test_r3d")
    conv = model.backbone.layer2[0].conv2
    forward = conv.forward
    with monkeypatch.context() as patch:
        patch.setattr(Conv3d, "forward", lambda self, x: x.new_zeros(()) + forward_in_float32(self, x))
        assert network.wrong_convolutions(model, torch.bfloat16) == []
        patch.setattr(conv, "forward", lambda x: forward(x) * (0.5 if torch.is_autocast_enabled("cpu") else 1))
        assert network.wrong_convolutions(model, torch.bfloat16) == ["backbone.layer2.0.conv2"]


def forward_in_float32(conv, x):
    with torch.autocast("cpu", enabled=False):
        return torch.nn.functional.conv3d(x, conv.weight, conv.bias, conv.stride, conv.padding)


def test_people_who_are_drawn_can_be_trained_on(run, tmp_path):
    drawn = ["--identities", 6, "--tracklets", 2, "--rendered-frames", 4, "--rendered-size", 32, 16, "--test-identities", 3]
    assert run("synthetic", *RECIPE, *drawn, "--steps", 2, "-o", tmp_path / "out") == 0
    assert 0 < log(tmp_path / "out")[-1]["mAP"] <= 1
    assert len(list((tmp_path / "out" / "figures").glob("*.npy"))) == 1
