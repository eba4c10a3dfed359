"""Gradient checkpointing: the backward pass computes parts of the network again that were not kept (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts, noop_context_fn

ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
}
Recompute = Literal["all", "cheap"]
Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]  # of the forward pass, and of its repetition


def recomputed(modules: Sequence[nn.Module], x: Tensor, *, keep_products: bool) -> Tensor:
    """Some modules one after the other, of which the backward pass computes again what it needs.

    Results, gradients and running statistics are those of running them.

    Args:
        modules: A part of the network.
        x: What enters the first; kept.
        keep_products: Whether to keep what convolutions and attention gave, except for what is large and cheap: 1 x 1 x 1
            convolutions to more channels than they take. Norms, activations and sums are computed again.

    Returns:
        What the last gives.
    """
    step = partial(_run, modules)
    if torch.compiler.is_compiling():  # the compiler keeps running statistics right itself, and takes no contexts of ours
        if keep_products:
            return checkpoint(step, x, use_reentrant=False, context_fn=_selective)
        return checkpoint(step, x, use_reentrant=False)
    contexts = partial(_once_counted, _selective if keep_products else noop_context_fn, modules)
    return checkpoint(step, x, use_reentrant=False, context_fn=contexts)


def _run(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


def _selective() -> Contexts:
    contexts: Contexts = create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]
    return contexts


def _once_counted(contexts: Callable[[], Contexts], modules: Sequence[nn.Module]) -> Contexts:
    first, again = contexts()
    return first, _Again(modules, again)


class _Again:
    """What surrounds a repetition; it can be entered again, for a second backward pass."""

    def __init__(self, modules: Sequence[nn.Module], inner: AbstractContextManager[Any]) -> None:
        self._modules, self._inner = modules, inner
        self._stacks: list[ExitStack] = []

    def __enter__(self) -> None:
        stack = ExitStack()
        stack.enter_context(_running_statistics_kept(self._modules))  # outside of the other, which watches what is computed
        stack.enter_context(self._inner)
        self._stacks.append(stack)

    def __exit__(self, *error: Any) -> None:
        self._stacks.pop().__exit__(*error)


def _policy(_ctx: Any, op: Any, *args: Any, **_kwargs: Any) -> CheckpointPolicy:
    """What is kept: attention, and products that are dear or whose result is no larger than what entered."""
    aten = torch.ops.aten
    if op == aten.convolution.default:
        x, weight = args[:2]
        widens = weight.shape[2:].numel() == 1 and weight.shape[0] > weight.shape[1]
        cheap = widens or x.shape[2:].numel() == 1  # of one position: a gate, whose activation may work in place
    elif op in (aten.addmm.default, aten.mm.default):
        weight = args[-1]  # (in, out)
        cheap = weight.shape[1] > weight.shape[0]
    else:
        cheap = op not in ATTENTION
    return CheckpointPolicy.PREFER_RECOMPUTE if cheap else CheckpointPolicy.MUST_SAVE


@contextmanager
def _running_statistics_kept(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Running statistics are updated in the forward pass; the recomputation must not update them again."""
    inside = (part for module in modules for part in module.modules())
    norms = [part for part in inside if isinstance(part, _NormBase) and part.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    counters = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, counter in zip(norms, momenta, counters, strict=True):
            norm.momentum = momentum
            if counter is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(counter)
