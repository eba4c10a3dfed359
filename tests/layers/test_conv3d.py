"""`Conv3d` is `torch.nn.Conv3d`, whichever way it takes: results, gradients, tensors, arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nlreid.layers import Conv3d
from nlreid.layers.conv3d import conv3d
from nlreid.layers.fewest_axes import WIDE

CHANNELS_LAST = torch.channels_last_3d

# What the networks have: (kernel, stride, padding), and the way that it takes.
KERNELS = {
    "1x1x1": ((1, 1, 1), (1, 1, 1), (0, 0, 0)),
    "1x1x1, strided": ((1, 1, 1), (1, 2, 2), (0, 0, 0)),
    "1x1x1, strided in time": ((1, 1, 1), (2, 1, 1), (0, 0, 0)),
    "1x3x3": ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "3x1x1": ((3, 1, 1), (1, 1, 1), (1, 0, 0)),
    "3x1x1, strided": ((3, 1, 1), (2, 1, 1), (1, 0, 0)),
    "3x3x3": ((3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "stem": ((5, 7, 7), (1, 2, 2), (2, 3, 3)),
}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def triples(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * 3)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-7), (torch.bfloat16, 0.02)], ids=["float64", "bfloat16"])
@settings(deadline=None)
@given(
    kernel=triples(1, 3),
    stride=triples(1, 2),
    padding=triples(0, 1),
    dilation=triples(1, 2),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    last=st.booleans(),
    size=st.tuples(st.integers(1, 3), st.integers(5, 6), st.integers(5, 7), st.integers(5, 6)),
)
def test_any_geometry_is_that_of_torch(dtype, allowed, kernel, stride, padding, dilation, groups, bias, last, size):
    x = draw(size[0], 4, *size[1:]).to(dtype)
    x = x.contiguous(memory_format=CHANNELS_LAST) if last else x
    weight, shift = draw(6, 4 // groups, *kernel, seed=1).to(dtype), draw(6, seed=2).to(dtype) if bias else None
    ours = conv3d(x, weight, shift, stride, padding, dilation, groups)
    exact = (part if part is None else part.double() for part in (x, weight, shift))
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), F.conv3d(*exact, stride, padding, dilation, groups), atol=allowed, rtol=allowed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_result_lies_as_the_next_layer_wants_it(kernel, dtype):
    x = draw(2, 3, 6, 8, 6, dtype=dtype)
    out = Conv3d(3, 8, *KERNELS[kernel], dtype=dtype)(x)
    assert out.is_contiguous(memory_format=CHANNELS_LAST)


@pytest.mark.parametrize("channels", [3, 64, WIDE], ids="{} channels".format)
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_those_of_torch(kernel, channels):
    answers = []
    for kind in (Conv3d, nn.Conv3d):
        conv = kind(channels, 8, *KERNELS[kernel], dtype=torch.float64)
        conv.load_state_dict({"weight": draw(*conv.weight.shape, seed=1), "bias": draw(8, seed=2)})
        x = draw(2, channels, 4, 8, 6).requires_grad_()
        out = conv(x)
        answers.append((out, *torch.autograd.grad((out * draw(*out.shape, seed=3)).sum(), (x, conv.weight, conv.bias))))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("autocast", [False, True], ids=["weights of 16 bits", "autocast"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_half_precision_is_within_its_rounding(kernel, autocast):
    conv = Conv3d(3, 64, *KERNELS[kernel])
    x = draw(2, 3, 6, 16, 8, dtype=torch.float32)
    with torch.no_grad():
        exact = F.conv3d(x, conv.weight, conv.bias, *KERNELS[kernel][1:])
        if autocast:
            with torch.autocast("cpu", torch.bfloat16):
                rounded = conv(x)
        else:
            rounded = conv.bfloat16()(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 3])
def test_a_single_column_is_written_in_half_precision_too(frames, width):
    x, weight = draw(2, 256, 2, 4, width, dtype=torch.float32), draw(512, 256, frames, 3, 3, seed=1, dtype=torch.float32) / 48
    exact = F.conv3d(x, weight, stride=(1, 2, 2), padding=(frames // 2, 1, 1))
    rounded = conv3d(x.bfloat16(), weight.bfloat16(), stride=(1, 2, 2), padding=(frames // 2, 1, 1))
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_way_copies_what_lies_right(kernel, monkeypatch):
    seen = []
    for name in ("conv2d", "conv3d", "linear"):
        whole = getattr(F, name)
        monkeypatch.setattr(F, name, lambda x, *rest, whole=whole: seen.append(x.data_ptr()) or whole(x, *rest))
    x = draw(2, WIDE, 4, 8, 6).contiguous(memory_format=CHANNELS_LAST)
    Conv3d(WIDE, 8, *KERNELS[kernel], dtype=torch.float64)(x)
    assert seen == [x.data_ptr()]


@pytest.mark.parametrize("kernel", KERNELS)
def test_captured_in_one_graph(kernel):
    conv = Conv3d(3, 8, *KERNELS[kernel])
    x = draw(1, 3, 4, 8, 6, dtype=torch.float32)
    torch.testing.assert_close(torch.compile(conv, backend="eager", fullgraph=True)(x), conv(x))


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "replicate"}], ids=str)
def test_other_ways_to_pad_are_torch_s(options):
    conv, theirs = Conv3d(2, 3, 3, **options), nn.Conv3d(2, 3, 3, **options)
    theirs.load_state_dict(conv.state_dict())
    x = draw(1, 2, 4, 5, 6, dtype=torch.float32)
    torch.testing.assert_close(conv(x), theirs(x))


def test_errors_are_torch_s():
    with pytest.raises(RuntimeError, match="expected input"):
        Conv3d(2, 3, (1, 3, 3))(draw(1, 4, 4, 5, 6, dtype=torch.float32))


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("clips", [1, 2])
def test_channels_come_last_for_a_batch_of_one_too(kernel, clips):
    """A size of one may have any stride, by which torch guesses the layout of what it computes next."""
    x = torch.rand(clips, 48, 4, 8, 4).contiguous(memory_format=torch.channels_last_3d)
    conv = Conv3d(48, 32, kernel, padding=tuple(side // 2 for side in kernel))
    with torch.no_grad():
        assert conv(x).stride() == torch.empty(clips, 32, 4, 8, 4).contiguous(memory_format=torch.channels_last_3d).stride()
