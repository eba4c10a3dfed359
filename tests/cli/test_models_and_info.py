"""`nlreid models` and `nlreid info`: what is listed is there, what is counted is true."""

import pytest
import torch
from torch import nn

import nlreid
from nlreid.cli import main
from nlreid.cli.info import describe, multiply_adds
from nlreid.layers.non_local import NonLocalBlock


def listed(capsys, *pattern):
    assert main(["models", *pattern]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "backbone", "plan", "non-local", "aggregate", "weights"]
    return [line.split() for line in lines]


def test_every_model_is_listed_with_its_weights(capsys):
    rows = {row[0]: row for row in listed(capsys)}
    assert list(rows) == nlreid.list_models()
    assert rows["r3d18_nl"] == ["r3d18_nl", "resnet18", "i3d", "yes", "average", "imagenet"]
    assert rows["r3d18"][5:] == ["imagenet,", "torchvision"]
    assert rows["r3d18_half_nl"][:5] == ["r3d18_half_nl", "resnet18d*0.5", "i3d", "yes", "average"]
    assert rows["test_mc3"] == ["test_mc3", "test_resnet", "mc3", "-", "average", "-"]
    weights = [f"{name}.{tag.rstrip(',')}" for name, row in rows.items() for tag in row[5:] if tag != "-"]
    assert sorted(weights) == nlreid.list_pretrained()


def test_patterns_are_of_names_with_or_without_tags(capsys):
    assert [row[0] for row in listed(capsys, "c2d50*")] == nlreid.list_models("c2d50*")
    assert [row[0] for row in listed(capsys, "r3d50_nl")] == ["r3d50_nl"]
    assert [row[0] for row in listed(capsys, "test_*.imagenet")] == [
        name.split(".")[0] for name in nlreid.list_pretrained("test_*")
    ]


def test_a_pattern_of_nothing_is_answered_with_the_nearest_name(refused):
    assert "unknown model 'r3d50_ml'; did you mean 'r3d50_nl'?" in refused("models", "r3d50_ml")


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_r3d_nl.imagenet"])
def test_info_describes_a_model_by_its_name_or_its_tagged_name(capsys, name):
    assert main(["info", name]) == 0
    shown = {line[:20].strip(): line[21:] for line in capsys.readouterr().out.splitlines()}
    model = nlreid.create_model("test_r3d_nl")
    assert shown["model"] == name
    assert shown["non-local blocks"] == "layer2.non_local_0, layer3.non_local_0"
    assert shown["weights by name"] == "imagenet"
    assert shown["parameters"] == f"{sum(parameter.numel() for parameter in model.parameters()):,}"
    assert shown["embedding"] == "96 values"
    assert shown["clip"] == "4 frames, every 1 in training, 64 x 32 pixels"
    assert shown["shortest clip"] == "2 frames of 32 x 32 pixels"
    assert shown == describe(nlreid.create_model(name).eval())


def test_info_says_how_wide_a_network_is(capsys):
    assert main(["info", "c2d18_half"]) == 0
    assert "backbone             resnet18d, width 0.5, plan c2d (" in capsys.readouterr().out


def test_info_is_silent_about_what_is_not_there(capsys):
    assert main(["info", "test_mc3"]) == 0
    shown = capsys.readouterr().out
    assert "non-local blocks     none" in shown
    assert "weights by name      none" in shown


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_c2d_max", "test_r3d_separable", "test_c2d_attention"])
def test_multiply_adds_are_those_of_every_layer(name):
    model = nlreid.create_model(name).eval()
    counts = []

    def count(module, inputs, output):
        if isinstance(module, nn.Conv3d | nn.Conv2d | nn.Linear):
            counts.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, NonLocalBlock):
            positions = inputs[0][0, 0].numel()
            counts.append(2 * positions**2 * module.theta.out_channels)  # theta with phi, then their rows with g

    for module in model.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 4, 64, 32))
    assert multiply_adds(nlreid.create_model(name).eval()) == sum(counts)


def test_wrong_names_get_the_nearest_right_one(refused):
    assert "unknown model 'r3d5O_nl'; did you mean 'r3d50_nl'?" in refused("info", "r3d5O_nl")
    assert "did you mean 'imagenet'?" in refused("info", "r3d50_nl.imagenett")
