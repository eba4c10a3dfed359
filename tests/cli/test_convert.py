"""`nlreid convert`: a published file becomes one that `create_model` takes; anything else is refused."""

import pytest
import torch
from golden.published import golden

import nlreid
from nlreid.cli import main
from nlreid.hub.reading.files import read_tensors


@pytest.fixture(scope="module")
def mc3(tmp_path_factory):
    """A checkpoint in torchvision's layout."""
    return golden("torchvision__mc3_18").write(tmp_path_factory.mktemp("published") / "mc3_18.pth")


@pytest.mark.parametrize("source", ["torchvision", "mc3_18.torchvision"])
def test_a_layout_or_a_tag_will_do(mc3, tmp_path, capsys, source):
    output = tmp_path / "out.safetensors"
    assert main(["convert", source, str(mc3), "-o", str(output)]) == 0
    shown = capsys.readouterr().out
    model = nlreid.create_model("mc3_18", output, head="linear", num_classes=400)
    assert "mc3_18.torchvision" in shown
    assert nlreid.create_model("mc3_18.torchvision", mc3).loaded.sha256 in shown
    again = nlreid.create_model("mc3_18.torchvision", mc3, head="linear", num_classes=400)
    assert model.loaded.dropped == again.loaded.dropped == ()
    for name, tensor in again.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_the_same_file_gives_the_same_bytes(mc3, tmp_path):
    for name in ("a", "b"):
        assert main(["convert", "torchvision", str(mc3), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_2d_networks_become_timms(tmp_path, capsys):
    path = golden("torchreid__resnet50_keys").write(tmp_path / "model.pth.tar-60")
    assert main(["convert", "torchreid", str(path), "-o", str(tmp_path / "out")]) == 0
    assert "2D weights in timm's names" in capsys.readouterr().out
    model, again = (nlreid.create_model("c2d50", file) for file in (tmp_path / "out", path))
    for name, tensor in again.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_networks_that_only_differ_in_what_they_compute_are_not_guessed(tmp_path, refused):
    path = golden("mmaction2__i3d_r50_nl_dot_product").write(tmp_path / "published.pth")
    message = refused("convert", "mmaction2", path, "-o", tmp_path / "out")
    assert "several networks have exactly its tensors" in message
    assert "r3d50_nl.mmaction2, r3d50_nl.mmaction2_dot_product" in message
    assert not (tmp_path / "out").exists()


def test_what_is_not_what_was_said_is_refused(mc3, tmp_path, refused):
    output = tmp_path / "out"
    assert "did you mean 'torchvision'?" in refused("convert", "torchvison", mc3, "-o", output)
    assert "it looks like one of 'torchvision'" in refused("convert", "gluoncv", mc3, "-o", output)
    assert "looks like a checkpoint of 'mc3_18'" in refused("convert", "r3d18.torchvision", mc3, "-o", output)
    assert "no such file" in refused("convert", "torchvision", tmp_path / "no.pth", "-o", output)
    assert "there is no folder" in refused("convert", "torchvision", mc3, "-o", tmp_path / "no" / "out")
    assert "cannot be written too" in refused("convert", "torchvision", mc3, "-o", mc3)
    wild = read_tensors(mc3)
    wild["fc.bias"][3] = float("nan")
    torch.save(wild, tmp_path / "wild")
    assert "not finite" in refused("convert", "torchvision", tmp_path / "wild", "-o", output)
    assert not output.exists()
    assert main(["convert", "torchvision", str(mc3), "-o", str(output)]) == 0
    assert "is one of nlreid's files already" in refused("convert", "torchvision", output, "-o", tmp_path / "again")
