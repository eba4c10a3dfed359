"""What was exported must answer as the model does, at two numbers of clips and two lengths; tried on every export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nlreid.errors import DataError, ExportError, InputError, real_number
from nlreid.models.exported import ExportedModel
from nlreid.models.network import VideoReID

TOLERANCE = 1e-4
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Args:
        path: The file.
        difference: The largest difference to the model's answers that was seen, as a share of their largest value.
    """

    path: Path
    difference: float


def check_parity(model: VideoReID, exported: ExportedModel, path: Path, tolerance: float) -> float:
    """The largest difference between what the two answer to the same clips, relative to the largest value of each answer.

    Args:
        model: The model, in evaluation mode, on the CPU.
        exported: What it was exported to.
        path: The file, for the message.
        tolerance: The largest difference that is allowed.

    Raises:
        ExportError: If it is larger, or not a number, or what was exported does not run.
    """
    largest = 0.0
    for clip in clips_of(model):
        with torch.inference_mode():
            wanted = [answer for answer in model(clip) if answer is not None]
        try:
            answers = [answer for answer in exported(clip) if answer is not None]
        except DataError as error:
            raise ExportError(f"not written: {error}") from error
        difference = _difference(answers, wanted)
        if not difference <= tolerance:
            raise ExportError(
                f"{path}: not written: for {clip.shape[0]} clips of {clip.shape[2]} frames the export answers otherwise than "
                f"{model.name!r}: relative difference {difference:.2g}, allowed {tolerance:g}"
            )
        largest = max(largest, difference)
    return largest


def clips_of(model: VideoReID) -> list[Tensor]:
    """A clip as the model wants it, and two of another length, an odd one where that is the shortest or next to it."""
    frames, least = max(model.clip_spec.frames, model.min_frames), model.min_frames
    other = least + 1 if least + 1 != frames else frames + 1
    generator = torch.Generator().manual_seed(0)
    size = model.clip_spec.size
    return [torch.randn(batch, 3, t, *size, generator=generator) for batch, t in ((1, frames), (2, other))]


def _difference(answers: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    if [answer.shape for answer in answers] != [answer.shape for answer in wanted]:
        return float("inf")
    shares = [
        (ours - theirs).abs().max() / theirs.abs().max().clamp_min(_TINY)  # a classifier may begin with zeros
        for ours, theirs in zip(answers, wanted, strict=True)
    ]
    return float(torch.stack(shares).max())


def checked_tolerance(tolerance: float) -> float:
    """`tolerance` as a float, if it is a number of 0 or more.

    Raises:
        InputError: If it is anything else.
    """
    number = real_number("tolerance", tolerance, "a finite number from 0")
    if number < 0:
        raise InputError(f"tolerance is a finite number from 0; got {tolerance!r}")
    return number
