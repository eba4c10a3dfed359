"""A folder of files of embeddings, read as one: rows and names stay in the files until they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlreid.data.disk import contents, is_file, read_text
from nlreid.embedding.embeddings_file import read_embeddings
from nlreid.embedding.mapped import MappedRows, SameFile, ShardedTracks
from nlreid.embedding.provenance import digest_of
from nlreid.embedding.track import TrackInfo
from nlreid.errors import DataError, InputError
from nlreid.evaluation.stacked import Stacked

ABOUT = "embedding.json"
PARTS = "parts"
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Sharded:
    """What a folder holds; for the fields see `nlreid.Embeddings`."""

    features: Stacked
    pids: Tensor | None
    camids: Tensor | None
    tracks: Sequence[TrackInfo]
    model: str


def read_shards(folder: Path) -> Sharded:
    """The embeddings of a folder: a kept one of `embed_in_parts`, or files of `Embeddings.save`, in the order of their names.

    Raises:
        DataError: If there is none, a kept folder is not finished, a file is damaged, or files do not belong together: made by
            another model, of another width or type, with other labels, or a name comes twice.
    """
    kept = is_file(folder / ABOUT)
    paths = _kept_paths(folder) if kept else [folder / name for name in _files(folder)]
    if not paths:
        raise DataError(f"{folder}: a folder without files of embeddings (*{_SUFFIX})")
    digest = digest_of(_description(folder)) if kept else ""
    opened = [_Shard(SameFile(path)) for path in paths]
    for shard in opened:
        _check_alike(opened[0], shard, digest)
    starts = np.concatenate([[0], np.cumsum([shard.rows.shape[0] for shard in opened])])
    tracks = ShardedTracks([shard.file for shard in opened], starts) if opened[0].names is not None else ()
    _check_unique(opened)
    pids, camids = (_joined([shard.labels.get(kind) for shard in opened]) for kind in ("pids", "camids"))
    return Sharded(Stacked([shard.rows for shard in opened]), pids, camids, tracks, opened[0].model)


class _Shard:
    """One file: its labels, and of the names only the hashes, which are small."""

    def __init__(self, file: SameFile) -> None:
        self.file, path = file, file.path
        held = read_embeddings(path)
        self.path, self.model, self.part_of = path, held.model, held.part_of
        features = held.tensors["features"]
        self.labels = {name: tensor.clone() for name, tensor in held.tensors.items() if name != "features"}
        try:
            if features.ndim != 2 or not len(features) or not features.is_floating_point():
                raise InputError(
                    f"features are floating point (n, d), n at least 1; got {features.dtype} {tuple(features.shape)}"
                )
            if any(tensor.shape != (len(features),) for tensor in self.labels.values()):
                raise InputError(f"pids and camids have an entry for each of {len(features)} features")
            names = [TrackInfo(**track).name for track in held.tracks]
            if names and len(names) != len(features):
                raise InputError(f"there are {len(names)} tracks for {len(features)} features")
        except (TypeError, InputError) as error:
            raise DataError(f"{path}: not a file of embeddings, or a damaged one ({error})") from error
        self.names = np.fromiter(map(hash, names), np.int64, len(names)) if names else None
        self.rows = MappedRows(file, features)

    def kind(self) -> dict[str, Any]:
        """What files of one folder have in common."""
        about = {"numbers a row": self.rows.shape[1], "type": self.rows.dtype, "labels": sorted(self.labels)}
        return {**about, "names": self.names is not None}


def _check_alike(first: _Shard, shard: _Shard, digest: str) -> None:
    if digest and shard.part_of != digest:
        raise DataError(
            f"{shard.path}: is no part of what {ABOUT} describes, but of embeddings by another model, of other pictures or "
            "otherwise made; delete it, and embed again: only its tracklets are"
        )
    if not digest and shard.model != first.model:
        raise DataError(
            f"{shard.path}: made by {shard.model!r}, and {first.path.name} by {first.model!r}; embeddings of different models "
            "cannot be compared: give each model a folder"
        )
    for (what, there), here in zip(first.kind().items(), shard.kind().values(), strict=True):
        if there != here:
            raise DataError(f"{shard.path}: {what}: {here}, and of {first.path.name} {there}; give each kind a folder")


def _check_unique(opened: Sequence[_Shard]) -> None:
    hashes = [(shard, shard.names) for shard in opened if shard.names is not None]
    if not hashes:
        return
    values, counts = np.unique(np.concatenate([names for _, names in hashes]), return_counts=True)
    twice, seen = values[counts > 1], dict[str, str]()
    for shard, names in hashes if len(twice) else ():
        for row in np.flatnonzero(np.isin(names, twice)).tolist():
            name = read_embeddings(shard.path).tracks[row]["name"]
            if name in seen:
                raise DataError(
                    f"{shard.path}: the name {name!r} is in {seen[name]} too; names of tracks are unique in a folder"
                )
            seen[name] = shard.path.name


def _joined(labels: Sequence[Tensor | None]) -> Tensor | None:
    there = [values for values in labels if values is not None]
    return torch.cat(there) if there else None


def _files(folder: Path) -> list[str]:
    return sorted(name for name in contents(folder).files if name.endswith(_SUFFIX) and not name.startswith("."))


def _kept_paths(folder: Path) -> list[Path]:
    about = _description(folder)
    count = -(-len(about["tracklets"]) // about["part"])
    there, wanted = set(_files(folder / PARTS)), [f"{number:05d}{_SUFFIX}" for number in range(count)]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {count} parts are not there yet ({missing[0]}); embed again in the same way, and it "
            "goes on from there"
        )
    return [folder / PARTS / name for name in wanted]


def _description(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads(read_text(folder / ABOUT))
        if not isinstance(about["tracklets"], list) or type(about["part"]) is not int or about["part"] < 1:
            raise ValueError("it does not say which tracklets, and how many are a part")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{folder / ABOUT}: does not say what the embeddings beside it are of ({error})") from error
    return dict(about)
