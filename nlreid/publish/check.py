"""A model that is published must be what its spec says, or nobody could build it again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nlreid.errors import InputError, some_of
from nlreid.models.assembly import assemble
from nlreid.models.network import VideoReID

# What every float in a file may be: `create_model` makes each of them float32, which holds the others exactly.
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
BATCH_NORMS = (nn.SyncBatchNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def checked_tensors(model: VideoReID, head: str) -> Mapping[str, Tensor]:
    """The tensors of a model, when they and its modules are those that its spec would build.

    Args:
        model: The model, on any device, of any type of `FLOATS`.
        head: The kind of its head.

    Raises:
        InputError: If a tensor is missing, extra or of another shape, a module is another, or a value is not a finite number;
            it names them.
    """
    with torch.random.fork_rng(devices=()):  # what is built to compare with draws numbers, and a training must not notice
        built = assemble(model.name, model.spec, head, model.num_classes, "awaited", device="meta")
    tensors = model.state_dict()
    _check_names(tensors, built.state_dict())
    _check_modules(model, built)
    _check_values(tensors)
    return tensors


def _check_names(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    both = tensors.keys() & wanted.keys()
    _refuse(
        {
            "that its spec does not have": tensors.keys() - wanted.keys(),
            "that its spec has and it has not": wanted.keys() - tensors.keys(),
            "of another shape": {name for name in both if tensors[name].shape != wanted[name].shape},
        },
        "it was changed after create_model made it, and could not be built again: save its state_dict() yourself instead",
    )


def _check_modules(model: VideoReID, built: VideoReID) -> None:
    own, wanted = _modules(model), _modules(built)
    changed = {name for name in own.keys() | wanted.keys() if own.get(name) != wanted.get(name)}
    if changed:
        raise InputError(
            f"{len(changed)} modules of {model.name!r} are others than its spec says ({some_of(changed)}); "
            "it was changed after create_model made it, and could not be built again: save its state_dict() yourself instead"
        )


def _modules(model: VideoReID) -> dict[str, str]:
    """What each module is, training mode, device and type of number left out."""
    return {name: f"{_kind(module)}({module.extra_repr()})" for name, module in model.named_modules()}


def _kind(module: nn.Module) -> str:
    # what training on several GPUs makes of the others computes the same
    return "BatchNorm" if type(module) in BATCH_NORMS else type(module).__qualname__


def _check_values(tensors: Mapping[str, Tensor]) -> None:
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    _refuse(
        {"without values, on the meta device": {name for name, tensor in tensors.items() if tensor.is_meta}},
        "load its weights first",
    )
    _refuse(
        {"of a type that float32 cannot hold": {name for name, tensor in floats.items() if tensor.dtype not in FLOATS}},
        "call model.float() first; float32, float16 and bfloat16 are saved as they are",
    )
    _refuse(
        {"with values that are not finite": {name for name, tensor in floats.items() if not torch.isfinite(tensor).all()}},
        "its training broke down: go back to an earlier state",
    )


def _refuse(problems: Mapping[str, set[str]], advice: str) -> None:
    found = "; ".join(f"{len(names)} tensors {what} ({some_of(names)})" for what, names in problems.items() if names)
    if found:
        raise InputError(f"the model has {found}; {advice}")
