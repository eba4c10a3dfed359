"""The four affinities against the written-out matrix of all pairs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from nlreid.layers.pairwise import PAIRWISE

FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
FORMS = ["gaussian", "dot_product", "concatenation"]  # the embedded Gaussian shares the Gaussian's functions


def matrix(form, q, k, scale=1.0, weight=None):
    """Every pair compared, as the paper writes it: `(b, n, m)`."""
    m = k.shape[1]
    if form == "gaussian":
        f = torch.exp(scale * q @ k.transpose(1, 2) - (scale * q @ k.transpose(1, 2)).amax(-1, keepdim=True))
        return f / f.sum(-1, keepdim=True)
    if form == "dot_product":
        return q @ k.transpose(1, 2) / m
    pairs = torch.cat([q[:, :, None].expand(-1, -1, m, -1), k[:, None].expand(-1, q.shape[1], -1, -1)], dim=-1)
    return torch.relu(pairs @ weight) / m


@st.composite
def problems(draw):
    """(form, q, k, v, options), in float32 or float64, with ties or without, requiring gradients."""
    form = draw(st.sampled_from(FORMS))
    b, n, m = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    c, d = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    ties = draw(st.booleans())  # halves: sums are exact, so many pairs lie exactly on the bend of the ReLU

    def tensor(*shape):
        values = torch.randn(shape, generator=generator, dtype=dtype)
        return ((values * 2).round() / 2 if ties else values).requires_grad_()

    options = {"gaussian": draw(st.sampled_from([{}, {"scale": 0.3}])), "concatenation": {"weight": tensor(2 * c)}}
    return form, tensor(b, n, c), tensor(b, m, c), tensor(b, m, d), options.get(form, {})


@given(problems())
def test_without_the_matrix_as_with_it(problem):
    form, q, k, v, options = problem
    exact = q.dtype == torch.float64
    inputs = [q, k, v, *(value for value in options.values() if isinstance(value, torch.Tensor))]
    fast, slow = PAIRWISE[form].apply(q, k, v, **options), matrix(form, q, k, **options) @ v
    assert fast.dtype == q.dtype
    torch.testing.assert_close(fast, slow, atol=1e-12 if exact else 1e-5, rtol=1e-12 if exact else 1e-5)
    direction = torch.randn(slow.shape, generator=torch.Generator().manual_seed(0), dtype=q.dtype)
    for ours, theirs in zip(
        torch.autograd.grad(fast, inputs, direction), torch.autograd.grad(slow, inputs, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-10 if exact else 1e-4, rtol=1e-10 if exact else 1e-4)


@given(problems())
def test_rows_are_rows_of_the_matrix(problem):
    form, q, k, _, options = problem
    torch.testing.assert_close(PAIRWISE[form].rows(q, k, **options), matrix(form, q, k, **options), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("c", "d"), [(8, 8), (16, 8), (8, 16), (5, 3), (3, 5), (1, 1)])
def test_softmax_keeps_to_the_fused_kernels(c, d):
    generator = torch.Generator().manual_seed(0)
    # laid out as a 1x1x1 convolution leaves them: channels before positions
    q, k, v = (torch.randn(2, width, 12, generator=generator, requires_grad=True).mT for width in (c, c, d))
    with sdpa_kernel(FUSED):
        PAIRWISE["gaussian"].apply(q, k, v).sum().backward()


@pytest.mark.parametrize("v", [torch.ones(2, 1, 12, 8), torch.ones(2, 1, 16, 12).mT], ids=["uneven", "strided"])
def test_the_fused_kernels_would_refuse_other_layouts(v):
    # without this, the test above could not fail
    q = torch.ones(2, 1, 12, 16)
    with sdpa_kernel(FUSED), pytest.raises(RuntimeError, match="No available kernel"):
        F.scaled_dot_product_attention(q, q, v)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_concatenation_sums_many_half_precision_values_in_full(dtype):
    generator = torch.Generator().manual_seed(0)
    # a_i near 64 and b_j near -64: the two running sums nearly cancel, and would show it if they were rounded
    q, k = ((offset + torch.randn(1, n, 1, generator=generator)).to(dtype) for offset, n in ((64, 5), (-64, 4096)))
    v, weight = (1 + torch.rand(1, 4096, 2, generator=generator)).to(dtype), torch.ones(2)
    y = PAIRWISE["concatenation"].apply(q, k, v, weight=weight)
    wanted = matrix("concatenation", q.double(), k.double(), weight=weight.double()) @ v.double()
    assert y.dtype == dtype
    torch.testing.assert_close(y, wanted.to(dtype), atol=1e-2, rtol=1e-2)


def test_the_dot_product_does_not_overflow_in_float16():
    q, k, v = torch.full((1, 2, 1), 0.125), torch.full((1, 4096, 1), 8.0), torch.full((1, 4096, 1), 8.0)
    y = PAIRWISE["dot_product"].apply(q.half(), k.half(), v.half())  # k^T v is 262,144, float16 ends at 65,504
    torch.testing.assert_close(y, torch.full((1, 2, 1), 8.0).half())
