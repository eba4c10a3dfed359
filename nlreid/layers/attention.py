"""Softmax attention without the matrix of all pairs, forwards and backwards, at the rate of the matrix products in it.

Forwards it is torch's own. Backwards on the CPU, torch takes several times as long where few keys take nearly all of the
affinity (see docs/performance.md), as they do in an untrained block with the paper's scale. So the gradient is computed here:
some rows of the affinity at a time, made again from queries and keys, and never kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

NOTHING = 1e-20  # beside affinities that sum to 1; smaller ones make denormal numbers, which slow products down tenfold
ENTRIES = 2**21  # of the affinity at a time: 8 MiB, which stay in the processor's cache


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """`softmax(scale * q k^T) v`.

    Args:
        q: Queries, `(b, n, c)`, contiguous.
        k: Keys, `(b, m, c)`, contiguous.
        v: Values, `(b, m, c)`, contiguous: of one width with the others, which torch needs to avoid the matrix.
        scale: What the products are multiplied by.

    Returns:
        `(b, n, c)`.
    """
    learns = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)
    if learns and q.device.type == "cpu":
        y: Tensor = _Attention.apply(q, k, v, scale)
        return y
    return _forward(q, k, v, scale)


def _forward(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    # one head; without it torch would build the matrix
    return F.scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1), scale=scale).squeeze(1)


class _Attention(torch.autograd.Function):
    """Torch's forward pass, our backward pass."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.scale = scale
        return _forward(q, k, v, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v = ctx.saved_tensors
        return (*attention_gradients(q, k, v, grad.to(v.dtype).contiguous(), ctx.scale), None)


@torch.library.custom_op("nlreid::attention_gradients", mutates_args=())
def attention_gradients(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `attend`, a block of queries of one clip at a time.

    Args:
        q: Queries, `(b, n, c)`.
        k: Keys, `(b, m, c)`.
        v: Values, `(b, m, c)`.
        grad: Gradient of the result, `(b, n, c)`.
        scale: What the products are multiplied by.

    Returns:
        Gradients of q, k and v.
    """
    if q.dtype == torch.float16:  # whose products overflow where those of a scaled loss meet large values
        wider = attention_gradients(q.float(), k.float(), v.float(), grad.float(), scale)
        return wider[0].half(), wider[1].half(), wider[2].half()
    wide = torch.promote_types(q.dtype, torch.float32)  # a product of 16 bits would be rounded before the exponential
    of_q = torch.empty_like(q)
    of_k, of_v = (torch.zeros_like(x, dtype=wide) for x in (k, v))  # sums of many blocks, which would stall in 16 bits
    rows = min(q.shape[1], max(1, ENTRIES // k.shape[1]))
    affinity, change = (q.new_empty((rows, k.shape[1]), dtype=kind) for kind in (wide, q.dtype))
    for clip in range(q.shape[0]):
        keys = k[clip].to(wide)
        for start in range(0, q.shape[1], rows):
            some = slice(start, start + rows)
            queries, given = q[clip, some], grad[clip, some]
            p = torch.mm(queries.to(wide), keys.mT, out=affinity[: len(queries)])
            p = torch.softmax(p.mul_(scale), dim=1, out=p)  # rows x m
            p = torch.threshold_(p, NOTHING, 0.0).to(q.dtype)
            of_v[clip] += p.mT @ given
            s = torch.mm(given, v[clip].mT, out=change[: len(queries)])
            s = torch.ops.aten._softmax_backward_data(s, p, 1, q.dtype)
            torch.mm(s, k[clip], out=of_q[clip, some])
            of_k[clip] += s.mT @ queries
    return of_q.mul_(scale), of_k.mul_(scale).to(k.dtype), of_v.to(v.dtype)


@attention_gradients.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, _grad: Tensor, _scale: float) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
