"""`to_package`: machine code that answers as the model does. It is compiled, which takes a C++ compiler and a while."""

import shutil

import pytest
import torch
from torch._inductor import config as inductor
from trained import answers, clips, new_model

import nlreid
from nlreid.errors import DataError, ExportError, InputError
from nlreid.export import load_package, to_package

compiles = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler")


def assert_packed(model, path):
    said = to_package(model, path)
    assert said.path == path
    assert said.difference < 1e-5
    network = load_package(path)
    for batch, frames in ((1, model.min_frames), (3, 7)):
        clip = clips(model, batch, frames)
        ours, theirs = network(clip), answers(model, clip)
        for one, other in zip(ours, theirs, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=1e-5)
    assert (network.name, network.clip_spec) == (model.name, model.clip_spec)


@compiles
def test_a_package_answers_as_its_model(tmp_path, capfd):
    """One whose kernels are laid out for speed, too, which torch's packages do not take as they are."""
    assert_packed(nlreid.optimize_for_inference(new_model("test_c2d", num_classes=3)), tmp_path / "people.pt2")
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["people.pt2"]


@compiles
@pytest.mark.sweep
@pytest.mark.parametrize("name", ["r3d18_half_nl", "c2d50_rnn"])
def test_models_of_the_zoo_can_be_packed(tmp_path, name):
    model = nlreid.optimize_for_inference(new_model(name, clip={"size": (64, 32)}))
    assert_packed(model, tmp_path / "people.pt2")


def test_without_a_compiler_there_is_no_package(tmp_path, monkeypatch):
    monkeypatch.setattr("nlreid.export.package.program_of", lambda _model: pytest.fail("it was begun"))
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}), pytest.raises(ExportError, match="no C\\+\\+ compiler was found"):
        to_package(new_model("test_c2d"), tmp_path / "people.pt2")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none(tmp_path):
    path = tmp_path / "people.pt2"
    with pytest.raises(DataError, match="no such file; a package is written by"):
        load_package(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"people.pt2: no package of AOTInductor, which is a zip archive"):
        load_package(path)
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), path)
    with pytest.raises(DataError, match=r"people.pt2: torch cannot open it as a package \("):
        load_package(path)


def test_what_cannot_be_packed_is_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match="computes in float32"):
        to_package(new_model("test_c2d").half(), tmp_path / "people.pt2")
    with pytest.raises(DataError, match="there is no folder"):
        to_package(new_model("test_c2d"), tmp_path / "no" / "people.pt2")
