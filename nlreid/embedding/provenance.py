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

from nlreid.data.images import FramePaths
from nlreid.data.tracklet import Tracklet
from nlreid.models.network import VideoReID

FORMAT = 1
_DIGITS = 16  # of a checksum: enough against mistakes


def describe(model: VideoReID, tracklets: Sequence[Tracklet], part: int, autocast: torch.dtype | None) -> dict[str, Any]:
    """What the embeddings of tracklets depend on, as JSON.

    Args:
        model: The network; its tensors are summed up as they are now, whatever was done to them since they were loaded.
        tracklets: What is embedded; pictures in memory are summed up, files by their names only.
        part: How many are embedded together.
        autocast: The type of mixed precision.
    """
    network = asdict(model.spec)
    clips = network.pop("clip") | {"frames": max(model.clip_spec.frames, model.backbone.min_frames)}
    clips.pop("stride")  # of training clips
    about = {
        "format": FORMAT,
        "model": model.name,
        "weights": f"{model.loaded.source}, tensors {_tensors_digest(model)}",
        "network": network,
        "clips": clips,
        "precision": str(autocast),
        "part": part,
        "tracklets": [[tracklet.name, _tracklet_digest(tracklet)] for tracklet in tracklets],
    }
    described: dict[str, Any] = json.loads(json.dumps(about, default=str))  # tuples become lists, as in the file
    return described


def _tensors_digest(model: VideoReID) -> str:
    """The weights as they are, whatever was done to them since they were loaded or drawn."""
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:_DIGITS]


def _tracklet_digest(tracklet: Tracklet) -> str:
    numbers = [None if number is None else int(number) for number in (tracklet.pid, tracklet.camid)]
    digest = sha256(repr((numbers, len(tracklet), list(map(int, tracklet.frame_numbers or ())))).encode())
    for frame in tracklet.frames.names if isinstance(tracklet.frames, FramePaths) else tracklet.frames:
        if isinstance(frame, np.ndarray):
            digest.update(f"{frame.dtype} {frame.shape}\n".encode() + frame.tobytes())
        else:
            digest.update(f"/{Path(frame).name}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:_DIGITS]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Where two descriptions differ, in words.

    Args:
        there: What was written before.
        here: From `describe`.
    """
    for key in here:
        if there.get(key) == here[key]:
            continue
        if key == "tracklets":
            yield _other_tracklets(there.get(key), here[key])
        elif isinstance(here[key], dict) and isinstance(there.get(key), dict):
            inner = [name for name in here[key] if there[key].get(name) != here[key][name]]
            yield "; ".join(f"{key}, {name}: {there[key].get(name)!r} there, {here[key][name]!r} here" for name in inner)
        else:
            seed = " (random ones: is the seed the same?)" if key == "weights" and here[key].startswith("random,") else ""
            yield f"{key}: {there.get(key)!r} there, {here[key]!r} here{seed}"


def _other_tracklets(there: Any, here: Sequence[Any]) -> str:
    there = there if isinstance(there, list) else []
    first = next(
        (row for row, both in enumerate(zip(there, here, strict=False)) if both[0] != both[1]), min(len(there), len(here))
    )
    names = [repr(rows[first][0]) if first < len(rows) else "none" for rows in (there, here)]
    return f"tracklets: {len(there)} there, {len(here)} here, the first that differs is number {first}: {names[0]}, {names[1]}"
