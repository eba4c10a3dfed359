"""What the convolutions of an optimised network compute besides convolving: the same sums and ReLUs, seen by nobody."""

import copy
import inspect
import threading

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import nlreid
from nlreid.layers import Conv3d
from nlreid.optimize.fused_conv import FusedConv3d

LAST = torch.channels_last_3d
HALF = pytest.param(torch.bfloat16, 2e-2, id="bfloat16")
TYPES = [pytest.param(torch.float32, 1e-5, id="float32"), HALF, pytest.param(torch.float64, 1e-12, id="float64")]
triples = st.tuples(*[st.integers(1, 3)] * 3)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def trained(model):
    """So that each block does something: a fresh non-local block is the identity."""
    for module in model.modules():
        if isinstance(module, nlreid.NonLocalBlock):
            nn.init.constant_(module.norm.weight, 0.5)
    return model.eval()


def model_and_clip(name="test_r3d_nl", batch=2):
    torch.manual_seed(0)
    model = trained(nlreid.create_model(name))
    return model, draw(batch, 3, max(4, model.backbone.min_frames), 64, 32, seed=1)


@pytest.mark.parametrize(("dtype", "allowed"), TYPES)
@settings(max_examples=60, deadline=None)
@given(
    kernel=triples,
    stride=triples,
    padding=st.tuples(*[st.integers(0, 1)] * 3),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    relu=st.booleans(),
    adds=st.booleans(),
    overwrite=st.booleans(),
    size=st.tuples(st.integers(1, 3), st.integers(3, 4), st.integers(3, 5), st.integers(3, 4)),
)
def test_any_geometry_is_a_convolution_a_sum_and_a_relu(
    dtype, allowed, kernel, stride, padding, groups, bias, relu, adds, overwrite, size
):
    conv = Conv3d(4, 6, kernel, stride, padding, groups=groups, bias=bias).requires_grad_(False)
    for seed, parameter in enumerate(conv.parameters()):
        parameter.copy_(draw(*parameter.shape, seed=seed))
    conv.to(dtype)
    x = draw(size[0], 4, *size[1:]).to(dtype)
    exact = F.conv3d(x.double(), conv.weight.double(), conv.bias.double() if bias else None, stride, padding, 1, groups)
    onto = draw(*exact.shape, seed=7).to(dtype).contiguous(memory_format=LAST) if adds else None
    exact = exact + onto.double() if adds else exact
    before = onto.clone() if adds else None
    fused = FusedConv3d(conv, relu=relu)
    with torch.inference_mode():
        found = fused(x, onto=onto, overwrite=overwrite)
    torch.testing.assert_close(found.double(), exact.relu() if relu else exact, atol=allowed * 10, rtol=allowed)
    if adds and not overwrite:
        assert torch.equal(onto, before)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=LAST) or dtype != torch.float32


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 3), (2, 1, 1), (1, 3, 1)], ids=str)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("channels", [1, 8, 128])
def test_sizes_of_one_are_no_exception(size, batch, channels):
    """Their strides do not say how they lie in memory."""
    conv = Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0)).requires_grad_(False)
    x, onto = draw(batch, channels, *size), draw(batch, channels, *size, seed=1).contiguous(memory_format=LAST)
    wanted = (F.conv3d(x, conv.weight, conv.bias, padding=(1, 0, 0)) + onto).relu()
    with torch.inference_mode():
        torch.testing.assert_close(FusedConv3d(conv, relu=True)(x, onto=onto, overwrite=True), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet18d", "resnext50_32x4d", "wide_resnet50_2"])
def test_no_relu_of_its_own_is_left_in_a_plain_network(name):
    backbone = nlreid.inflate(timm.create_model(name), plan="i3d").eval()
    fast = nlreid.optimize_for_inference(backbone)
    assert not any(isinstance(module, nn.ReLU) for module in fast.modules())


def test_hooks_see_what_they_see_in_the_model():
    """Nothing that they were given is written over afterwards."""
    model, clip = model_and_clip()
    fast = nlreid.optimize_for_inference(model)
    names = [name for name, _ in fast.backbone.named_modules() if name.count(".") == 1 and name.startswith("layer")]
    seen = {}
    for network in (model, fast):
        for name in names:
            module = network.backbone.get_submodule(name)
            module.register_forward_hook(lambda _m, x, y, at=(network is fast, name): seen.update({at: (x[0], y)}))
        with torch.inference_mode():
            network(clip)
    assert names
    for name in names:
        for found, wanted in zip(seen[True, name], seen[False, name], strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5, msg=name)


def test_a_stage_that_is_called_by_itself_leaves_what_it_is_given():
    model, _ = model_and_clip()
    fast = nlreid.optimize_for_inference(model)
    channels = model.backbone.layer1[0].conv1.in_channels
    x = draw(1, channels, 4, 8, 4).contiguous(memory_format=LAST)
    before = x.clone()
    with torch.inference_mode():
        for stage in (fast.backbone.layer1, model.backbone.layer1):
            stage(x)
            assert torch.equal(x, before)


def test_a_clip_stays_as_it_was():
    model, clip = model_and_clip()
    before = clip.clone()
    with torch.inference_mode():
        nlreid.optimize_for_inference(model)(clip)
    assert torch.equal(clip, before)


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_r3d_separable_nl"])
def test_a_clip_can_ask_for_its_gradient(name):
    model, clip = model_and_clip(name)
    gradients = []
    for network in (nlreid.optimize_for_inference(model), model):
        asking = clip.clone().requires_grad_()
        network(asking).embedding.square().sum().backward()
        gradients.append(asking.grad)
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-4 * gradients[1].abs().max()


def test_the_same_without_onednn_and_under_autocast():
    model, clip = model_and_clip()
    fast = nlreid.optimize_for_inference(model)
    with torch.inference_mode():
        wanted = fast(clip).embedding
        flags = torch.backends.mkldnn.flags
        left = {"allow_tf32": None} if "allow_tf32" in inspect.signature(flags).parameters else {}
        with flags(enabled=False, **left):
            torch.testing.assert_close(fast(clip).embedding, wanted, atol=1e-5, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            found, plain = fast(clip).embedding.float(), model(clip).embedding.float()
    assert (found - wanted).norm() <= 2 * (plain - wanted).norm()


def test_copies_types_and_new_weights_are_computed_with():
    model, clip = model_and_clip()
    fast = nlreid.optimize_for_inference(model)
    with torch.no_grad():
        wanted = fast(clip).embedding
        assert torch.equal(copy.deepcopy(fast)(clip).embedding, wanted)
        torch.testing.assert_close(copy.deepcopy(fast).double()(clip.double()).embedding.float(), wanted, atol=1e-5, rtol=1e-5)
        first = next(module for module in fast.modules() if isinstance(module, FusedConv3d))
        first.weight.mul_(2)
        assert not torch.allclose(fast(clip).embedding, wanted)
        first.weight.div_(2)
        assert torch.equal(fast(clip).embedding, wanted)


def test_threads_share_a_network():
    model, clip = model_and_clip()
    fast = nlreid.optimize_for_inference(model)
    with torch.inference_mode():
        wanted = copy.deepcopy(fast)(clip).embedding
    found = []

    @torch.inference_mode()
    def answer():
        found.extend(fast(clip).embedding for _ in range(3))

    threads = [threading.Thread(target=answer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 9
    assert all(torch.equal(embedding, wanted) for embedding in found)
