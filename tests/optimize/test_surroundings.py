"""An optimised network answers as the model does whatever stands in it, looks into it, or is done to it."""

import copy
import gc
from collections import OrderedDict

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

import nlreid
from nlreid.inflation.backbone import Backbone3d
from nlreid.layers import Conv3d
from nlreid.optimize.fused_conv import FusedConv3d

LAST = torch.channels_last_3d


def backbone_of(name="resnet18", plan="c2d"):
    torch.manual_seed(0)
    network = timm.create_model(name, zero_init_last=False)  # else fresh blocks are their shortcuts
    return nlreid.inflate(network, plan=plan).eval()


def clip_of(batch=2, seed=1):
    return torch.randn(batch, 3, 4, 64, 32, generator=torch.Generator().manual_seed(seed))


def assert_same(fast, network, clip=None):
    clip = clip_of() if clip is None else clip
    with torch.no_grad():
        found, wanted = fast(clip), network(clip)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


class Keep(nn.Module):
    """Remembers what passed, or gives what it was made with."""

    def __init__(self, given=None):
        super().__init__()
        self.kept = None
        self.register_buffer("given", given)

    def forward(self, x):
        self.kept = x
        return x if self.given is None else self.given


class Doubling(Backbone3d):
    """A backbone with a pass of its own."""

    def forward(self, clip):
        return 2 * super().forward(clip)


def identity_first(backbone):
    backbone.layer1[1].conv1 = backbone.layer1[1].bn1 = nn.Identity()


def relu_for_a_norm(backbone):
    backbone.layer1[1].bn2 = nn.ReLU()


def non_local_with_a_relu(backbone):
    block = nlreid.NonLocalBlock(64)
    block.norm = nn.ReLU()
    backbone.layer1.insert(1, block.eval())


def non_local_first(backbone):
    block = nlreid.NonLocalBlock(3, 2).eval()
    nn.init.constant_(block.norm.weight, 0.5)
    rest = OrderedDict(backbone.named_children())
    for name in rest:
        delattr(backbone, name)
    for name, module in {"first": block, **rest}.items():
        backbone.add_module(name, module)


def a_shared_block(backbone):
    backbone.layer1[1] = backbone.layer1[0]


def tied_weights(backbone):
    backbone.layer1[1].conv2.weight = backbone.layer1[1].conv1.weight


def a_class_of_its_own(backbone):
    backbone.__class__ = Doubling


def one_size_for_all(backbone):
    pooled = nn.Sequential(*backbone.layer2[0].downsample, nn.AdaptiveAvgPool3d(1))
    backbone.layer2[0].downsample = pooled


CHANGES = (
    identity_first,
    relu_for_a_norm,
    non_local_with_a_relu,
    non_local_first,
    a_shared_block,
    tied_weights,
    a_class_of_its_own,
    one_size_for_all,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_was_changed_before(change):
    backbone = backbone_of()
    change(backbone)
    clip = clip_of().contiguous(memory_format=LAST)
    before = clip.clone()
    assert_same(nlreid.optimize_for_inference(backbone), backbone, clip)
    assert torch.equal(clip, before)


def test_what_a_module_in_between_keeps_or_gives_again():
    backbone = backbone_of()
    backbone.layer1.insert(1, Keep())
    given = torch.rand(2, 64, 4, 16, 8)
    backbone.layer1.insert(3, Keep(given.contiguous(memory_format=LAST)))
    backbone.layer1.append(copy.deepcopy(backbone.layer1[0]))
    fast = nlreid.optimize_for_inference(backbone)
    for seed in range(2):
        assert_same(fast, backbone, clip_of(seed=seed))
        assert (fast.layer1[1].kept - backbone.layer1[1].kept).abs().max() <= 1e-5


def test_a_hook_between_a_convolution_and_its_relu():
    backbone = backbone_of()
    backbone.layer1[0].drop_block.register_forward_hook(lambda _module, _x, y: y - 0.5)
    assert_same(nlreid.optimize_for_inference(backbone), backbone)


def test_hooks_come_and_go():
    backbone = backbone_of("resnet26")
    fast = nlreid.optimize_for_inference(backbone)
    seen = {}
    for network in (fast, backbone):
        block = network.layer1[0]
        block._forward_hooks = OrderedDict()  # as some clear them
        block.register_forward_hook(lambda _m, _x, y, fresh=network is fast: seen.update({fresh: y}))
    assert_same(fast, backbone)
    assert (seen[True] - seen[False]).abs().max() <= 1e-5 * seen[False].abs().max()
    fast.layer1[1].conv3.register_forward_pre_hook(lambda _m, x: (x[0] * 0.5,))
    backbone.layer1[1].conv3.register_forward_pre_hook(lambda _m, x: (x[0] * 0.5,))
    with torch.no_grad():  # the bias of a folded norm is not halved, and the sum stays
        assert (fast(clip_of()) - backbone(clip_of())).abs().max() < 0.5 * backbone(clip_of()).abs().max()


class Around(nn.Module):
    """Needs again what its stage was given."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, x):
        return x + self.stage(x)


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_container_that_needs_its_input_again(afterwards):
    backbone = backbone_of()
    fast = nlreid.optimize_for_inference(backbone)
    backbone.layer1[1] = Around(backbone.layer1[1])
    if afterwards:
        fast.layer1[1] = Around(fast.layer1[1])
    else:
        fast = nlreid.optimize_for_inference(backbone)
    assert_same(fast, backbone)


@pytest.mark.parametrize("where", ["clip", "weight"])
def test_what_is_no_number_stays_none(where):
    backbone, clip = backbone_of(), clip_of()
    (clip if where == "clip" else backbone.layer1[0].conv1.weight.data)[0, 0, 0, 0, 0] = float("nan")
    with torch.no_grad():
        found, wanted = nlreid.optimize_for_inference(backbone)(clip), backbone(clip)
    assert wanted.isnan().any()
    assert torch.equal(found.isnan(), wanted.isnan())


@pytest.mark.parametrize("swap", ["parameter", "data"])
def test_a_kernel_in_the_place_of_another(swap):
    """What is freed is soon given out again, at the same place in memory."""
    conv = FusedConv3d(Conv3d(8, 8, 1, bias=False).requires_grad_(False), relu=False)
    x = torch.ones(1, 8, 1, 4, 4)
    for value in range(8):
        new = torch.full(conv.weight.shape, float(value))
        if swap == "data":
            conv.weight.data = new
        else:
            conv.weight = nn.Parameter(new, requires_grad=False)
        del new
        gc.collect()
        with torch.no_grad():
            assert torch.equal(conv(x), torch.full((1, 8, 1, 4, 4), 8.0 * value))


def test_weights_loaded_where_nothing_is_counted():
    backbone = backbone_of()
    with torch.inference_mode():
        fast = nlreid.optimize_for_inference(backbone)
        fast(clip_of())
        fast.load_state_dict({name: value * 1.1 for name, value in fast.state_dict().items()})
        found, wanted = fast(clip_of()), copy.deepcopy(fast)(clip_of())
    assert torch.equal(found, wanted)


def test_a_parametrised_copy():
    fast = nlreid.optimize_for_inference(backbone_of())
    with torch.no_grad():
        fast(clip_of())
        parametrize.register_parametrization(fast.layer1[0].conv1, "weight", nn.Identity())
        fast(clip_of())
        assert_same(copy.deepcopy(fast), fast)


def test_one_channel_in_columns_of_one():
    conv = Conv3d(1, 16, (1, 3, 3), (1, 1, 2), (0, 1, 1)).requires_grad_(False)
    x = torch.randn(2, 1, 1, 6, 2, generator=torch.Generator().manual_seed(0))
    exact = nn.functional.conv3d(x.double(), conv.weight.double(), conv.bias.double(), conv.stride, conv.padding)
    torch.testing.assert_close(FusedConv3d(conv, relu=False)(x).double(), exact, atol=1e-5, rtol=1e-5)


def test_operations_are_counted():
    backbone = backbone_of()
    counts = []
    for network in (backbone, nlreid.optimize_for_inference(backbone)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(clip_of())
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_a_bias_alone_can_learn():
    fast = nlreid.optimize_for_inference(backbone_of())
    conv = fast.layer1[0].conv1
    conv.bias.requires_grad_()
    fast(clip_of()).sum().backward()
    assert conv.bias.grad is not None
    assert conv.bias.grad.any()
