"""Softmax attention against the matrix of all pairs, written out; above all its gradients, which are computed here."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.layers import attention
from nlreid.layers.attention import attend


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.float64, size: float = 1.0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).mul_(size).requires_grad_()


def answers(form, q, k, v, grad):
    y = form(q, k, v)
    return y, *torch.autograd.grad(y, (q, k, v), grad)


@settings(deadline=None)
@given(b=st.integers(1, 3), n=st.integers(1, 9), m=st.integers(1, 9), entries=st.integers(1, 30), scale=st.floats(0.1, 2))
def test_gradients_of_any_size_in_any_blocks(b, n, m, entries, scale):
    q, k, v, grad = draw(b, n, 8, seed=0), draw(b, m, 8, seed=1), draw(b, m, 8, seed=2), draw(b, n, 8, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "ENTRIES", entries)
        ours = answers(lambda *qkv: attend(*qkv, scale), q, k, v, grad)
    wanted = answers(lambda q, k, v: torch.softmax(scale * q @ k.mT, dim=-1) @ v, q, k, v, grad)
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("size", [0.3, 3.0, 30.0], ids="inputs of size {}".format)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_precisions_are_within_their_rounding_even_where_one_key_takes_all(dtype, size):
    given_ = [draw(2, 40, 16, seed=seed, dtype=dtype, size=size) for seed in range(4)]
    ours = answers(lambda *qkv: attend(*qkv, 0.5), *given_)
    exact = answers(
        lambda q, k, v: torch.softmax(0.5 * q @ k.mT, dim=-1) @ v, *(x.detach().double().requires_grad_() for x in given_)
    )
    allowed = 1e-5 if dtype == torch.float32 else 3e-2
    for one, other in zip(ours, exact, strict=True):
        assert one.dtype == dtype
        assert (one.double() - other).norm() <= allowed * max(other.norm(), size)


def test_sums_over_many_blocks_do_not_stall_in_half_precision(monkeypatch):
    monkeypatch.setattr(attention, "ENTRIES", 1)  # a block a query
    q, k, v, grad = (draw(1, 2048, 8, seed=seed, dtype=torch.bfloat16, size=0.3).detach() for seed in range(4))
    ours = attention.attention_gradients(q, k, v, grad + 1, 0.5)
    exact = attention.attention_gradients(*(x.float() for x in (q, k, v, grad + 1)), 0.5)
    for one, other in zip(ours, exact, strict=True):
        assert (one.float() - other).norm() <= 0.02 * other.norm()


def test_gradients_of_a_scaled_loss_do_not_overflow_in_float16():
    q, k, v, grad = (draw(1, 64, 16, seed=seed, dtype=torch.float16).detach() for seed in range(4))
    assert all(x.isfinite().all() for x in attention.attention_gradients(q / 10, k / 10, v * 10, grad * 100, 0.5))


def test_tiny_affinities_change_nothing_that_can_be_seen():
    q, k, v = (draw(1, 4, 8, seed=seed, dtype=torch.float32, size=20) for seed in range(3))
    of_q, of_k, of_v = torch.autograd.grad(attend(q, k, v, 1.0).sum(), (q, k, v))
    assert all(gradient.isfinite().all() for gradient in (of_q, of_k, of_v))
    torch.testing.assert_close(of_v.sum(1), torch.full((1, 8), 4.0))  # each query hands out 1


def test_no_matrix_of_all_pairs_is_laid_out_for_the_gradient():
    n = 4096
    q, k, v = (draw(1, n, 8, seed=seed, dtype=torch.float32) for seed in range(3))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
        attend(q, k, v, 1.0).sum().backward()
    largest = max(event.cpu_memory_usage for event in seen.events())  # bytes
    assert 4 * 8 * n <= largest < 4 * n * n / 4


def test_what_does_not_learn_gets_no_gradient():
    q, k, v = draw(1, 3, 8, seed=0), draw(1, 3, 8, seed=1).detach(), draw(1, 3, 8, seed=2).detach()
    attend(q, k, v, 1.0).sum().backward()
    assert q.grad is not None
    assert k.grad is None


def test_captured_in_one_graph_with_its_gradients():
    given_ = [draw(2, 5, 8, seed=seed, dtype=torch.float32) for seed in range(4)]
    compiled = torch.compile(lambda *qkv: attend(*qkv, 0.5), backend="aot_eager", fullgraph=True)
    plain = answers(lambda *qkv: attend(*qkv, 0.5), *given_)
    for one, other in zip(answers(compiled, *given_), plain, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_operator_says_what_torch_asks_of_one(dtype):
    given_ = [draw(2, 5, 8, seed=seed, dtype=dtype).detach() for seed in range(4)]
    torch.library.opcheck(attention.attention_gradients, (*given_, 0.5))
