"""Which model a checkpoint belongs to, told from names and shapes alone: for the messages of errors."""

from __future__ import annotations

from collections.abc import Mapping, Set

from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.convert import Recipe
from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.models.assembly import shapes_of
from nlreid.models.backbone2d import create_2d_without_values
from nlreid.models.zoo import MODELS, model_spec

Signature = set[tuple[str, tuple[int, ...]]]
MIN_SHARE = 0.5  # of tensors that agree; below it a guess would mislead


def guess_model(tensors: Mapping[str, Tensor], but: str) -> str:
    """What a checkpoint in this library's names looks like, as part of a sentence; empty where it looks like nothing better.

    Args:
        tensors: The checkpoint's tensors.
        but: Name of the model that it does not fit.
    """
    given = {(name, shape) for name, shape in _signature(tensors) if not name.startswith("head.")}
    backbones = {spec.backbone for spec in MODELS.values()}
    nearest = max(sorted(backbones), key=lambda name: _alike(_names(given), _names_2d(name)))
    if _alike(_names(given), _names_2d(nearest)) < MIN_SHARE:
        return ""
    shares = {name: _alike(given, _signature(shapes_of(spec))) for name, spec in MODELS.items() if spec.backbone == nearest}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < MIN_SHARE or shares[best] == shares.get(but):
        return ""
    return f"it looks like a checkpoint of {best!r} ({shares[best]:.0%} of the tensors agree), not of {but!r}"


def guess_entries(recipe: Recipe, tensors: Mapping[str, Tensor]) -> list[Entry]:
    """The entries of the table of weights whose network has exactly the tensors of an upstream checkpoint.

    Args:
        recipe: The layout of the checkpoint.
        tensors: Its tensors under their own names.
    """
    try:
        given = _signature(recipe.convert(on_meta(tensors)).tensors)
    except WeightsError:  # the caller reports a checkpoint that is not what its layout has; here it fits nothing
        return []
    return [entry for entry in manifest().values() if entry.recipe == recipe.name and given == _signature_of(entry)]


def _signature_of(entry: Entry) -> Signature:
    spec = model_spec(entry.model).override(entry.overrides)
    return _signature(shapes_of(spec, "linear", entry.num_classes))


def _signature(tensors: Mapping[str, Tensor]) -> Signature:
    return {(name, tuple(tensor.shape)) for name, tensor in on_meta(tensors).items()}


def _names(signature: Signature) -> set[str]:
    return {name.removeprefix("backbone.") for name, _ in signature if ".non_local_" not in name}


def _names_2d(backbone: str) -> set[str]:
    return {name for name in create_2d_without_values(backbone).state_dict() if not name.startswith("fc.")}


def _alike(first: Set[object], second: Set[object]) -> float:
    return len(first & second) / max(len(first | second), 1)
