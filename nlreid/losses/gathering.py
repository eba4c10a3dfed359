"""One batch out of those of several processes, with gradients: what is mined in it is mined in all of them."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from nlreid.errors import InputError

_DTYPES = (torch.float32, torch.float64)


def gather_batch(embeddings: Tensor, pids: Tensor, group: dist.ProcessGroup | None = None) -> tuple[Tensor, Tensor]:
    """The embeddings and identities of all processes, by rank; the gradient of each row comes back to its process.

    A loss of the joined batch has the same value in every process, and each calls `backward()` on it. A row's gradient is the
    sum of those that the processes have for it, which is their number times the gradient of one process with the joined batch;
    `DistributedDataParallel` divides by that number. Batches may be of unequal length.

    Args:
        embeddings: Of this process, float32 or float64, `(b, d)`; d and type are the same everywhere.
        pids: Integer, `(b,)`.
        group: The processes; all of the default group by default. Where `torch.distributed` is not in use, this process alone.

    Returns:
        `(sum of all b, d)` and `(sum of all b,)`.

    Raises:
        InputError: In every process, if their embeddings have other lengths or types.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
        return embeddings, pids
    counts = _counts(embeddings, group)
    longest = max(counts)
    joined: Tensor = _Gather.apply(embeddings, counts, group)
    labels = pids.to(embeddings.device, torch.int64)
    return joined, _rows_of_all(_filled(labels, longest), counts, group)


class _Gather(torch.autograd.Function):
    """Rows of all processes; back, the sum of all gradients of one's own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], group: dist.ProcessGroup | None) -> Tensor:
        ctx.counts, ctx.group = counts, group
        return _rows_of_all(_filled(rows, max(counts)), counts, group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        own: Tensor = torch.split(total, ctx.counts)[dist.get_rank(ctx.group)]
        return own, None, None


def _counts(embeddings: Tensor, group: dist.ProcessGroup | None) -> list[int]:
    """How many rows each process has, once it is sure that they fit together."""
    own = torch.tensor([*embeddings.shape, _DTYPES.index(embeddings.dtype)], device=embeddings.device)
    sizes = torch.stack(_from_all(own, group)).tolist()
    if any(size[1:] != sizes[0][1:] for size in sizes):
        came = ", ".join(f"{_DTYPES[kind]} ({count}, {width})" for count, width, kind in sizes)
        raise InputError(f"the processes' embeddings are to have one length and one type; got, by rank, {came}")
    return [count for count, _, _ in sizes]


def _rows_of_all(filled: Tensor, counts: list[int], group: dist.ProcessGroup | None) -> Tensor:
    parts = _from_all(filled, group)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def _from_all(own: Tensor, group: dist.ProcessGroup | None) -> list[Tensor]:
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, own, group=group)
    return parts


def _filled(rows: Tensor, count: int) -> Tensor:
    """With rows of zeros up to a number that all processes have."""
    full = rows.new_zeros((count, *rows.shape[1:]))
    full[: len(rows)] = rows.detach()
    return full
