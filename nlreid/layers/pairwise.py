"""The four affinities of a non-local block without a matrix of all pairs (paper Eq. 3-6; Wang et al. 2018).

Queries `q` are `(b, n, c)`, keys `k` `(b, m, c)`, values `v` `(b, m, d)`; each function returns
`y_i = sum_j affinity(q_i, k_j) v_j` as `(b, n, d)`. Beside it stands its row form, for pictures: the affinity itself,
`(b, p, m)`, for p queries only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from nlreid.layers.attention import attend
from nlreid.layers.exporting import exporting


def softmax(q: Tensor, k: Tensor, v: Tensor, scale: float = 1.0) -> Tensor:
    """`softmax_j(scale * q_i . k_j)`, the Gaussian (Eq. 3) and the embedded Gaussian (Eq. 4).

    >>> q, k, v = torch.zeros(1, 2, 3), torch.zeros(1, 4, 3), torch.tensor([[[1.0], [2.0], [3.0], [6.0]]])
    >>> softmax(q, k, v).flatten()  # equal affinities: the mean
    tensor([3., 3.])

    Args:
        q: Queries, `(b, n, c)`.
        k: Keys, `(b, m, c)`.
        v: Values, `(b, m, d)`.
        scale: What the products are multiplied by: 1.0 in the paper, 1/sqrt(c) in several published networks.

    Returns:
        `(b, n, d)`.
    """
    dtype = torch.promote_types(q.dtype, v.dtype)  # under autocast v may come from a convolution and q from none
    # One width for all three, or torch silently builds n x m; a multiple of 8 for the
    # alignment that GPU kernels want. Zeros change no product, and the zero columns of v are cut off again.
    width = -(-max(q.shape[-1], v.shape[-1]) // 8) * 8
    q, k, v_wide = (_widened(x.to(dtype), width) for x in (q, k, v))  # b n width
    return attend(q, k, v_wide, scale).narrow(2, 0, v.shape[2])


def _widened(x: Tensor, width: int) -> Tensor:
    padded = F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x
    return padded.contiguous()  # a strided view would fall back to n x m


def softmax_rows(q: Tensor, k: Tensor, scale: float = 1.0) -> Tensor:
    """Rows of the softmax affinity; each sums to 1.

    Args:
        q: The asked queries, `(b, p, c)`.
        k: All keys, `(b, m, c)`.
        scale: As in `softmax`.

    Returns:
        `(b, p, m)`, float32 or wider.
    """
    return torch.softmax(_wide(q @ k.transpose(1, 2)) * scale, dim=-1)


def dot_product(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`q_i . k_j / m` (Eq. 5), by associativity: `q (k^T v) / m` costs `c x d` numbers instead of `n x m`.

    Args:
        q: Queries, `(b, n, c)`.
        k: Keys, `(b, m, c)`.
        v: Values, `(b, m, d)`.

    Returns:
        `(b, n, d)`.
    """
    share: float = k.shape[1] ** -0.5  # half of 1/m on either side, so that the sum over all keys stays in float16's range
    return q @ ((k * share).transpose(1, 2) @ (v * share))


def dot_product_rows(q: Tensor, k: Tensor) -> Tensor:
    """Rows of the dot product affinity, divided by the number of keys.

    Args:
        q: The asked queries, `(b, p, c)`.
        k: All keys, `(b, m, c)`.

    Returns:
        `(b, p, m)`, float32 or wider.
    """
    return _wide(q @ k.transpose(1, 2)) / k.shape[1]


def concatenation(q: Tensor, k: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """`relu(weight . [q_i, k_j]) / m` (Eq. 6), by sorting and prefix sums.

    The product splits into `a_i + b_j`, and the ReLU keeps the keys with `b_j > -a_i`. With the keys sorted by
    falling `b` these are the first r_i, so `y_i = (a_i * sum v_j + sum b_j v_j) / m` over a prefix: two running sums
    serve all queries. Sums are float32 or wider whatever the inputs are, since a sum of 32,768 bfloat16 values stalls.

    >>> q, k, v = torch.tensor([[[1.0]]]), torch.tensor([[[-3.0], [1.0]]]), torch.tensor([[[5.0], [7.0]]])
    >>> concatenation(q, k, v, torch.ones(2))  # relu(1 - 3) * 5 / 2 + relu(1 + 1) * 7 / 2
    tensor([[[7.]]])

    Args:
        q: Queries, `(b, n, c)`.
        k: Keys, `(b, m, c)`.
        v: Values, `(b, m, d)`.
        weight: `(2 * c,)`, the queries' half first.

    Returns:
        `(b, n, d)`, of v's type.
    """
    a, b = _halves(q, k, weight)  # b n, b m
    b, order = b.sort(dim=1, descending=True)
    values = _wide(v).gather(1, order.unsqueeze(2).expand(v.shape))  # b m d, in the order of b
    rank = _rank(-b.detach(), a.detach())  # b n: how many keys have b_j > -a_i; a tie adds 0 either way
    plain, weighted = _prefix(values, rank), _prefix(b.unsqueeze(2) * values, rank)  # b n d
    return ((a.unsqueeze(2) * plain + weighted) / k.shape[1]).to(v.dtype)


def _rank(rising: Tensor, a: Tensor) -> Tensor:
    """How many of some rising numbers are below each of others, equal ones or not: `(b, m)`, `(b, n)` -> `(b, n)`."""
    if not exporting():
        return torch.searchsorted(rising, a)
    # ONNX has no search, but sorts
    order = torch.cat((a, rising), dim=1).sort(dim=1).indices
    before = (order >= a.shape[1]).long().cumsum(dim=1)
    return torch.zeros_like(before).scatter(1, order, before).narrow(1, 0, a.shape[1])


def _prefix(values: Tensor, rank: Tensor) -> Tensor:
    """The sum of the first rank_i values, for every i: `(b, m, d)`, `(b, n)` -> `(b, n, d)`."""
    sums = F.pad(values.cumsum(dim=1), (0, 0, 1, 0))  # b m+1 d: row r is the sum of the first r, row 0 of none
    return sums.gather(1, rank.unsqueeze(2).expand(-1, -1, values.shape[2]))


def concatenation_rows(q: Tensor, k: Tensor, weight: Tensor) -> Tensor:
    """Rows of the concatenation affinity, divided by the number of keys.

    Args:
        q: The asked queries, `(b, p, c)`.
        k: All keys, `(b, m, c)`.
        weight: `(2 * c,)`, the queries' half first.

    Returns:
        `(b, p, m)`, float32 or wider.
    """
    a, b = _halves(q, k, weight)
    return torch.relu(a.unsqueeze(2) + b.unsqueeze(1)) / k.shape[1]


def _halves(q: Tensor, k: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    # products and sums, not matmul: autocast would round matmul to half precision, and the ReLU's bends with it
    of_q, of_k = _wide(weight).chunk(2)
    return (_wide(q) * of_q).sum(2), (_wide(k) * of_k).sum(2)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Pairwise(NamedTuple):
    """One way to compare two positions."""

    apply: Callable[..., Tensor]
    """`(q, k, v, **options) -> y`."""
    rows: Callable[..., Tensor]
    """`(q, k, **options) -> affinity`."""
    embeds: bool = True
    """Whether queries and keys are embedded by theta and phi."""
    scaled: bool = False
    """Whether the option `scale` multiplies the products."""
    weighted: bool = False
    """Whether the option `weight`, a learned one, compares the pair."""


PAIRWISE: dict[str, Pairwise] = {
    "embedded_gaussian": Pairwise(softmax, softmax_rows, scaled=True),
    "gaussian": Pairwise(softmax, softmax_rows, scaled=True, embeds=False),
    "dot_product": Pairwise(dot_product, dot_product_rows),
    "concatenation": Pairwise(concatenation, concatenation_rows, weighted=True),
}
