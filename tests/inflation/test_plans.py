"""Which convolutions see several frames under a plan, and how many."""

import pytest
import timm
import torch

from nlreid.inflation import resolve_plan
from nlreid.inflation.inflate import build_3d


def kernels(name, plan):
    """The kernel of each convolution of a network that sees more than one frame."""
    with torch.device("meta"):
        model = timm.create_model(name)
    parameters = build_3d(model, resolve_plan(plan)).named_parameters()
    found = {key.removesuffix(".weight"): tuple(tensor.shape[2:]) for key, tensor in parameters if tensor.ndim == 5}
    return {key: kernel for key, kernel in found.items() if kernel[0] > 1}


def blocks(convs, kernel, *counts):
    """That kernel for some convolutions of so many blocks in each of four layers."""
    every = [f"layer{layer}.{block}" for layer, count in enumerate(counts, 1) for block in range(count)]
    return {f"{block}.{conv}": kernel for block in every for conv in convs}


# All blocks of layer 1, every other one from the first of layers 2 and 3, and from the second of layer 4.
ALTERNATE = ["layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.1.conv1"]


@pytest.mark.parametrize(
    ("name", "plan", "expected"),
    [
        ("resnet26", "c2d", {}),
        ("resnet26", "i3d", {"conv1": (5, 7, 7), **dict.fromkeys(ALTERNATE, (3, 1, 1))}),
        ("resnet18", "i3d", {"conv1": (5, 7, 7), **dict.fromkeys(ALTERNATE, (3, 3, 3))}),
        ("resnet26", "slow", blocks(["conv1"], (3, 1, 1), 0, 0, 2, 2)),
        ("resnet26", "full", {"conv1": (3, 7, 7), **blocks(["conv2"], (3, 3, 3), 2, 2, 2, 2)}),
        ("resnet18", "full", {"conv1": (3, 7, 7), **blocks(["conv1", "conv2"], (3, 3, 3), 2, 2, 2, 2)}),
        ("resnet18", "r3d", {"conv1": (3, 7, 7), **blocks(["conv1", "conv2"], (3, 3, 3), 2, 2, 2, 2)}),
        ("resnet18", "mc3", {"conv1": (3, 7, 7), **blocks(["conv1", "conv2"], (3, 3, 3), 2)}),
        ("skresnet18", "slow", blocks(["conv1.paths.0.conv", "conv1.paths.1.conv"], (3, 3, 3), 0, 0, 2, 2)),
    ],
)
def test_which_convolutions_see_several_frames(name, plan, expected):
    assert kernels(name, plan) == expected


@pytest.mark.parametrize("plan", ["separable", "r2plus1d"])
def test_pairs_have_their_frames_in_the_temporal_half(plan):
    whole = {"conv1": 0, **blocks(["conv1", "conv2"], 0, 2, 2, 2, 2)}
    assert kernels("resnet18", plan) == {f"{conv}.temporal": (3, 1, 1) for conv in whole}


def test_a_cycle_of_kernels_goes_on_over_the_blocks_of_a_long_stage():
    found = kernels("resnet50", "i3d")
    assert [block for block in range(6) if f"layer3.{block}.conv1" in found] == [0, 2, 4]
    assert [block for block in range(3) if f"layer4.{block}.conv1" in found] == [1]


@pytest.mark.parametrize(
    ("name", "count"), [("resnetv2_50", 16), ("regnety_002", 13), ("legacy_seresnet50", 16), ("test_byobnet", 4)]
)
def test_other_families_have_a_stem_and_an_opening_in_every_block(name, count):
    found = kernels(name, {"name": "i3d", "stem": 7, "first": [[3], [3], [3], [3]]})
    assert [kernel[0] for kernel in found.values()] == [7] + [3] * count
