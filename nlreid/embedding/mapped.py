"""Rows and tracks that stay in files of embeddings until they are asked for."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.data.disk import reading
from nlreid.embedding.embeddings_file import read_embeddings
from nlreid.embedding.track import TrackInfo
from nlreid.errors import DataError


class MappedRows:
    """The features of one file. It is mapped while rows are read, and no longer: what is mapped counts as the process's memory.

    Args:
        path: A file of embeddings, which stays as it is.
        features: What it holds; only type and shape are looked at.

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, path: Path, features: Tensor) -> None:
        self.path, self.dtype = path, features.dtype
        self.shape = (int(features.shape[0]), int(features.shape[1]))
        with reading(path), path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))  # safetensors: the length of the header, the header, the data
            self._offset = 8 + length + json.loads(file.read(length))["features"]["data_offsets"][0]

    def read(self, rows: slice | NDArray[np.int64]) -> Tensor:
        """Some rows `(m, d)`, in memory of their own.

        Raises:
            DataError: If the file is gone, or is not what it was.
        """
        count, width = self.shape[0], self.shape[1] * self.dtype.itemsize
        with reading(self.path), self.path.open("rb") as file:
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                table = np.frombuffer(mapped, np.uint8, count * width, self._offset).reshape(count, width)
            except ValueError as error:
                raise DataError(f"{self.path}: is shorter than when it was opened; was it written anew?") from error
        return torch.from_numpy(np.array(table[rows])).view(self.dtype)


class ShardedTracks(Sequence[TrackInfo]):
    """The tracks of several files, read when they are asked for: millions of them are large.

    Args:
        paths: The files.
        starts: Which row each begins with, and after the last how many rows there are.
    """

    def __init__(self, paths: Sequence[Path], starts: NDArray[np.int64]) -> None:
        self._paths, self._starts = paths, starts
        self._of = lru_cache(maxsize=2)(self._read)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, row: int) -> TrackInfo: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[TrackInfo]: ...
    def __getitem__(self, row: int | slice) -> TrackInfo | Sequence[TrackInfo]:
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        place = range(len(self))[row]  # which also raises what a sequence raises
        shard = int(np.searchsorted(self._starts, place, side="right")) - 1
        return self._of(shard)[place - int(self._starts[shard])]

    def _read(self, shard: int) -> list[TrackInfo]:
        return [TrackInfo(**track) for track in read_embeddings(self._paths[shard]).tracks]
