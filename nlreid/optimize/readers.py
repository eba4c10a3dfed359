"""Which norm is the only one to read what a layer computes: seen by watching the network run, not guessed from names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
Pair = tuple[str, str]


def sole_readers(network: nn.Module, clip: Tensor) -> list[Pair]:
    """Layers whose result enters a batch norm and nothing else, with that norm.

    The network runs once, on shapes alone: every function of torch that is called with a layer's result is seen, from
    whatever code. Layers and norms that run more than once, or that someone watches through hooks, are left out, since folding
    would show there.

    Args:
        network: The network, in evaluation mode.
        clip: What it takes, on the device `"meta"`.

    Returns:
        Names of layers and of their norms.
    """
    seen = _Reading(network)
    state = {name: tensor.to("meta") for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    with torch.no_grad(), seen.watching(), seen:
        result = torch.func.functional_call(network, state, (clip,))
    return list(seen.pairs(result))


class _Reading(TorchFunctionMode):
    """Notes who reads the results of layers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        named = dict(network.named_modules())
        self._layers = {name: module for name, module in named.items() if isinstance(module, LINEAR) and _plain(module)}
        self._norms = {name: module for name, module in named.items() if isinstance(module, _BatchNorm) and _plain(module)}
        self._made: dict[int, str] = {}  # results of layers, by identity
        self._alive: list[Tensor] = []  # so that no identity is given out twice
        self._readers: defaultdict[str, set[str]] = defaultdict(set)  # of each layer: norms, "" for all other code
        self._taken: dict[str, str] = {}  # what entered each norm
        self._runs: Counter[str] = Counter()
        self._inside: list[str] = [""]  # the norm that is running

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") != "__get__":  # asking for a shape reads nothing
            self._note((args, kwargs), self._inside[-1])
        return func(*args, **(kwargs or {}))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on layers and norms, while the network runs."""
        handles = []
        for name, layer in self._layers.items():
            handles.append(layer.register_forward_hook(lambda _m, _x, out, name=name: self._made_by(name, out)))
        for name, norm in self._norms.items():
            handles.append(norm.register_forward_pre_hook(lambda _m, x, name=name: self._enter(name, x)))
            handles.append(norm.register_forward_hook(lambda _m, _x, _out: self._leave()))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def pairs(self, result: object) -> Iterator[Pair]:
        """What can be folded, once the network has run and given `result`."""
        self._note(result, "")
        for norm, layer in self._taken.items():
            if self._readers[layer] == {norm} and self._runs[layer] == self._runs[norm] == 1:
                yield layer, norm

    def _made_by(self, layer: str, out: Tensor) -> None:
        self._runs[layer] += 1
        self._made[id(out)] = layer
        self._alive.append(out)

    def _enter(self, norm: str, inputs: tuple[Any, ...]) -> None:
        self._runs[norm] += 1
        self._inside.append(norm)
        if len(inputs) == 1 and id(inputs[0]) in self._made:
            self._taken[norm] = self._made[id(inputs[0])]

    def _leave(self) -> None:
        self._inside.pop()

    def _note(self, values: object, reader: str) -> None:
        for value in pytree.tree_leaves(values):
            if isinstance(value, Tensor) and id(value) in self._made:
                self._readers[self._made[id(value)]].add(reader)


def _plain(module: nn.Module) -> bool:
    """Whether a module is nothing but its own forward pass and its own tensors."""
    watched = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return not watched and not hasattr(module, "parametrizations")
