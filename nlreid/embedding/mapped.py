"""Rows and tracks that stay in files of embeddings until they are asked for."""

from __future__ import annotations

import json
import mmap
import os
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


class SameFile:
    """A file as it is now, which is told from one that is written in its place.

    Args:
        path: The file.

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._was = self._of(path.stat())

    def check(self, now: os.stat_result | None = None) -> None:
        """See that it is the same still.

        Args:
            now: What the system says of the file that was opened; by default, of the one that lies there.

        Raises:
            DataError: If it is another, or gone.
        """
        with reading(self.path):
            now = now or self.path.stat()
        if self._of(now) != self._was:
            raise DataError(f"{self.path}: was written anew since it was opened; open the folder again with Embeddings.load")

    @staticmethod
    def _of(said: os.stat_result) -> tuple[int, int, int, int]:
        return said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns


class MappedRows:
    """The features of one file. It is mapped while rows are read, and no longer: what is mapped counts as the process's memory.

    Args:
        same: A file of embeddings, which stays as it is.
        features: What it holds; only type and shape are looked at.

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, same: SameFile, features: Tensor) -> None:
        self._same, path, self.dtype = same, same.path, features.dtype
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
        path = self._same.path
        with reading(path), path.open("rb") as file:
            self._same.check(os.fstat(file.fileno()))
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                table = np.frombuffer(mapped, np.uint8, count * width, self._offset).reshape(count, width)
            except ValueError as error:
                raise DataError(f"{path}: a damaged file of embeddings: it ends too early") from error
        return torch.from_numpy(np.array(table[rows])).view(self.dtype)


class ShardedTracks(Sequence[TrackInfo]):
    """The tracks of several files, read when they are asked for: millions of them are large.

    Args:
        files: The files.
        starts: Which row each begins with, and after the last how many rows there are.
    """

    def __init__(self, files: Sequence[SameFile], starts: NDArray[np.int64]) -> None:
        self._files, self._starts = files, starts
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
        file = self._files[shard]
        tracks = [TrackInfo(**track) for track in read_embeddings(file.path).tracks]
        file.check()
        return tracks
