"""Files of weights and the models that they fit: strict, with what may be missing or dropped declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nlreid.errors import WeightsError, some_of
from nlreid.hub.files import read_tensors
from nlreid.inflation.weights import Init, inflate_state_dict
from nlreid.models.network import LoadReport, VideoReID


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file, and what can be told from their names.

    Args:
        path: Where they were read.
        tensors: The tensors by name.
    """

    path: Path
    tensors: dict[str, Tensor]

    @property
    def is_2d(self) -> bool:
        """Whether these are the weights of a 2D network, in timm's layout."""
        return not any(name.startswith("backbone.") or tensor.ndim == 5 for name, tensor in self.tensors.items())

    @property
    def head(self) -> str | None:
        """The kind of head that the weights bring."""
        return None if self.is_2d else _head_of(self.tensors)

    @property
    def embedding_dim(self) -> int | None:
        """Size of the embedding of the bottleneck head that the weights bring."""
        layer = self.tensors.get("head.fc.weight")
        return None if layer is None else layer.shape[0]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights.

    Raises:
        WeightsError: If it is missing, damaged, or no file of weights.
    """
    return Checkpoint(path, read_tensors(path))


def load_checkpoint(model: VideoReID, checkpoint: Checkpoint, init: Init) -> LoadReport:
    """Load a checkpoint into a model, strictly.

    May be missing: freshly inserted non-local blocks; a classifier; a head of another kind than the checkpoint's; beside 2D
    weights everything behind the backbone. May be dropped: a classifier of another size, a head of another kind, and of 2D
    weights pooling and classifier. Everything else must fit.

    Args:
        model: The model; its tensors change and keep their type, whatever type the file's have.
        checkpoint: 2D weights of its backbone, or a state dict of the model.
        init: How 2D kernels are inflated.

    Returns:
        What was loaded, missing and dropped.

    Raises:
        WeightsError: If tensors are missing, left over or of another shape, beyond what is declared; it names them, and the
            model is left as it was.
    """
    own = model.state_dict()
    try:
        tensors = _inflated(model, checkpoint, init) if checkpoint.is_2d else _without_other_head(checkpoint.tensors, own)
        missing = own.keys() - tensors.keys()
        _check(own, tensors, {name for name in missing if not _may_be_missing(name, tensors, checkpoint.is_2d)})
    except WeightsError as error:
        raise WeightsError(f"{checkpoint.path}: {error}; is it a checkpoint of {model.name!r}?") from error
    model.load_state_dict({**own, **tensors})
    dropped = _dropped_2d(model, checkpoint) if checkpoint.is_2d else checkpoint.tensors.keys() - tensors.keys()
    return LoadReport(str(checkpoint.path), tuple(sorted(missing)), tuple(sorted(dropped)))


def _inflated(model: VideoReID, checkpoint: Checkpoint, init: Init) -> dict[str, Tensor]:
    plan = model.backbone.plan
    if not plan.inherits:
        raise WeightsError(f"holds 2D weights, and plan {plan.name!r} cannot inherit any ({plan.source})")
    # of the network's type before they are divided: half precision would round every slice
    tensors = {name: tensor.to(_type_in(model, tensor)) for name, tensor in checkpoint.tensors.items()}
    inflated = inflate_state_dict(tensors, model.backbone, init)
    return {f"backbone.{name}": tensor for name, tensor in inflated.items() if ".non_local_" not in name}


def _type_in(model: VideoReID, tensor: Tensor) -> torch.dtype:
    return next(model.parameters()).dtype if tensor.is_floating_point() else tensor.dtype


def _dropped_2d(model: VideoReID, checkpoint: Checkpoint) -> set[str]:
    return {name for name in checkpoint.tensors if name.split(".")[0] in model.backbone.dropped}


def _without_other_head(tensors: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    classifier = "head.classifier.weight"
    other = ""
    if _head_of(tensors) not in (None, _head_of(own)):
        other = "head."
    elif classifier in tensors and (classifier not in own or own[classifier].shape != tensors[classifier].shape):
        other = "head.classifier."
    return {name: tensor for name, tensor in tensors.items() if not (other and name.startswith(other))}


def _head_of(tensors: Mapping[str, Tensor]) -> str | None:
    marks = {"head.fc.weight": "bottleneck", "head.norm.weight": "bnneck", "head.classifier.weight": "linear"}
    return next((kind for mark, kind in marks.items() if mark in tensors), None)


def _may_be_missing(name: str, tensors: dict[str, Tensor], is_2d: bool) -> bool:
    if ".non_local_" in name:
        stage, _, rest = name.partition(".non_local_")
        block = f"{stage}.non_local_{rest.split('.')[0]}."
        return not any(other.startswith(block) for other in tensors)
    part = "head.classifier." if _head_of(tensors) else "head."
    if name.startswith(part):
        return not any(other.startswith(part) for other in tensors)  # whole, not in pieces
    return is_2d and name.startswith("aggregate.")


def _check(own: dict[str, Tensor], tensors: dict[str, Tensor], missing: set[str]) -> None:
    extra = tensors.keys() - own.keys()
    unfit = {name for name in tensors.keys() & own.keys() if tensors[name].shape != own[name].shape}
    other_type = {name for name in tensors.keys() & own.keys() if not _type_fits(name, tensors[name], own[name])}
    problems = [
        f"{len(names)} tensors {what} ({some_of(names)})"
        for what, names in (
            ("missing", missing),
            ("that the model does not have", extra),
            ("of another shape", unfit),
            ("of another type", other_type - unfit),
        )
        if names
    ]
    if problems:
        raise WeightsError("; ".join(problems))


def _type_fits(name: str, tensor: Tensor, own: Tensor) -> bool:
    if name.endswith("num_batches_tracked"):  # a counter; files that were cut to half precision have it floating, too
        return not tensor.is_complex()
    return tensor.is_floating_point() == own.is_floating_point() and not tensor.is_complex()
