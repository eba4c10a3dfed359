"""What all recipes share: tables of names, and a renaming that leaves nothing out and invents nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.convert.recipe import Conversion

COUNTER = "num_batches_tracked"
CLASSIFIER = "head.classifier.{affine}"
BLOCK = "backbone.layer{layer}.{block}"
NON_LOCAL = "backbone.layer{layer}.non_local_{block}"
_NUMBER = "0|[1-9][0-9]*"


def same(*words: str) -> dict[str, str]:
    """Words that stay as they are."""
    return {word: word for word in words}


# What may stand in a field, and what it becomes; `None` is any number, which stays.
FIELDS: dict[str, dict[str, str] | None] = {
    "layer": same("1", "2", "3", "4"),
    "block": None,
    "n": same("1", "2", "3"),
    "part": same("theta", "phi", "g", "out"),
    "affine": same("weight", "bias"),
    "norm": same("weight", "bias", "running_mean", "running_var", COUNTER),
}


@dataclass(frozen=True)
class Names:
    """The names of one layout.

    >>> names = Names("an example", {"res{layer}.{n}.{norm}": "layer{layer}.0.bn{n}.{norm}"}, {"layer": {"a": "1", "b": "2"}})
    >>> names.target("resb.3.running_mean")
    'layer2.0.bn3.running_mean'

    Args:
        layout: What it is called in messages.
        table: Names of the layout and ours, each with fields in braces; `None` is what is dropped.
        fields: What may stand in a field, and what it becomes, where that is other than in `FIELDS`.
        refused: Names, as expressions to search for, of related networks that do not fit; and what those are.
    """

    layout: str
    table: Mapping[str, str | None]
    fields: Mapping[str, dict[str, str] | None] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def target(self, name: str) -> str | None:
        """Our name; `None` for one that is dropped.

        Raises:
            WeightsError: If the layout has no such name.
        """
        for expression, target in self._expressions.items():
            if match := expression.fullmatch(name):
                return None if target is None else target.format_map(self._translated(match))
        for mark, what in self.refused.items():
            if re.search(mark, name):
                raise WeightsError(f"{name!r:.100} belongs to {what}; converted is {self.layout}")
        raise WeightsError(
            f"{name!r:.100} is no name of {self.layout}, which was expected; is it a checkpoint of another network?"
        )

    @cached_property
    def _expressions(self) -> dict[re.Pattern[str], str | None]:
        return {re.compile(self._expression(pattern)): target for pattern, target in self.table.items()}

    def _expression(self, pattern: str) -> str:
        pieces = re.split(r"\{(\w+)\}", pattern)  # text and fields take turns
        return "".join(
            f"(?P<{piece}>{self._allowed(piece)})" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)
        )

    def _allowed(self, name: str) -> str:
        words = self._words(name)
        return _NUMBER if words is None else "|".join(map(re.escape, words))

    def _translated(self, match: re.Match[str]) -> dict[str, str]:
        return {name: (self._words(name) or {}).get(found, found) for name, found in match.groupdict().items()}

    def _words(self, name: str) -> dict[str, str] | None:
        return self.fields[name] if name in self.fields else FIELDS[name]


def blocks(source: str, target: str = BLOCK) -> dict[str, str | None]:
    """The part of a table for residual blocks whose layers have timm's names.

    Args:
        source: Where a block stands in the layout.
        target: Where it stands here.
    """
    layers = ("conv{n}.weight", "bn{n}.{norm}", "downsample.0.weight", "downsample.1.{norm}")
    return {f"{source}.{layer}": f"{target}.{layer}" for layer in layers}


def rename(tensors: Mapping[str, Tensor], names: Names) -> Conversion:
    """Give tensors our names.

    The counters of the norms are added, as zeros, where the file has none at all, so that the result is whole.

    Args:
        tensors: By name; what is dropped is not read.
        names: The names of the layout.

    Raises:
        WeightsError: If a name is not of the layout, two are one here, or a tensor cannot be what its name says.
    """
    sources: dict[str, str] = {}
    dropped = []
    for name in tensors:
        target = names.target(name)
        if target is None:
            dropped.append(name)
        elif target in sources:
            raise WeightsError(
                f"{name!r} and {sources[target]!r} both become {target!r}; in {names.layout} one name has one tensor"
            )
        else:
            sources[target] = name
    renamed = {target: _checked(name, tensors[name], target) for target, name in sources.items()}
    counters = {} if any(name.endswith(COUNTER) for name in renamed) else _counters(renamed)
    return Conversion(renamed | counters, tuple(dropped), tuple(counters))


def has(*marks: str) -> Callable[[Iterable[str]], bool]:
    """Whether names are those of a layout: all of these are among them."""
    return lambda names: set(marks) <= set(names)


def _counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    means = {name: tensor for name, tensor in tensors.items() if name.endswith(".running_mean")}
    zero = {device: torch.zeros((), dtype=torch.int64, device=device) for device in {mean.device for mean in means.values()}}
    return {name.replace("running_mean", COUNTER): zero[mean.device].clone() for name, mean in means.items()}


def _checked(name: str, tensor: Tensor, target: str) -> Tensor:
    if not tensor.is_floating_point() and not target.endswith(COUNTER):
        raise WeightsError(f"{name!r} is of type {tensor.dtype}; weights are floating-point numbers")
    if target == CLASSIFIER.format(affine="weight") and tensor.ndim != 2:
        raise WeightsError(f"{name!r} has shape {tuple(tensor.shape)}; a classifier is a matrix of classes x features")
    return tensor
