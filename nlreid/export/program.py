"""A model as a program of `torch.export`: its graph, for any number of clips of any length."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as _settings

from nlreid.errors import ExportError, InputError
from nlreid.export.reports import reason
from nlreid.models.network import VideoReID

_BATCH, _MORE_FRAMES = 2, 8  # of the clip that is traced with: nothing in the program depends on them


def to_program(model: VideoReID) -> ExportedProgram:
    """Export a model with `torch.export`, for any number of clips and of frames from `model.min_frames`.

    >>> import nlreid
    >>> program = to_program(nlreid.create_model("test_r3d_nl", num_classes=3))
    >>> embedding, logits = program.module()(torch.rand(1, 3, 5, 64, 32))
    >>> embedding.shape, logits.shape
    (torch.Size([1, 512]), torch.Size([1, 3]))

    Args:
        model: The model, on any device and in any mode; it is left as it is. What `nlreid.optimize_for_inference` gives will
            do, too.

    Returns:
        The program in evaluation mode, on the CPU, in float32. It takes clips `(b, 3, t, h, w)` of the model's own height and
        width, and gives a tuple: the embedding and, where the model has a classifier, the logits. What `torch.export.save`
        writes of it can be loaded without the library.

    Raises:
        InputError: If `model` is none of the library, is compiled or wrapped, computes in another type or has no values.
        ExportError: If torch cannot export it, or is too old.
    """
    return program_of(plain_copy(model))


def plain_copy(model: VideoReID) -> VideoReID:
    """A copy of a model in evaluation mode on the CPU, not compiled.

    Raises:
        InputError: As `to_program`.
        ExportError: If torch is too old.
    """
    if not hasattr(torch.compiler, "is_exporting") or not hasattr(_settings, "backed_size_oblivious"):
        raise ExportError(f"torch {torch.__version__} cannot export for any number of frames; torch 2.14 can: update it")
    if not isinstance(model, VideoReID):
        raise InputError(
            f"what is exported is a VideoReID, as create_model makes it; got {type(model).__name__}; of a wrapped one "
            "(torch.compile, DataParallel) give what is inside"
        )
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        raise InputError("the model has tensors without values, on the meta device; load its weights first")
    others = {tensor.dtype for tensor in tensors if tensor.is_floating_point()} - {torch.float32}
    if others:
        raise InputError(
            f"what is exported computes in float32; the model has {', '.join(sorted(map(str, others)))}: call model.float() "
            "first, or optimize_for_inference without dtype"
        )
    plain = copy.deepcopy(model).eval().cpu()
    for tensor in (*plain.parameters(), *plain.buffers()):
        tensor.data = tensor.data.contiguous()  # AOTInductor takes kernels that are laid out otherwise for others (torch 2.14)
    return plain


def program_of(model: VideoReID) -> ExportedProgram:
    """`to_program` of a copy from `plain_copy`."""
    spec = model.clip_spec
    # Zeros will do: shapes alone are looked at.
    clip = torch.zeros(_BATCH, 3, max(model.min_frames, _MORE_FRAMES), *spec.size)
    shapes = ({0: Dim("batch", min=1), 2: Dim("frames", min=model.min_frames)},)
    try:
        with torch.no_grad(), _any_size():
            return torch.export.export(_Plain(model), (clip,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch raises what its compiler raises
        raise ExportError(f"torch.export cannot export {model.name!r} ({reason(error)})") from error


def _any_size() -> Any:
    """Sizes that are 1 in some clips and more in others are one program: else torch would make it for more than 1 only."""
    return _settings.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]


class _Plain(nn.Module):
    """A network whose answer is a plain tuple of tensors, under the names of its own tensors."""

    def __init__(self, model: VideoReID) -> None:
        super().__init__()
        self.backbone, self.aggregate, self.head = model.backbone, model.aggregate, model.head

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        embedding, logits = self.head(self.aggregate(self.backbone(clip)))
        return (embedding,) if logits is None else (embedding, logits)
