"""What a model starts from where nothing is loaded: Kaiming normal kernels, timm's other tensors, the same from a seed."""

import math

import pytest
import timm
import torch
from torch import nn

import nlreid
from nlreid.errors import InputError
from nlreid.models import NonLocalSpec, insert_non_local
from nlreid.models.backbone2d import create_2d, create_2d_without_kernels

# gcresnet33ts and regnetz_005 have zero kernels or norms where blocks start as identities, regnetx_002 has groups
BACKBONES = ["resnet18", "seresnet18", "regnetx_002", "regnetz_005", "resnetv2_18", "repvgg_a0", "gcresnet33ts"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_kernels_are_kaiming_normal_and_what_timm_starts_at_zero_is_zero(backbone):
    source = create_2d(backbone).state_dict()
    own = nlreid.create_model("r3d50", backbone=backbone).backbone.state_dict()
    assert own.keys() <= source.keys()
    kernels = {name: tensor for name, tensor in own.items() if tensor.ndim == 5}
    assert len(kernels) > 15
    for name, kernel in kernels.items():
        assert kernel.any() == source[name].any(), name
        if kernel.any():
            wanted = math.sqrt(2 / (kernel.shape[0] * kernel[0, 0].numel()))
            assert kernel.std().item() == pytest.approx(wanted, rel=6 / math.sqrt(2 * kernel.numel())), name
    for name in own.keys() - kernels.keys():
        if not name.endswith("bias"):  # of convolutions, which start at zero here
            drawn = source[name].float().unique().numel() > 1
            assert own[name].shape == source[name].shape
            assert drawn or torch.equal(own[name], source[name]), name


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_c2d_rnn", "r3d18_half_nl"])
def test_the_same_seed_gives_the_same_weights_and_another_others(name):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(nlreid.create_model(name, num_classes=3).state_dict())
    first, same, other = states
    assert all(torch.equal(first[key], same[key]) for key in first)
    kernels = [key for key, tensor in first.items() if tensor.ndim == 5]
    assert not any(torch.equal(first[key], other[key]) for key in kernels)


def test_tensors_of_four_axes_that_are_no_kernels_are_drawn(monkeypatch):
    class Grid(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.grid = nn.Parameter(torch.empty(1, 4, 8, 8))
            nn.init.normal_(self.grid)

    original = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name: Grid() if name == "grid" else original(name))
    assert create_2d_without_kernels("grid").grid.unique().numel() == 256
    marked = create_2d_without_kernels("test_resnet")
    assert all(kernel.flatten()[0] == 1 for kernel in marked.parameters() if kernel.ndim == 4)
    assert marked.fc.weight.unique().numel() > 1000


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_non_local_blocks_are_made_where_the_network_is(device):
    with torch.device(device):
        backbone = nlreid.create_model("test_r3d").backbone
    insert_non_local(backbone, NonLocalSpec(blocks=((0,), (), (0,), (0,))))
    assert {parameter.device.type for parameter in backbone.parameters()} == {device}
    block = backbone.layer1.non_local_0
    assert isinstance(block, nlreid.NonLocalBlock)
    if device == "cpu":
        assert block.theta.weight.std().item() == pytest.approx(math.sqrt(2 / block.channels), rel=0.2)
        assert not block.norm.weight.any()


def test_blocks_that_cannot_all_be_inserted_are_not_inserted_in_part():
    backbone = insert_non_local(nlreid.create_model("test_r3d").backbone, NonLocalSpec(blocks=((), (), (0,))))
    names = list(backbone.state_dict())
    with pytest.raises(InputError, match=r"layer3.non_local_0 stands there already"):
        insert_non_local(backbone, NonLocalSpec(blocks=((0,), (0,), (0,))))
    assert list(backbone.state_dict()) == names
