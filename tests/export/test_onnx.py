"""`to_onnx`: a file that answers as the model does, or none."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from trained import answers, clips, new_model

import nlreid
from nlreid.errors import DataError, ExportError, InputError, MissingExtraError
from nlreid.export import to_onnx
from nlreid.models.exported import ExportedModel

ROOT = Path(__file__).parents[2]


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("batch", "frames"), [(1, 2), (1, 3), (2, 4), (3, 9), (5, 2)])
def test_onnxruntime_alone_answers_as_the_model(exported, batch, frames):
    clip = clips(exported.model, batch, frames)
    embedding, logits = session(exported.path).run(["embedding", "logits"], {"clip": clip.numpy()})
    for ours, theirs in zip((embedding, logits), answers(exported.model, clip), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5 * float(theirs.abs().max()))


def test_the_file_says_what_it_wants(exported):
    opened = session(exported.path)
    (clip,) = opened.get_inputs()
    assert (clip.name, clip.type, clip.shape) == ("clip", "tensor(float)", ["batch", 3, "frames", 64, 32])
    assert [(out.name, out.shape) for out in opened.get_outputs()] == [("embedding", ["batch", 512]), ("logits", ["batch", 5])]
    about = json.loads(opened.get_modelmeta().custom_metadata_map["nlreid"])
    spec = exported.model.clip_spec
    assert about["clip"] == {
        "frames": spec.frames,
        "stride": spec.stride,
        "size": [*spec.size],
        "mean": [*spec.mean],
        "std": [*spec.std],
    }
    assert (about["name"], about["weights"]) == ("test_r3d_nl", "random")
    assert (about["embedding_dim"], about["num_classes"], about["min_frames"]) == (512, 5, 2)


def test_it_says_how_near_it_is_and_leaves_the_model_alone(exported):
    assert exported.said.path == exported.path
    assert 0 <= exported.said.difference < 1e-5
    assert exported.was_training
    assert all(parameter.requires_grad for parameter in exported.model.parameters())


def test_no_folder_of_the_machine_is_in_the_file(exported):
    content = exported.path.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    assert b"forward" not in content


def test_the_same_model_gives_the_same_file_and_nothing_is_said(tmp_path, capfd, caplog):
    """With a folded, compiled copy, whose norms are gone: it is exported, not what it was compiled to."""
    model = nlreid.optimize_for_inference(new_model("test_c2d"), compile=True)
    with caplog.at_level(logging.DEBUG, "nlreid"):
        for name in ("one.onnx", "two.onnx"):
            to_onnx(model, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    assert [out.name for out in session(tmp_path / "one.onnx").get_outputs()] == ["embedding"]
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "people.onnx"
    path.write_bytes(b"old")
    right = ExportedModel.forward
    monkeypatch.setattr(ExportedModel, "forward", lambda self, clip: [1.01 * answer for answer in right(self, clip)[:1]])
    with pytest.raises(ExportError, match=r"people.onnx: not written: for 1 clips of 4 frames .* relative difference 0.01,"):
        to_onnx(new_model("test_c2d"), path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["people.onnx"]


def test_verbose_lets_torch_speak(tmp_path, capfd):
    to_onnx(new_model("test_c2d"), tmp_path / "people.onnx", verbose=True)
    assert "[torch.onnx]" in capfd.readouterr().out


def test_what_cannot_be_converted_is_told_by_its_reason(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    model = new_model("test_c2d")
    model.backbone.add_module("odd", Odd())
    with pytest.raises(ExportError, match=r"torch.onnx cannot export 'test_c2d' \(.*bessel_j0"):
        to_onnx(model, tmp_path / "people.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: torch.compile(model), "got OptimizedModule; of a wrapped one"),
        (lambda model: torch.nn.DataParallel(model), "got DataParallel; of a wrapped one"),
        (lambda model: model.backbone, "got Backbone3d"),
        (lambda model: model.half(), r"computes in float32; the model has torch.float16: call model.float\(\) first"),
        (lambda model: model.double(), "the model has torch.float64"),
        (lambda model: model.to("meta"), "on the meta device; load its weights first"),
    ],
)
def test_models_that_cannot_be_exported_are_told_so(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        to_onnx(change(new_model("test_c2d")), tmp_path / "people.onnx")
    assert list(tmp_path.iterdir()) == []


def test_half_of_a_model_is_enough_to_refuse_it(tmp_path):
    half = nlreid.optimize_for_inference(new_model("test_c2d"), dtype=torch.bfloat16)
    with pytest.raises(InputError, match="optimize_for_inference without dtype"):
        to_onnx(half, tmp_path / "people.onnx")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("no/people.onnx", DataError, "no/people.onnx: cannot be written: there is no folder"),
        (".", DataError, "it exists and is no regular file"),
        (7, InputError, "path is the path of a file or folder; got 7"),
    ],
)
def test_places_where_nothing_can_be_written_are_refused_before_the_work(tmp_path, monkeypatch, path, error, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nlreid.export.onnx_file.program_of", lambda _model: pytest.fail("it was begun"))
    with pytest.raises(error, match=message):
        to_onnx(new_model("test_c2d"), path)


@pytest.mark.parametrize("tolerance", [float("nan"), "small", None, -1e-4])
def test_a_tolerance_is_a_number(tmp_path, tolerance):
    with pytest.raises(InputError, match="tolerance is a finite number"):
        to_onnx(new_model("test_c2d"), tmp_path / "people.onnx", tolerance=tolerance)


def test_a_classifier_of_zeros_is_exported(tmp_path):
    model = new_model("test_c2d", num_classes=2, head="linear")
    for parameter in model.head.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    path = to_onnx(model, tmp_path / "people.onnx").path
    assert not session(path).run(["logits"], {"clip": clips(model, 1, 4).numpy()})[0].any()


def test_an_export_that_does_not_run_is_not_written(tmp_path, monkeypatch):
    def fails(_self, _clip):
        raise DataError("people.onnx: onnxruntime cannot run it")

    monkeypatch.setattr(ExportedModel, "forward", fails)
    with pytest.raises(ExportError, match=r"not written: people\.onnx: onnxruntime cannot run it"):
        to_onnx(new_model("test_c2d"), tmp_path / "people.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"'{module}' is not installed; install it with: pip install 'nlreid\[onnx\]'"):
        to_onnx(new_model("test_c2d"), tmp_path / "people.onnx")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_on_a_gpu_stays_there(tmp_path):
    model = new_model("test_c2d").cuda()
    to_onnx(model, tmp_path / "people.onnx")
    assert next(model.parameters()).is_cuda


def test_torch_that_is_too_old_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("nlreid.export.program._settings", SimpleNamespace())  # without what came after torch 2.6
    with pytest.raises(ExportError, match=r"cannot export for any number of frames; torch 2\.14 can"):
        to_onnx(new_model("test_c2d"), tmp_path / "people.onnx")
