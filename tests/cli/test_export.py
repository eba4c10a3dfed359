"""`nlreid export` writes a file that `nlreid embed --onnx` embeds with, as the model does."""

import hashlib
import sys

import pytest
import torch

import nlreid
from nlreid import Embeddings
from nlreid.cli import main
from nlreid.export import load_onnx

RANDOM = "nlreid: the weights are random; give --pretrained for a ranking that means something\n"
pytestmark = pytest.mark.skipif(
    not hasattr(torch.compiler, "is_exporting"), reason=f"torch {torch.__version__} cannot export for any number of frames"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The ONNX file of a tiny network with the random weights of seed 0."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    assert main(["export", "test_r3d_nl", "-o", str(path), "--quiet"]) == 0
    return path


def test_it_says_what_was_written_and_how_near_it_is(tmp_path, capsys):
    torch.manual_seed(3)
    weights = tmp_path / "weights"
    nlreid.save_pretrained(nlreid.create_model("test_c2d", num_classes=4), weights, card={"licence": "CC0-1.0"})
    path = tmp_path / "tiny.onnx"
    assert main(["export", "test_c2d", "--pretrained", str(weights), "-o", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(f"{path}: test_c2d, weights: {weights}")
    assert "clips of 4 frames, 64 x 32 pixels, or of 1 frames and more; relative difference to the model " in shown.out
    about = load_onnx(path).about
    assert (about.name, about.weights, about.licence, about.embedding_dim) == ("test_c2d", "weights", "CC0-1.0", 512)


def test_quiet_is_quiet_but_not_about_random_weights(tmp_path, capsys):
    assert main(["export", "test_c2d", "-o", str(tmp_path / "tiny.ONNX"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", RANDOM)


def test_embedding_with_the_file_is_embedding_with_the_model(street, network, capsys):
    arguments = street.embed("--quiet", "--min-frames", 1)
    assert main(arguments) == 0
    with_model = Embeddings.load(street.output)
    without = [argument for argument in arguments if argument not in ("--model", "test_r3d_nl", "--device", "cpu")]
    capsys.readouterr()
    assert main([*without, "--onnx", str(network), "--batch-size", "3"]) == 0
    assert capsys.readouterr() == ("", "")
    with_file = Embeddings.load(street.output)
    torch.testing.assert_close(with_file.features, with_model.features, rtol=0, atol=1e-4)
    assert with_file.tracks == with_model.tracks
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    assert with_file.model == f"test_r3d_nl, weights: {network} (sha256 {digest[:12]})"


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "test_r3d_nl"],
        ["--pretrained", "synthetic"],
        ["--seed", "7"],
        ["--device", "cpu"],
        ["--autocast", "bfloat16"],
    ],
)
def test_a_file_and_a_model_cannot_both_embed(street, network, misused, options):
    answer = misused("embed", street.people(), "-o", street.output, "--onnx", network, *options)
    assert (
        f"the file of --onnx holds the network and its weights, and runs on the CPU in float32; leave {options[0]} out"
        in answer
    )
    assert "leave --onnx out to embed with a model" in answer
    assert street.leftovers() == set()


def test_a_file_that_is_read_is_not_written_over(street, network, refused):
    before = network.read_bytes()
    assert "is read, and cannot be written too" in refused("embed", street.people(), "-o", network, "--onnx", network)
    assert network.read_bytes() == before


def test_a_file_that_is_none_is_told_before_the_work(street, refused):
    base = ["embed", street.people(), "-o", street.output, "--onnx"]
    assert "no.onnx: no such file; an ONNX file is written by `nlreid export MODEL -o FILE`" in refused(
        *base, street.folder / "no.onnx"
    )
    picture = next(street.folder.rglob("*.png"))
    assert f"{street.folder}: a folder, not a file; an ONNX file is written by" in refused(*base, street.folder)
    assert f"{picture}: onnxruntime cannot open it as an ONNX file" in refused(*base, picture)
    assert street.leftovers() == set()


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["test_c2d", "-o", "tiny.tflite"], "tiny.tflite: the end of the name says what to write: .onnx or .pt2"),
        (["test_c2d", "-o", "tiny"], "tiny: the end of the name says what to write"),
        (["test_c2c", "-o", "tiny.onnx"], "unknown model 'test_c2c'; did you mean 'test_c2d'?"),
        (["test_c2d", "--pretrained", "no.pth", "-o", "tiny.onnx"], "no.pth: no such file"),
        (["test_c2d", "-o", "no/tiny.onnx"], "no/tiny.onnx: cannot be written: there is no folder"),
    ],
)
def test_what_cannot_be_exported_is_answered_in_one_line(tmp_path, monkeypatch, refused, arguments, answer):
    monkeypatch.chdir(tmp_path)
    assert answer in refused("export", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_told_before_weights_are_looked_for(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    answer = refused("export", "test_c2d", "--pretrained", "no.pth", "-o", tmp_path / "tiny.onnx")
    assert "'onnxruntime' is not installed; install it with: pip install 'nlreid[onnx]'" in answer
