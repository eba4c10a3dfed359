"""`embed`: tracklets in, one vector each out (paper Sec. 4.2, testing)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from nlreid.data.clips import dense
from nlreid.data.device import resolve_device
from nlreid.data.tracklet import Tracklet
from nlreid.embedding.embeddings import Embeddings
from nlreid.embedding.track import TrackInfo
from nlreid.errors import InputError, whole_number
from nlreid.hub.progress import progress_bar
from nlreid.layers.modes import evaluating
from nlreid.models.network import VideoReID
from nlreid.models.spec import ClipSpec


def embed(
    model: VideoReID,
    tracklets: Iterable[Tracklet],
    *,
    batch_size: int = 16,
    device: torch.device | str | None = None,
    autocast: torch.dtype | None = None,
    progress: bool = True,
) -> Embeddings:
    """Embed tracklets: divide each into consecutive clips, embed them, average, scale to length one.

    Clips have `model.clip_spec.frames` frames and do not overlap; a short rest is stretched in time (see
    `nlreid.data.clips.dense`). Tracklets are taken one at a time, and let go as soon as their clips are made, so that an
    iterator over a long video needs the memory of a batch. Clips of several tracklets share a batch; the batch size changes
    results by no more than rounding.

    Args:
        model: The network. It runs in evaluation mode; it and each of its parts are left in the mode that they were in.
        tracklets: What to embed; names are unique. All have a pid, or none; the same for camids.
        batch_size: Clips that run together.
        device: Where to run; the model is moved there. By default where it is.
        autocast: `torch.bfloat16` or `torch.float16` runs the network in mixed precision.
        progress: Whether to show a progress bar.

    Returns:
        One float32 row of length one for each tracklet, in the order given, on the CPU.

    Raises:
        InputError: If `model` is none of the library, `tracklets` are no tracklets, a name comes twice, only some tracklets
            have labels, `batch_size` is no whole number from 1, there is no tracklet, `device` or `autocast` cannot be used,
            or an embedding is zero or not finite.
        DataError: If a picture cannot be read.
    """
    check_model(model)
    batch_size = whole_number("batch_size", batch_size)
    if autocast not in (None, torch.bfloat16, torch.float16):
        raise InputError(f"autocast is torch.bfloat16, torch.float16 or None; got {autocast}")
    if not isinstance(tracklets, Iterable):
        raise _no_tracklets(tracklets)
    if device is not None:
        model.to(resolve_device(device))
    sums = _Sums()
    counted = progress_bar(tracklets, "embedding", "tracklets", show=progress)
    with closing(counted), evaluating(model), torch.inference_mode():
        for clips, rows in _batches(counted, model, batch_size, sums):
            sums.add(_run(model, clips, autocast), rows)
    if not sums.tracks:
        raise InputError("there is no tracklet to embed")
    return Embeddings(sums.normalised(), sums.labels("pid"), sums.labels("camid"), tuple(sums.tracks), made_by(model))


def check_model(model: object) -> None:
    """Refuse what does not say which clips it wants; a compiled model does, though it is of another type.

    Raises:
        InputError: If it is no model of the library.
    """
    if not isinstance(model, nn.Module) or not isinstance(getattr(model, "clip_spec", None), ClipSpec):
        raise InputError(f"the model to embed with is one of nlreid.create_model; got {type(model).__qualname__}")


def _no_tracklets(given: object) -> InputError:
    readers = "as the readers of nlreid.data.datasets give"
    return InputError(f"embed takes nlreid.Tracklet objects, {readers}, in a list or other iterable; got {given!r:.80}")


def made_by(model: VideoReID) -> str:
    """Name and weights of a model; the checksum, too, since a path can hold other weights tomorrow."""
    checksum = f" (sha256 {model.loaded.sha256[:12]})" if model.loaded.sha256 else ""
    return f"{model.name}, weights: {model.loaded.source}{checksum}"


@dataclass
class _Sums:
    """The clips' embeddings, added up for each tracklet in the order of its clips."""

    tracks: list[TrackInfo] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    known: list[tuple[int | None, int | None]] = field(default_factory=list)  # pid and camid of each

    def begin(self, tracklet: Tracklet) -> int:
        """Make a row for a tracklet, if what is known about it is what is known about the others."""
        facts = (tracklet.pid, tracklet.camid)
        if self.known and [fact is None for fact in facts] != [fact is None for fact in self.known[0]]:
            first, own = (f"pid {pid} and camid {camid}" for pid, camid in (self.known[0], facts))
            raise InputError(
                f"either all tracklets have a pid (and camid) or none has; "
                f"{self.tracks[0].name!r} has {first}, {tracklet.name!r} has {own}"
            )
        numbers = tracklet.frame_numbers or (None,)
        self.tracks.append(TrackInfo(tracklet.name, len(tracklet), numbers[0], numbers[-1]))
        self.known.append(facts)
        return len(self.tracks) - 1

    def labels(self, kind: Literal["pid", "camid"]) -> Tensor | None:
        values = [facts[kind == "camid"] for facts in self.known]
        return None if None in values else torch.tensor(values)

    def add(self, embeddings: Tensor, rows: list[int]) -> None:
        for embedding, row in zip(embeddings, rows, strict=True):
            if not embedding.isfinite().all():  # said at once, not at the end of a long video
                raise self._unsound(row)
            if row == len(self.features):
                self.features.append(embedding.clone())
            else:
                self.features[row] += embedding

    def normalised(self) -> Tensor:
        features = torch.stack(self.features).double()  # whose squares neither overflow nor vanish
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        sound = (lengths > 0) & lengths.isfinite()
        if not sound.all():
            raise self._unsound(int(sound.flatten().int().argmin()))
        unit: Tensor = features / lengths
        return unit.float()

    def _unsound(self, row: int) -> InputError:
        return InputError(
            f"the embedding of track {self.tracks[row].name!r} is zero or not finite; "
            "are the model's weights, or autocast to float16, sound?"
        )


def _batches(
    tracklets: Iterable[Tracklet], model: VideoReID, batch_size: int, sums: _Sums
) -> Iterator[tuple[list[Tensor], list[int]]]:
    clips: list[Tensor] = []
    rows: list[int] = []
    names: set[str] = set()
    for tracklet in tracklets:
        if not isinstance(tracklet, Tracklet):
            raise _no_tracklets(tracklet)
        if tracklet.name in names:
            raise InputError(f"names of tracklets are unique; {tracklet.name!r} came twice")
        names.add(tracklet.name)
        row = sums.begin(tracklet)
        for clip in _clips(tracklet, model):
            clips.append(clip)
            rows.append(row)
            if len(clips) == batch_size:
                yield clips, rows
                clips, rows = [], []
        del tracklet  # its pictures go before those of the next one come
    if clips:
        yield clips, rows


def _clips(tracklet: Tracklet, model: VideoReID) -> Iterator[Tensor]:
    spec = model.clip_spec
    transform = spec.transform()
    for indices in dense(len(tracklet), max(spec.frames, model.backbone.min_frames)):
        yield transform(tracklet.read(indices, spec.size))  # (3, t, h, w)


def _run(model: VideoReID, clips: list[Tensor], autocast: torch.dtype | None) -> Tensor:
    device = next(model.parameters()).device
    batch = torch.stack(clips).to(device, next(model.parameters()).dtype)  # (b, 3, t, h, w)
    with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
        output = model(batch)
    embedding: Tensor = output.embedding
    return embedding.float().cpu()
