"""The convolution in Triton against torch's in float64, on the CPU by Triton's interpreter."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nlreid.optimize import gpu

if not gpu.triton_takes_them():
    pytest.skip("no triton, or too old a one; torch brings it on Linux", allow_module_level=True)

from nlreid.optimize import triton_conv, triton_stem

ONE = (1, 1, 1)
NONE = (0, 0, 0)
ROUNDING = 2**-11  # of float16. The interpreter multiplies the bits of bfloat16 as whole numbers, so it has no part here
GEOMETRIES = {  # channels, outputs, size, kernel, stride, padding, dilation
    "1x1x1": (16, 32, (2, 5, 4), ONE, ONE, NONE, ONE),
    "1x1x1, several blocks of each axis": (80, 72, (3, 7, 5), ONE, ONE, NONE, ONE),
    "1x1x1, odd channels": (5, 7, (2, 3, 3), ONE, ONE, NONE, ONE),
    "1x1x1, stride 2": (32, 64, (2, 9, 6), ONE, (1, 2, 2), NONE, ONE),
    "1x1x1, padded": (16, 16, (2, 3, 3), ONE, ONE, (1, 0, 2), ONE),
    "3x1x1": (64, 64, (4, 4, 4), (3, 1, 1), ONE, (1, 0, 0), ONE),
    "3x1x1, channels that fill no block": (72, 24, (3, 4, 3), (3, 1, 1), ONE, (1, 0, 0), ONE),
    "1x3x3": (64, 16, (2, 6, 5), (1, 3, 3), ONE, (0, 1, 1), ONE),
    "1x3x3, stride 2": (24, 40, (2, 9, 6), (1, 3, 3), (1, 2, 2), (0, 1, 1), ONE),
    "1x3x3, no padding": (16, 16, (1, 6, 5), (1, 3, 3), ONE, NONE, ONE),
    "3x3x3, dilated": (8, 16, (5, 7, 6), (3, 3, 3), ONE, (2, 2, 1), (2, 2, 1)),
    "2x3x2, all different": (7, 9, (5, 9, 8), (2, 3, 2), (2, 1, 3), (1, 0, 1), (1, 2, 3)),
    "5x7x7 of three channels": (3, 16, (4, 11, 8), (5, 7, 7), (1, 2, 2), (2, 3, 3), ONE),
    "5x7x7 of four channels": (4, 64, (2, 9, 8), (5, 7, 7), (1, 2, 2), (2, 3, 3), ONE),
    "one position": (16, 16, ONE, (3, 3, 3), ONE, ONE, ONE),
}


@pytest.fixture(scope="module")
def convolve():
    """`triton_conv.convolve` in a process of its own: what is interpreted is decided when triton is first imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            yield lambda *args, room=triton_conv, **options: pool.submit(room.convolve, *args, **options).result()


def draw(*shape, seed=0):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half()
    return values.contiguous(memory_format=torch.channels_last_3d) if len(shape) == 5 else values


def case(channels, outputs, size, kernel, *, batch=2):
    return draw(batch, channels, *size), draw(outputs, channels, *kernel, seed=1), draw(outputs, seed=2)


def assert_rounded_once(ours, x, weight, bias, geometry, *, onto=None, relu=False):
    wide = [part.double() if part is not None else None for part in (x, weight, bias)]
    wanted = F.conv3d(*wide, *geometry)
    summands = F.conv3d(wide[0].abs(), wide[1].abs(), None, *geometry)
    if onto is not None:
        wanted = wanted + onto.double()
    if relu:
        wanted = wanted.relu()
    assert ours.shape == wanted.shape
    assert ours.dtype == x.dtype
    assert ours.is_contiguous(memory_format=torch.channels_last_3d)
    assert ((ours.double() - wanted).abs() <= ROUNDING * wanted.abs() + 1e-6 * (1 + summands)).all()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_as_torch_rounded_once(convolve, name):
    *sizes, stride, padding, dilation = GEOMETRIES[name]
    x, weight, bias = case(*sizes)
    y = convolve(x, weight, bias, stride, padding, dilation)
    assert_rounded_once(y, x, weight, bias, (stride, padding, dilation))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_bias_sum_and_relu(convolve, biased, adds, relu):
    x, weight, bias = case(16, 24, (3, 4, 5), (3, 1, 1))
    geometry = ONE, (1, 0, 0), ONE
    onto = draw(2, 24, 3, 4, 5, seed=3) if adds else None
    before = onto.clone() if adds else None
    y = convolve(x, weight, bias if biased else None, *geometry, onto=onto, relu=relu)
    assert_rounded_once(y, x, weight, bias if biased else None, geometry, onto=before, relu=relu)
    assert not adds or torch.equal(onto, before)


@pytest.mark.parametrize("tiles", [(16, 16, 16, 4, 2), (32, 128, 32, 4, 2), (64, 256, 64, 8, 3), (128, 64, 128, 4, 3)], ids=str)
@pytest.mark.parametrize("name", ["1x1x1, several blocks of each axis", "1x3x3, stride 2"])
def test_whatever_is_computed_at_a_time(convolve, name, tiles):
    *sizes, stride, padding, dilation = GEOMETRIES[name]
    x, weight, bias = case(*sizes)
    onto = F.conv3d(x.float(), weight.float(), None, stride, padding, dilation).half()
    onto = onto.contiguous(memory_format=torch.channels_last_3d)
    before = onto.clone()
    y = convolve(x, weight, bias, stride, padding, dilation, onto=onto, relu=True, tiles=tiles)
    assert_rounded_once(y, x, weight, bias, (stride, padding, dilation), onto=before, relu=True)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_geometry(convolve, data):
    def triple(least, most):
        return tuple(data.draw(st.tuples(*[st.integers(least, most)] * 3)))

    kernel, stride, padding, dilation = triple(1, 3), triple(1, 3), triple(0, 2), triple(1, 2)
    least = [max(1, far * (taps - 1) + 1 - 2 * pad) for taps, pad, far in zip(kernel, padding, dilation, strict=True)]
    size = tuple(low + data.draw(st.integers(0, 2)) for low in least)
    channels, outputs = data.draw(st.sampled_from([1, 3, 8, 16, 40])), data.draw(st.integers(1, 20))
    x, weight, bias = case(channels, outputs, size, kernel, batch=data.draw(st.integers(1, 2)))
    relu = data.draw(st.booleans())
    y = convolve(x, weight, bias, stride, padding, dilation, relu=relu)
    assert_rounded_once(y, x, weight, bias, (stride, padding, dilation), relu=relu)


def test_however_its_operands_lie(convolve):
    x, weight, bias = case(16, 24, (2, 4, 3), (1, 3, 3))
    onto = draw(2, 24, 2, 4, 3, seed=3)
    y = convolve(x.contiguous(), weight.contiguous(), bias, ONE, (0, 1, 1), ONE, onto=onto.contiguous())
    assert_rounded_once(y, x, weight, bias, (ONE, (0, 1, 1), ONE), onto=onto)


def test_relu_keeps_what_is_not_a_number(convolve):
    x, weight, bias = case(16, 16, (1, 2, 2), ONE)
    bias[3] = float("nan")
    y = convolve(x, weight, bias, ONE, NONE, ONE, relu=True)
    assert y[:, 3].isnan().all()
    assert not y[:, :3].isnan().any()


STEMS = {  # channels, outputs, size, kernel, stride, padding, dilation
    "5x7x7, stride 2": (3, 64, (4, 11, 8), (5, 7, 7), (1, 2, 2), (2, 3, 3), ONE),
    "5x3x3": (3, 16, (3, 6, 6), (5, 3, 3), ONE, (2, 1, 1), ONE),
    "3x7x7, as many columns as stay odd": (3, 16, (3, 9, 10), (3, 7, 7), (1, 2, 2), (1, 3, 3), ONE),
    "3x3x3, stride 3": (3, 8, (4, 8, 11), (3, 3, 3), (1, 3, 3), ONE, ONE),
    "dilated in time": (2, 16, (6, 6, 8), (3, 3, 3), (1, 2, 2), (2, 1, 1), (2, 1, 1)),
    "dilated in width": (2, 16, (3, 6, 8), (3, 3, 3), ONE, (1, 1, 2), (1, 1, 2)),
    "more outputs than two columns have room for": (3, 72, (3, 6, 8), (3, 3, 3), (1, 2, 2), ONE, ONE),
    "no padding in time": (3, 16, (4, 5, 6), (3, 3, 3), ONE, (0, 1, 1), ONE),
}


@pytest.mark.parametrize("last", [False, True], ids=["as clips come", "channels last"])
@pytest.mark.parametrize("name", STEMS)
def test_the_stem(convolve, name, last):
    *sizes, stride, padding, dilation = STEMS[name]
    x, weight, bias = case(*sizes)
    y = convolve(x if last else x.contiguous(), weight, bias, stride, padding, dilation, relu=True, room=triton_stem)
    assert_rounded_once(y, x, weight, bias, (stride, padding, dilation), relu=True)
