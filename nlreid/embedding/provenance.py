"""All that embeddings depend on, as data: by it, embeddings of a later run are known to be of the same kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlreid.data.disk import reading
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError
from nlreid.inflation.plans import resolve_plan
from nlreid.models.exported import ExportedModel
from nlreid.models.network import VideoReID

FORMAT = 2
_DIGITS = 16  # of a checksum: enough against mistakes
_BEGINNING = 65_536  # bytes that are read of the first picture of a tracklet
_PLACE, _SOURCE = "pictures in", "weights from"  # told, not compared: files may move


def describe(
    model: VideoReID | ExportedModel, tracklets: Sequence[Tracklet], part: int, autocast: torch.dtype | None
) -> dict[str, Any]:
    """What the embeddings of tracklets depend on, as JSON.

    Of picture files the names and sizes are seen, and of each tracklet the beginning of the first file; not the folder, so
    that a data set may move. What is not seen is a later picture that was changed without changing its size. It costs a
    look at each file, a few microseconds on a disk of the machine.

    Args:
        model: The network; its tensors are summed up as they are now, whatever was done to them since they were loaded. Of one
            in a file, the bytes of the file are.
        tracklets: What is embedded; pictures in memory are summed up whole.
        part: How many are embedded together.
        autocast: The type of mixed precision.

    Raises:
        InputError: If a frame is neither an array nor a path.
        DataError: If a picture file is not there.
    """
    network = _network(model)
    clips = network.pop("clip") | {"frames": max(model.clip_spec.frames, model.min_frames)}
    clips.pop("stride")  # of training clips
    about = {
        "format": FORMAT,
        "model": model.name,
        "weights": model.loaded.sha256[:_DIGITS] if isinstance(model, ExportedModel) else _tensors_digest(model),
        _SOURCE: model.loaded.source,
        "network": network,
        "clips": clips,
        "precision": str(autocast),
        "part": part,
        "tracklets": [[tracklet.name, _labels_digest(tracklet), _pictures_digest(tracklet)] for tracklet in tracklets],
        _PLACE: next((str(frame.parent.absolute()) for frame in map(_first, tracklets) if isinstance(frame, Path)), None),
    }
    described: dict[str, Any] = json.loads(json.dumps(about, default=str))  # tuples become lists, as in the file
    return described


def digest_of(about: Mapping[str, Any]) -> str:
    """A checksum of all that matters of a description, for the parts of what it describes."""
    matters = {key: value for key, value in about.items() if key not in (_PLACE, _SOURCE)}
    return sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _network(model: VideoReID | ExportedModel) -> dict[str, Any]:
    """What the network is, as data."""
    if isinstance(model, ExportedModel):
        return asdict(model.about)
    return asdict(model.spec) | {"plan": asdict(resolve_plan(model.spec.plan))}  # a plan may be given by its name


def _tensors_digest(model: VideoReID) -> str:
    """The weights as they are, whatever was done to them since they were loaded or drawn."""
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:_DIGITS]


def _labels_digest(tracklet: Tracklet) -> str:
    numbers = [None if number is None else int(number) for number in (tracklet.pid, tracklet.camid)]
    facts = (numbers, len(tracklet), list(map(int, tracklet.frame_numbers or ())))
    return sha256(repr(facts).encode()).hexdigest()[:_DIGITS]


def _pictures_digest(tracklet: Tracklet) -> str:
    digest = sha256()
    for place, frame in enumerate(tracklet.frames):
        if isinstance(frame, np.ndarray):
            digest.update(f"{frame.dtype} {frame.shape}\n".encode() + frame.tobytes())
        elif isinstance(frame, str | Path):
            digest.update(_file_facts(Path(frame), beginning=not place))
        else:
            raise InputError(
                f"frame {place} of tracklet {tracklet.name!r} must be a NumPy array or a path; got {type(frame).__qualname__}"
            )
    return digest.hexdigest()[:_DIGITS]


def _first(tracklet: Tracklet) -> object:
    frame = tracklet.frames[0]
    return Path(frame) if isinstance(frame, str) else frame


def _file_facts(path: Path, *, beginning: bool) -> bytes:
    with reading(path):
        facts = f"/{path.name} {path.stat().st_size}\n".encode(errors="surrogateescape")
        if beginning:
            with path.open("rb") as file:
                facts += file.read(_BEGINNING)
    return facts


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Where two descriptions differ, in words.

    Args:
        there: What was written before.
        here: From `describe`.
    """
    for key in here:
        if key in (_PLACE, _SOURCE) or there.get(key) == here[key]:
            continue
        if key == "tracklets":
            yield _other_tracklets(there, here)
        elif key == "weights":
            old, new = (f"{about.get(_SOURCE)} (tensors {about.get(key)})" for about in (there, here))
            seed = "; are random ones of the same seed?" if here.get(_SOURCE) == "random" else ""
            yield f"weights: {old} there, {new} here{seed}"
        else:
            yield from _inner(key, there.get(key), here[key])


def _inner(name: str, there: Any, here: Any) -> Iterator[str]:
    """The innermost values that differ."""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        yield f"{name}: {there!r} there, {here!r} here"
        return
    for key in here:
        if there.get(key) != here[key]:
            yield from _inner(f"{name}, {key}", there.get(key), here[key])


def _other_tracklets(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    old, new = (about["tracklets"] if _rows(about.get("tracklets")) else [] for about in (there, here))
    first = next((row for row, both in enumerate(zip(old, new, strict=False)) if both[0] != both[1]), min(len(old), len(new)))
    before, now = (rows[first] if first < len(rows) else None for rows in (old, new))
    names = [repr(row[0]) if row else "none" for row in (before, now)]
    said = f"tracklets: {len(old)} there, {len(new)} here, the first that differs is number {first}: {names[0]}, {names[1]}"
    if before is None or now is None or before[0] != now[0]:
        return said
    if before[1] != now[1]:
        return f"{said}, of another pid, camid, length or frame numbers"
    where = f", then in {there.get(_PLACE)}, now in {here[_PLACE]}" if there.get(_PLACE) != here[_PLACE] else ""
    return f"{said}, of other pictures{where}"


def _rows(tracklets: Any) -> bool:
    return isinstance(tracklets, list) and all(isinstance(row, list) and len(row) == 3 for row in tracklets)
