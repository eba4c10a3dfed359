"""`embed`: tracklets in, one vector each out (paper Sec. 4.2, testing)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

from nlreid.data.device import resolve_device
from nlreid.data.tracklet import Tracklet
from nlreid.embedding.batches import Batch, Known, batches, no_tracklets
from nlreid.embedding.embeddings import Embeddings
from nlreid.embedding.prefetch import prefetched
from nlreid.embedding.transfer import Upload
from nlreid.errors import InputError, whole_number
from nlreid.hub.progress import counting_bar
from nlreid.layers.modes import evaluating
from nlreid.models.exported import ExportedModel
from nlreid.models.network import VideoReID
from nlreid.models.spec import ClipSpec


def embed(
    model: VideoReID | ExportedModel,
    tracklets: Iterable[Tracklet],
    *,
    batch_size: int = 16,
    device: torch.device | str | None = None,
    autocast: torch.dtype | None = None,
    prefetch: int = 2,
    progress: bool = True,
) -> Embeddings:
    """Embed tracklets: divide each into consecutive clips, embed them, average, scale to length one.

    Clips have `model.clip_spec.frames` frames and do not overlap; a short rest is stretched in time (see
    `nlreid.data.clips.dense`). Clips of several tracklets share a batch; the batch size changes results by no more than
    rounding.

    Tracklets are read, and their clips made, in a thread of their own while the network runs. They are taken one at a time,
    and let go as soon as their clips are made. Whatever the length of a video, no more is held than the tracklet that is
    being read, `prefetch` batches that wait or are being made, the batch that runs, and what the iterator over the tracklets
    holds itself. An iterator that is a generator is closed at the end, also after an error, in the thread that ran it, which
    has ended when `embed` returns. The result does not depend on `prefetch`.

    Args:
        model: The network, or what `nlreid.export.load_onnx` opened. It runs in evaluation mode; it and each of its parts are
            left in the mode that they were in.
        tracklets: What to embed; names are unique. All have a pid, or none; the same for camids.
        batch_size: Clips that run together.
        device: Where to run; the model is moved there. By default where it is.
        autocast: `torch.bfloat16` or `torch.float16` runs the network in mixed precision.
        prefetch: How many batches are made ahead of the one that runs. 0 starts no thread: everything happens in the calling
            one, in turn, for an iterator that must run there, or to hold one batch and no more.
        progress: Whether to show a progress bar.

    Returns:
        One float32 row of length one for each tracklet, in the order given, on the CPU.

    Raises:
        InputError: If `model` is none of the library, `tracklets` are no tracklets, a name comes twice, only some tracklets
            have labels, `batch_size` is no whole number from 1 or `prefetch` none from 0, there is no tracklet, `device` or
            `autocast` cannot be used, or an embedding is zero or not finite.
        DataError: If a picture cannot be read.
    """
    check_model(model)
    running = Running(batch_size, autocast, prefetch)
    if not isinstance(tracklets, Iterable):
        raise no_tracklets(tracklets)
    if device is not None:
        model.to(resolve_device(device))
    total = (len(tracklets) or None) if isinstance(tracklets, Sized) else None
    with counting_bar("embedding", "tracklets", show=progress) as count:
        return embed_counted(model, tracklets, running, lambda done: count(done, total))


@dataclass(frozen=True)
class Running:
    """How a network runs over clips; for the fields see `embed`.

    Raises:
        InputError: If one of them cannot be.
    """

    batch_size: int
    autocast: torch.dtype | None
    prefetch: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size))
        object.__setattr__(self, "prefetch", whole_number("prefetch", self.prefetch, least=0))
        if self.autocast not in (None, torch.bfloat16, torch.float16):
            raise InputError(f"autocast is torch.bfloat16, torch.float16 or None; got {self.autocast}")


def embed_counted(
    model: VideoReID | ExportedModel, tracklets: Iterable[Tracklet], running: Running, count: Callable[[int], None]
) -> Embeddings:
    """`embed`, of a model and tracklets that were looked at; `count` is told how many are done, whenever that may change."""
    sums = _Sums()
    count(0)
    place = _place(model)
    upload = Upload(place.device, place.dtype)
    made = batches(tracklets, model.clip_spec, model.min_frames, running.batch_size, pinned=upload.pinned)
    with evaluating(model), torch.inference_mode(), closing(prefetched(upload.begin(made), running.prefetch)) as ready:
        for batch in ready:
            sums.add(_run(model, upload.finish(batch), running.autocast), batch)
            count(batch.rows[-1])  # more of its clips may be to come
            del batch  # it goes before the next one is waited for
    if not sums.known:
        raise InputError("there is no tracklet to embed")
    count(len(sums.known))
    return sums.embeddings(made_by(model))


def check_model(model: object) -> None:
    """Refuse what does not say which clips it wants; a compiled model does, though it is of another type.

    Raises:
        InputError: If it is no model of the library.
    """
    if not isinstance(model, nn.Module) or not isinstance(getattr(model, "clip_spec", None), ClipSpec):
        raise InputError(f"the model to embed with is one of nlreid.create_model; got {type(model).__qualname__}")


def made_by(model: VideoReID | ExportedModel) -> str:
    """Name and weights of a model; the checksum, too, since a path can hold other weights tomorrow."""
    checksum = f" (sha256 {model.loaded.sha256[:12]})" if model.loaded.sha256 else ""
    return f"{model.name}, weights: {model.loaded.source}{checksum}"


@dataclass
class _Sums:
    """The clips' embeddings, added up for each tracklet in the order of its clips."""

    known: list[Known] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)

    def add(self, embeddings: Tensor, batch: Batch) -> None:
        self.known += batch.begun
        for embedding, row in zip(embeddings, batch.rows, strict=True):
            if not embedding.isfinite().all():  # said at once, not at the end of a long video
                raise self._unsound(row)
            if row == len(self.features):
                self.features.append(embedding.clone())
            else:
                self.features[row] += embedding

    def embeddings(self, model: str) -> Embeddings:
        tracks = tuple(known.track for known in self.known)
        return Embeddings(self._normalised(), self._labels("pid"), self._labels("camid"), tracks, model)

    def _labels(self, kind: Literal["pid", "camid"]) -> Tensor | None:
        values = [getattr(known, kind) for known in self.known]
        return None if None in values else torch.tensor(values)

    def _normalised(self) -> Tensor:
        features = torch.stack(self.features).double()  # whose squares neither overflow nor vanish
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        sound = (lengths > 0) & lengths.isfinite()
        if not sound.all():
            raise self._unsound(int(sound.flatten().int().argmin()))
        unit: Tensor = features / lengths
        return unit.float()

    def _unsound(self, row: int) -> InputError:
        return InputError(
            f"the embedding of track {self.known[row].track.name!r} is zero or not finite; "
            "are the model's weights, or autocast to float16, sound?"
        )


def _run(model: VideoReID | ExportedModel, clips: Tensor, autocast: torch.dtype | None) -> Tensor:
    place = _place(model)
    batch = clips.to(place.device, place.dtype)  # (b, 3, t, h, w)
    with torch.autocast(place.device.type, dtype=autocast, enabled=autocast is not None):
        output = model(batch)
    embedding: Tensor = output.embedding
    return embedding.float().cpu()


def _place(model: nn.Module) -> Tensor:
    """A tensor of the device and type that the network computes on and in; one from a file has no parameters."""
    return next(chain(model.parameters(), model.buffers()))
