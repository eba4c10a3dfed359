"""`ExportedModel`: a network in a file, called as a `VideoReID` is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlreid.data.disk import as_path, is_file, is_folder, reading
from nlreid.errors import DataError, InputError
from nlreid.layers.heads import ReIDOutput
from nlreid.models.exported.about import About
from nlreid.models.network import LoadReport
from nlreid.models.spec import ClipSpec

Run = Callable[[Tensor], Sequence[Tensor]]


class ExportedModel(nn.Module):
    """A network of which only the file is there; `nlreid.embed` takes it in place of a model.

    It runs on the CPU, in float32, on clips of its own size and any number of frames from `min_frames`. It has no parameters,
    and cannot be trained.

    Args:
        run: From a clip to the embedding and, where there is a classifier, the logits.
        about: What the file says about the network.
        path: The file.
        digest: SHA-256 of the file.

    Attributes:
        about: What the file says about the network.
        name: Name of the model.
        loaded: The file and its checksum, as `model.loaded` has them of weights.
    """

    def __init__(self, run: Run, about: About, path: Path, digest: str) -> None:
        super().__init__()
        self._run = run
        self.about = about
        self.name = about.name
        self.loaded = LoadReport(str(path), sha256=digest, licence=about.licence)
        self.register_buffer("_place", torch.empty(0), persistent=False)  # says where it runs, as the tensors of others do

    @property
    def clip_spec(self) -> ClipSpec:
        """Frames, stride, size, mean and std of the clips that it wants; `clip_spec.transform()` makes them."""
        return self.about.clip

    @property
    def min_frames(self) -> int:
        """The shortest clip that it takes, in frames."""
        return self.about.min_frames

    @property
    def embedding_dim(self) -> int:
        """Size of the embedding."""
        return self.about.embedding_dim

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 when there is none."""
        return self.about.num_classes

    def forward(self, clip: Tensor) -> ReIDOutput:
        """Embed a batch of clips.

        Args:
            clip: `(b, 3, t, h, w)`, float32 on the CPU, normalised with the model's mean and std.

        Returns:
            What the model answers: `ReIDOutput(embedding, logits)`.

        Raises:
            InputError: If the clip has another shape or type than those that the file was made for.
        """
        self._check(clip)
        embedding, *logits = self._run(clip.detach().contiguous())
        return ReIDOutput(embedding, logits[0] if logits else None)

    def _check(self, clip: Tensor) -> None:
        height, width = self.about.clip.size
        wanted = f"(b, 3, t, {height}, {width}) with t from {self.min_frames}, float32 on the CPU"
        sound = isinstance(clip, Tensor) and clip.ndim == 5 and (clip.dtype, clip.device.type) == (torch.float32, "cpu")
        if not sound or (clip.shape[1], *clip.shape[3:]) != (3, height, width) or clip.shape[2] < self.min_frames:
            shape = tuple(getattr(clip, "shape", ()))
            raise InputError(
                f"this file takes clips {wanted}; got {getattr(clip, 'dtype', type(clip).__qualname__)} {shape} "
                f"on {getattr(clip, 'device', 'none')}"
            )
        if torch.is_autocast_enabled("cpu"):
            raise InputError("an exported network computes in float32, whatever autocast says; leave autocast out")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ExportedModel:  # noqa: ARG002 - as in torch
        """What `.to()` calls: it stays where it is."""
        place = fn(self.get_buffer("_place"))
        if (place.device.type, place.dtype) != ("cpu", torch.float32):
            raise InputError(f"an exported network runs on the CPU in float32; {place.dtype} on {place.device} was asked for")
        return self

    def __getstate__(self) -> Any:
        raise TypeError(f"an exported network is its file, {self.loaded.source}; load that where it is needed")


def contents_of(path: str | Path, kind: str) -> tuple[Path, bytes, str]:
    """A file, its bytes and their SHA-256.

    Args:
        path: The file.
        kind: What it should be, for the message.

    Raises:
        InputError: If it is no path.
        DataError: If it is missing or cannot be read.
    """
    path = as_path("path", path)
    if not is_file(path):
        came = "a folder, not a file" if is_folder(path) else "no such file"
        raise DataError(f"{path}: {came}; {kind} is written by `nlreid export MODEL -o FILE` or by nlreid.export")
    with reading(path):
        content = path.read_bytes()
    return path, content, sha256(content).hexdigest()
