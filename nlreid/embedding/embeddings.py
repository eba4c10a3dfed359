"""`Embeddings`: vectors with the identities and cameras that they are of, as `embed` answers and `evaluate` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.data.disk import as_path, is_folder
from nlreid.embedding.embeddings_file import Contents, read_embeddings, write_embeddings
from nlreid.embedding.mapped import ShardedTracks
from nlreid.embedding.shards import read_shards
from nlreid.embedding.track import TrackInfo
from nlreid.errors import DataError, InputError, unknown_name
from nlreid.evaluation.labelled import whole_numbers
from nlreid.evaluation.stacked import Stacked, in_memory

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_BLOCK = 8192  # rows that are looked at together


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector a tracklet, and what is known about each.

    >>> people = Embeddings(torch.eye(2), pids=[7, 9], camids=[1, 1])
    >>> len(people), people.pids
    (2, tensor([7, 9]))

    Args:
        features: Floating point `(n, d)`, finite: a tensor, a NumPy array, which may be mapped from a file of any size, or
            `nlreid.evaluation.Stacked`, rows that lie in several files. `embed` gives float32 rows of length one.
        pids: The person's identity of each row, whole numbers `(n,)`, or None where identities are not known.
        camids: The camera's number of each row, `(n,)`, or None.
        tracks: Where each row comes from; names are unique. May be left out.
        model: What made them: name and weights of the model.

    Raises:
        InputError: If `features` has another type or shape, is sparse, without data or not finite, the lengths differ, a pid
            or camid is no whole number of 64 bits, a track is none, a name comes twice, or `model` is no text.
    """

    features: Tensor | NDArray[np.floating[Any]] | Stacked
    pids: Tensor | None = None
    camids: Tensor | None = None
    tracks: Sequence[TrackInfo] = ()
    model: str = ""

    def __post_init__(self) -> None:
        for name in ("pids", "camids"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, torch.from_numpy(whole_numbers(name, getattr(self, name))))
        if not isinstance(self.model, str):
            raise InputError(f"model is text, the name and weights of what made the embeddings; got {self.model!r:.80}")
        self._check_tracks()
        self._check_features()
        for name in ("pids", "camids"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self):
                raise InputError(f"{name} has an entry for each of {len(self)} features; got {len(value)}")

    def _check_tracks(self) -> None:
        if isinstance(self.tracks, ShardedTracks):  # each file's were looked at when it was opened
            return
        if not isinstance(self.tracks, Sequence) or not all(isinstance(track, TrackInfo) for track in self.tracks):
            raise InputError(f"tracks are a sequence of nlreid.embedding.TrackInfo, or (); got {self.tracks!r:.80}")
        names = [track.name for track in self.tracks]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"names of tracks are unique; given more than once: {', '.join(twice[:5])}")

    def _check_features(self) -> None:
        if isinstance(self.features, Tensor):
            sound = self.features.dtype in FLOATS
            if self.features.layout != torch.strided or self.features.is_meta:
                raise InputError(f"features are a dense tensor with data; got {self.features.layout} on {self.features.device}")
        else:
            usual = isinstance(self.features, np.ndarray) and self.features.dtype in (np.float16, np.float32, np.float64)
            sound = usual or (isinstance(self.features, Stacked) and self.features.dtype in FLOATS)
        if not sound or self.features.ndim != 2:
            kind = f"{getattr(self.features, 'dtype', type(self.features).__qualname__)} {tuple(np.shape(self.features))}"
            raise InputError(f"features are a floating-point tensor or NumPy array (n, d); got {kind}")
        if self.tracks and len(self.tracks) != len(self.features):
            raise InputError(
                f"features (n, d) have a row for each of {len(self.tracks)} tracks; got {tuple(self.features.shape)}"
            )
        if isinstance(self.features, Stacked):  # perhaps larger than any memory: who reads rows looks at them
            return
        for start in range(0, len(self.features), _BLOCK):  # in blocks, so that a mapped file is not brought into memory
            block = self.features[start : start + _BLOCK]
            finite = block.isfinite() if isinstance(block, Tensor) else np.isfinite(block)
            if not finite.all():
                row = start + int(finite.all(1).tolist().index(False))
                raise InputError(f"features are finite; those of {self._called(row)} are not")

    def _called(self, row: int) -> str:
        return f"track {self.tracks[row].name!r}" if self.tracks else f"row {row}"

    def __repr__(self) -> str:
        known = [name for name in ("pids", "camids", "tracks") if getattr(self, name) is not None and len(getattr(self, name))]
        return f"Embeddings({' x '.join(map(str, self.features.shape))} {self.features.dtype}, {known}, model={self.model!r})"

    def __len__(self) -> int:
        return len(self.features)

    def index(self, name: str) -> int:
        """The row of a track.

        Raises:
            UnknownNameError: If there is no track of that name.
        """
        for row, track in enumerate(self.tracks):
            if track.name == name:
                return row
        names = [track.name for track in self.tracks]
        few = f"{', '.join(names[:20])}{' …' * (len(names) > 20)}"
        raise unknown_name("track", name, names, f"There are {len(names)}: {few}.")

    def select(self, rows: Sequence[int] | Tensor | NDArray[np.integer[Any]]) -> Embeddings:
        """Some of the rows, in the order asked for; in memory, also where the others are in files.

        >>> Embeddings(torch.eye(3), pids=[7, 9, 4]).select([2, 0]).pids
        tensor([4, 7])

        Args:
            rows: Whole numbers `(m,)` from 0, each once; a mask is none: give `mask.nonzero().flatten()`.

        Raises:
            InputError: If a row is no whole number, is not there or comes twice.
        """
        places = torch.from_numpy(whole_numbers("rows", rows))
        outside = places[(places < 0) | (places >= len(self))]
        if len(outside):
            raise InputError(f"rows are from 0 to {len(self) - 1}; row {int(outside[0])} was asked for")
        values, counts = np.unique(places.numpy(), return_counts=True)
        if len(values) < len(places):
            twice = ", ".join(map(str, values[counts > 1][:5].tolist()))
            raise InputError(f"each row is selected once; given more than once: {twice}")
        features = self.features[places if isinstance(self.features, Tensor) else places.numpy()]
        pids, camids = (None if values is None else values[places] for values in (self.pids, self.camids))
        tracks = tuple(self.tracks[row] for row in places.tolist()) if self.tracks else ()
        return Embeddings(features, pids, camids, tracks, self.model)

    def save(self, path: str | Path) -> None:
        """Write them as a safetensors file: `features`, `pids` and `camids` as tensors, the rest as JSON in its metadata.

        The file is written under a temporary name and renamed, so that it is whole or not there. The same embeddings give
        the same bytes.

        Raises:
            InputError: If `path` is none.
            DataError: If the file cannot be written.
        """
        write_embeddings(path, self.contents())

    def contents(self, part_of: str = "") -> Contents:
        """What is written into the file.

        Args:
            part_of: The digest of the description of what they are a part of, where they are one.
        """
        tensors = {name: getattr(self, name) for name in ("features", "pids", "camids")}
        tensors = {name: _as_tensor(value) for name, value in tensors.items() if value is not None}
        return Contents(tensors, self.model, [asdict(track) for track in self.tracks], part_of)

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """Read what `save` wrote; the features stay in the file, mapped into memory as they are used.

        Of a folder, all its files are one: the parts that `nlreid.embedding.parts.embed_in_parts` kept there, or, where it kept
        none, whatever `save` wrote, in the order of names. Features and names then stay in the files until they are asked
        for, so that there may be more than fit into memory: features are `nlreid.evaluation.Stacked`.

        Args:
            path: A file or a folder.

        Raises:
            InputError: If `path` is none.
            DataError: If the file is missing, damaged, of a newer format, or no file of embeddings; or the files of a folder do
                not belong together, or are not all there yet.
        """
        if is_folder(as_path("path", path)):
            held = read_shards(as_path("path", path))
            return cls(held.features, held.pids, held.camids, held.tracks, held.model)
        return cls.of_contents(path, read_embeddings(path))

    @classmethod
    def of_contents(cls, path: str | Path, contents: Contents) -> Embeddings:
        """The embeddings of what was read from a file.

        Raises:
            DataError: If it is none; the message names `path`.
        """
        try:
            tracks = tuple(TrackInfo(**track) for track in contents.tracks)
            return cls(**contents.tensors, tracks=tracks, model=contents.model)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: not a file of embeddings, or a damaged one ({error})") from error


def _as_tensor(values: Tensor | NDArray[Any] | Stacked) -> Tensor:
    values = in_memory(values)
    return values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))  # a mapped file cannot be written
