"""`embed_in_parts`: embedding that can be interrupted, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from nlreid.data.device import resolve_device
from nlreid.data.disk import as_path
from nlreid.data.tracklet import Tracklet
from nlreid.embedding.embeddings import Embeddings
from nlreid.embedding.extract import Running, check_model, embed_counted, made_by
from nlreid.embedding.kept_folder import PARTS, check_folder, keep_part, kept_part
from nlreid.embedding.provenance import describe
from nlreid.errors import DataError, InputError, whole_number
from nlreid.hub.progress import counting_bar
from nlreid.models.exported import ExportedModel
from nlreid.models.network import VideoReID

PART = 64  # some minutes of a large network on a CPU


def embed_in_parts(
    model: VideoReID | ExportedModel,
    tracklets: Sequence[Tracklet],
    folder: str | Path,
    *,
    part: int = PART,
    batch_size: int = 16,
    device: torch.device | str | None = None,
    autocast: torch.dtype | None = None,
    prefetch: int = 2,
    progress: bool = True,
) -> Embeddings:
    """Embed tracklets as `embed` does, and keep each part of them in a folder as soon as it is done.

    Called again after an interruption of any kind, with the same arguments, it embeds only what is not there yet. Clips of
    different parts never share a batch, so that the result is then, bit for bit, that of a run without interruption, where
    the network computes the same twice, as it does on a CPU. It is that of `embed` up to rounding, and exactly if there
    is only one part.

    The folder has `embedding.json`, which says what is embedded, and `parts/00000.safetensors`, ..., each a file that
    `Embeddings.load` reads. Another model, other weights, clips, tracklets or precision are refused, also where another
    process begins with them in the same folder at the same time: each part says what it is a part of. Pictures in memory
    are compared by their bytes; files by their names and sizes, and the first of a tracklet by the beginning of its bytes. A
    data set may be moved. Batch size and device may change: they change no more than rounding.

    Args:
        model: As for `embed`.
        tracklets: What to embed; names are unique.
        folder: Where to keep the parts; made if it is not there.
        part: Tracklets of a part: at most so many are embedded again after an interruption.
        batch_size: As for `embed`.
        device: As for `embed`.
        autocast: As for `embed`.
        prefetch: As for `embed`; nothing is made ahead of the part that it is of.
        progress: Whether to show a progress bar.

    Returns:
        What `embed` returns.

    Raises:
        InputError: As `embed`, or if `part` is below 1.
        DataError: If the folder holds something else or cannot be written, or a picture cannot be read.
    """
    check_model(model)
    part, running = whole_number("part", part), Running(batch_size, autocast, prefetch)
    if device is not None:
        model.to(resolve_device(device))
    about = describe(model, _checked(tracklets), part, autocast)
    folder = as_path("folder", folder)
    check_folder(folder, about)
    pieces = []
    with counting_bar("embedding", "tracklets", show=progress) as count:
        for number, start in enumerate(range(0, len(tracklets), part)):
            path, some = folder / PARTS / f"{number:05d}.safetensors", tracklets[start : start + part]
            people = kept_part(path, some, about)
            if people is None:
                people = embed_counted(model, some, running, partial(_count, count, start, len(tracklets)))
                keep_part(people, path, about)
            else:
                people = replace(people, model=made_by(model))  # the same tensors, perhaps from a file that has moved
            count(start + len(some), len(tracklets))
            pieces.append(people)
    return _joined(folder, pieces)


def _count(count: Callable[[int, int | None], None], start: int, total: int, done: int) -> None:
    count(start + done, total)


def _checked(tracklets: Sequence[Tracklet]) -> Sequence[Tracklet]:
    """What `embed` would refuse later, refused before anything is written."""
    if not isinstance(tracklets, Sequence) or not all(isinstance(tracklet, Tracklet) for tracklet in tracklets):
        raise InputError(f"embed_in_parts takes a list or tuple of nlreid.Tracklet objects; got {tracklets!r:.80}")
    if not tracklets:
        raise InputError("there is no tracklet to embed")
    names = set[str]()
    for tracklet in tracklets:
        if tracklet.name in names:
            raise InputError(f"names of tracklets are unique; {tracklet.name!r} came twice")
        names.add(tracklet.name)
    for kind in ("pid", "camid"):
        known = {getattr(tracklet, kind) is not None: tracklet.name for tracklet in tracklets}
        if len(known) > 1:
            raise InputError(
                f"either all tracklets have a {kind} or none has; {known[True]!r} has one, and {known[False]!r} not"
            )
    return tracklets


def _joined(folder: Path, pieces: Sequence[Embeddings]) -> Embeddings:
    kinds = {f"{people.features.shape[1]} values by {people.model}" for people in pieces}
    if len(kinds) > 1:
        raise DataError(f"{folder / PARTS}: holds parts of several kinds ({'; '.join(sorted(kinds))}); delete the folder")
    features = torch.cat([torch.as_tensor(people.features) for people in pieces])
    pids, camids = (
        None if pieces[0].pids is None else torch.cat([people.pids for people in pieces if people.pids is not None]),
        None if pieces[0].camids is None else torch.cat([people.camids for people in pieces if people.camids is not None]),
    )
    return Embeddings(features, pids, camids, [track for people in pieces for track in people.tracks], pieces[0].model)
