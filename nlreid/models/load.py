"""Loading a checkpoint into the model that it fits: strict, with what may be missing or dropped declared."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from nlreid.errors import WeightsError, some_of
from nlreid.hub.reading.tensor_file import TensorFile, on_meta
from nlreid.inflation.weights import Init, load_inflated
from nlreid.models.checkpoint import Checkpoint, head_of, is_whole_head
from nlreid.models.guess import guess_model
from nlreid.models.network import LoadReport, VideoReID

logger = logging.getLogger(__name__)


def load_checkpoint(model: VideoReID, checkpoint: Checkpoint, init: Init, *, blocks: Collection[str] = ()) -> LoadReport:
    """Load a checkpoint into a model, strictly.

    May be missing: freshly inserted non-local blocks; a classifier; a head of another kind than the checkpoint's; beside 2D
    weights everything behind the backbone. May be dropped: a classifier of another size, a head of another kind, and of 2D
    weights pooling and classifier. Everything else must fit.

    Args:
        model: The model; its tensors change and keep their type, whatever type the file's have.
        checkpoint: 2D weights of its backbone, or a state dict of the model; its tensors may become the model's.
        init: How 2D kernels are inflated.
        blocks: Names of the non-local tensors that the checkpoint is known to have; other blocks may be missing.

    Returns:
        What was loaded, missing and dropped.

    Raises:
        WeightsError: If tensors are missing, left over, of another shape or not finite, beyond what is declared; it names them,
            and the model is left as it was.
    """
    dropped = (*checkpoint.dropped, *_dropped(model, checkpoint))
    try:
        missing = _load_2d(model, checkpoint, init) if checkpoint.is_2d else _load_whole(model, checkpoint, blocks)
    except WeightsError as error:
        raise WeightsError(f"{checkpoint.path}: {error}") from error
    if checkpoint.remark:
        logger.warning(checkpoint.remark)
    classes = 0 if "head.classifier.weight" in missing else model.num_classes
    config = checkpoint.config
    licence, task = (config.licence, config.task) if config is not None else ("", "")
    return LoadReport(
        str(checkpoint.path), tuple(sorted(missing)), tuple(sorted(dropped)), checkpoint.sha256, licence, task, classes
    )


def check_fit(model: VideoReID, checkpoint: Checkpoint, *, blocks: Collection[str] = ()) -> set[str]:
    """Refuse a checkpoint of the model's own layout that does not fit, without loading anything.

    Args:
        model: The model.
        checkpoint: Its tensors may be on the meta device.
        blocks: As in `load_checkpoint`.

    Returns:
        Names of the model's tensors that the checkpoint does not have and may lack.

    Raises:
        WeightsError: As in `load_checkpoint`.
    """
    own, tensors = on_meta(model.state_dict()), on_meta(checkpoint.tensors)
    kept = {name: tensors[name] for name in _kept(tensors, own)}
    missing = own.keys() - kept.keys()
    wanting = {name for name in missing if not _may_be_missing(name, kept, blocks)}
    problems = _problems(own, kept, wanting)
    if problems:
        looks = guess_model(tensors, model.name.partition(".")[0])
        raise WeightsError(f"{problems}; " + (looks or f"is it a checkpoint of {model.name!r}?"))
    return missing


def fresh(model: VideoReID) -> set[str]:
    """Names of the tensors that 2D weights do not have: non-local blocks, and everything behind the backbone."""
    return {name for name in model.state_dict() if not name.startswith("backbone.") or ".non_local_" in name}


def _load_whole(model: VideoReID, checkpoint: Checkpoint, blocks: Collection[str]) -> set[str]:
    missing = check_fit(model, checkpoint, blocks=blocks)
    check_finite(checkpoint.tensors)
    own, source = model.state_dict(), checkpoint.tensors
    names = own.keys() - missing
    if isinstance(source, TensorFile):
        with torch.no_grad():
            for name in names:  # one at a time: no second copy is ever held
                own[name].copy_(source[name])
    else:
        model.load_state_dict({**own, **_as_own({name: source[name] for name in names}, own)}, assign=True)
    return missing


def _as_own(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a model can take them over without a copy; copies of those of another type, or in shared memory."""
    taken: dict[str, Tensor] = {}
    memories: set[int] = set()
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage()
        alone = tensor.is_contiguous() and memory.nbytes() == tensor.nbytes and memory.data_ptr() not in memories
        memories.add(memory.data_ptr())
        taken[name] = tensor.to(own[name], copy=not alone, memory_format=torch.contiguous_format)
    return taken


def _load_2d(model: VideoReID, checkpoint: Checkpoint, init: Init) -> set[str]:
    plan = model.backbone.plan
    if not plan.inherits:
        raise WeightsError(f"holds 2D weights, and plan {plan.name!r} cannot inherit any ({plan.source})")
    check_finite(checkpoint.tensors)
    # of the network's type before they are divided: half precision would round every slice
    own = next(model.parameters()).dtype
    tensors = {
        name: tensor.to(own if tensor.is_floating_point() else tensor.dtype) for name, tensor in checkpoint.tensors.items()
    }
    try:
        load_inflated(model.backbone, tensors, init)
    except WeightsError as error:
        raise WeightsError(f"{error}; is it a checkpoint of {model.name!r}?") from error
    return fresh(model)


def _dropped(model: VideoReID, checkpoint: Checkpoint) -> set[str]:
    if checkpoint.is_2d:
        return {name for name in checkpoint.tensors if name.split(".")[0] in model.backbone.dropped}
    return checkpoint.tensors.keys() - _kept(checkpoint.tensors, model.state_dict())


def _kept(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> set[str]:
    """Names of a checkpoint's tensors without those of a head of another kind, or of a classifier of another size."""
    classifier = "head.classifier.weight"
    shapes = on_meta(tensors)
    other = ""
    heads = {name for name in shapes if name.startswith("head.")}
    if head_of(shapes) not in (None, head_of(own)) and is_whole_head(heads):
        other = "head."
    elif classifier in shapes and (classifier not in own or own[classifier].shape != shapes[classifier].shape):
        other = "head.classifier."
    return {name for name in shapes if not (other and name.startswith(other))}


def _may_be_missing(name: str, tensors: Mapping[str, Tensor], blocks: Collection[str]) -> bool:
    if ".non_local_" in name:
        if name in blocks:
            return False
        stage, _, rest = name.partition(".non_local_")
        block = f"{stage}.non_local_{rest.split('.')[0]}."
        return not any(other.startswith(block) for other in tensors)
    part = "head.classifier." if head_of(tensors) else "head."
    if name.startswith(part):
        return not any(other.startswith(part) for other in tensors)  # whole, not in pieces
    return False


def _problems(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], missing: set[str]) -> str:
    extra = tensors.keys() - own.keys()
    unfit = {name for name in tensors.keys() & own.keys() if tensors[name].shape != own[name].shape}
    other_type = {name for name in tensors.keys() & own.keys() if not _type_fits(name, tensors[name], own[name])}
    return "; ".join(
        f"{len(names)} tensors {what} ({some_of(names)})"
        for what, names in (
            ("missing", missing),
            ("that the model does not have", extra),
            ("of another shape", unfit),
            ("of another type", other_type - unfit),
        )
        if names
    )


def _type_fits(name: str, tensor: Tensor, own: Tensor) -> bool:
    if name.endswith("num_batches_tracked"):  # a counter; files that were cut to half precision have it floating, too
        return not tensor.is_complex()
    return tensor.is_floating_point() == own.is_floating_point() and not tensor.is_complex()


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that hold what no network has: NaN, infinity or what float32 makes of it, negative variances, half counts.

    Raises:
        WeightsError: It names them.
    """
    wild = {name for name, tensor in tensors.items() if tensor.is_floating_point() and not _is_sound(name, tensor)}
    if wild:
        raise WeightsError(
            f"{len(wild)} tensors hold values that are not finite numbers, or not possible ones ({some_of(wild)}); "
            "a training that broke down, or a damaged file"
        )


def _is_sound(name: str, tensor: Tensor) -> bool:
    if not tensor.numel():
        return True
    if name.endswith("num_batches_tracked"):
        return bool((tensor.float() == tensor.float().round()).all())
    values = tensor.float() if tensor.itemsize == 1 else tensor  # numbers of one byte have no arithmetic
    least, most = torch.aminmax(values)  # NaN wins both; and no second tensor is made
    finite = torch.isfinite(torch.stack((least, most)).float()).all()
    return bool(finite) and not (name.endswith("running_var") and least < 0)
