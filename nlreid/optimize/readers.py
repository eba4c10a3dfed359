"""Which module is the only one to read what a layer computes: seen by watching the network run, not guessed from names."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from nlreid.layers import Conv3d

LINEAR = {kind.forward for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, Conv3d)}  # subclasses may do more
Pair = tuple[str, str]
Named = tuple[str, nn.Module]


def sole_readers(network: nn.Module, clip: Tensor, kinds: tuple[type[nn.Module], ...]) -> list[Pair]:
    """Layers whose result enters one module of some kinds and nothing else, with that module.

    The network runs once, on shapes alone and without its hooks: every function of torch that is called with a layer's result
    is seen, from whatever code. Left out is where joining the two would show: layers and readers that run more than once, whose
    weights other code reads, or between which someone watches through a hook.

    Args:
        network: The network, in evaluation mode.
        clip: What it takes, on the device `"meta"`.
        kinds: Types of the readers: norms, or activations. A reader may change its input in place.

    Returns:
        Names of layers and of their readers.
    """
    shapes = copy.deepcopy(network).to("meta")
    seen = _Reading(shapes, kinds)
    with torch.no_grad(), seen.watching(), seen:
        result = shapes(clip)
    return list(seen.pairs(result))


def named_once(network: nn.Module) -> list[Named]:
    """Modules with their names, but for those that stand in several places: what is done in one would be missed in others."""
    named = list(network.named_modules(remove_duplicate=False))
    places = Counter(id(module) for _, module in named)
    return [(name, module) for name, module in named if places[id(module)] == 1]


class _Reading(TorchFunctionMode):
    """Notes who reads the results of layers."""

    def __init__(self, network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        named = dict(named_once(network))
        weights = dict(network.named_parameters(remove_duplicate=False))
        self._network = network
        self._watched = {name for name, module in network.named_modules() if is_watched(module)}
        self._layers = {name: module for name, module in named.items() if is_linear(module)}
        self._takers = {name: module for name, module in named.items() if isinstance(module, kinds) and is_plain(module)}
        self._axes = {name: weights[f"{name}.weight"].ndim for name in self._layers}
        self._weights = {id(weights[f"{name}.weight"]): name for name in self._layers}
        self._made: dict[int, str] = {}  # results of layers, by identity
        self._alive: list[Tensor] = []  # so that no identity is given out twice
        self._readers: defaultdict[str, set[str]] = defaultdict(set)  # of each layer: takers, "" for all other code
        self._taken: dict[str, str] = {}  # what entered each of them
        self._runs: Counter[str] = Counter()
        self._inside: list[str] = [""]  # the layer or taker that is running

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") != "__get__" or isinstance(result, Tensor):  # asking for a shape reads nothing
            self._note((args, kwargs), self._inside[-1])
        return result

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks of ours on layers and takers while the network runs, and no others."""
        theirs = [(module, module._forward_hooks, module._forward_pre_hooks) for module in self._network.modules()]
        for module, _, _ in theirs:
            module._forward_hooks, module._forward_pre_hooks = OrderedDict(), OrderedDict()
        for name in self._watched:  # what someone sees must stay
            self._network.get_submodule(name).register_forward_pre_hook(lambda _m, x: self._note(x, ""))
        for name, layer in self._layers.items():
            layer.register_forward_pre_hook(lambda _m, x, name=name: self._begin(name, x))
            layer.register_forward_hook(lambda _m, _x, out, name=name: self._made_by(name, out))
        for name, taker in self._takers.items():
            taker.register_forward_pre_hook(lambda _m, x, name=name: self._enter(name, x))
            taker.register_forward_hook(lambda _m, _x, out: self._given(out))
        try:
            yield
        finally:
            for module, after, before in theirs:
                module._forward_hooks, module._forward_pre_hooks = after, before

    def pairs(self, result: object) -> Iterator[Pair]:
        """What can be joined, once the network has run and given `result`."""
        self._note(result, "")
        for taker, layer in self._taken.items():
            alone = self._readers[layer] == {taker} and self._runs[layer] == self._runs[taker] == 1
            if alone and not self._watched & _only_around(layer, taker):
                yield layer, taker

    def _begin(self, layer: str, inputs: tuple[Any, ...]) -> None:
        self._inside.append(layer)
        if inputs[0].ndim != self._axes[layer]:  # a norm takes the second axis for the channels, and so must the layer
            self._readers[layer].add("")

    def _made_by(self, layer: str, out: Tensor) -> None:
        self._leave()
        self._runs[layer] += 1
        self._made[id(out)] = layer
        self._alive.append(out)

    def _enter(self, taker: str, inputs: tuple[Any, ...]) -> None:
        self._runs[taker] += 1
        self._inside.append(taker)
        if len(inputs) == 1 and id(inputs[0]) in self._made:
            self._taken[taker] = self._made[id(inputs[0])]

    def _given(self, out: object) -> None:
        self._leave()
        self._made.pop(id(out), None)  # changed in place: no longer what the layer gave

    def _leave(self) -> None:
        self._inside.pop()

    def _note(self, values: object, reader: str) -> None:
        for value in pytree.tree_leaves(values):
            if not isinstance(value, Tensor):
                continue
            if id(value) in self._made:
                self._readers[self._made[id(value)]].add(reader)
            owner = self._weights.get(id(value))
            if owner not in (None, reader):
                self._readers[owner].add("")


def _only_around(layer: str, taker: str) -> set[str]:
    """The layer, the taker, and the modules that contain only one of them: what comes out of these changes."""
    return _with_parents(layer) ^ _with_parents(taker)


def _with_parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(len(parts) + 1)}


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear layer or convolution whose arithmetic is torch's, or our `Conv3d`'s."""
    return type(module).forward in LINEAR and is_plain(module) and _has_own_arithmetic(module)


def _has_own_arithmetic(module: nn.Module) -> bool:
    """Whether a convolution's arithmetic is torch's: a subclass may inherit `forward` and change what that calls."""
    ours = getattr(type(module), "_conv_forward", None)
    return ours in (None, nn.Conv1d._conv_forward, nn.Conv2d._conv_forward, nn.Conv3d._conv_forward)


def is_plain(module: nn.Module) -> bool:
    """Whether a module's forward pass is that of its type, and its tensors are its own."""
    return "forward" not in vars(module) and not hasattr(module, "parametrizations")


def is_watched(module: nn.Module) -> bool:
    """Whether a module has hooks."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks)
