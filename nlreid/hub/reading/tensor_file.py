"""A safetensors file whose tensors are read one at a time, when they are asked for: no second copy of a model is held."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import safetensors
import torch
from torch import Tensor

from nlreid.errors import WeightsError, shorten
from nlreid.hub.table.fields import no_name_twice

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_TENSORS = 2**16  # of a file; the largest network here has fewer than a thousand
_DIMENSIONS = 32  # what torch has no limit for, but a tensor of more has never been seen


class _Place(NamedTuple):
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    size: int


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a safetensors file, by name.

    Each look-up reads that tensor anew into memory of its own. Memory-mapping the whole file, as the format's own library
    does, would hold its pages beside the model's until the end.

    Args:
        path: The file.

    Attributes:
        path: The file.
        metadata: The texts that the file holds beside its tensors.

    Raises:
        WeightsError: If the file is damaged, names a tensor twice, or holds a type of number that torch does not have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._identity = _identity(file)
            try:
                with safetensors.safe_open(path, framework="pt"):  # its checks: sizes, offsets, nothing between the tensors
                    header, begin = _header(file)
            except (safetensors.SafetensorError, OSError, ValueError, RecursionError) as error:
                reason = shorten(str(error).strip().split("\n")[0], 200)
                raise WeightsError(f"{path}: not a safetensors file, or a damaged one ({reason})") from error
        self.metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        if len(header) > _TENSORS:
            raise WeightsError(f"{path}: it has {len(header)} tensors; a file of weights has at most {_TENSORS}")
        self._on_meta: dict[str, Tensor] = {}
        self._places = {name: self._place(name, about, begin) for name, about in header.items()}

    def _place(self, name: str, about: dict[str, Any], begin: int) -> _Place:
        if about["dtype"] not in DTYPES:
            raise WeightsError(f"{self.path}: {shorten(name)} is of type {about['dtype']}; known are {', '.join(DTYPES)}")
        shape = tuple(about["shape"])
        if len(shape) > _DIMENSIONS or prod(max(side, 1) for side in shape) >= 2**59:  # in bytes no number of torch's
            raise WeightsError(f"{self.path}: {shorten(name)} has a shape that no tensor can have, {shorten(str(list(shape)))}")
        start, end = about["data_offsets"]
        return _Place(DTYPES[about["dtype"]], shape, begin + start, end - start)

    def __getitem__(self, name: str) -> Tensor:
        """Read a tensor.

        Raises:
            KeyError: If there is none of that name.
            WeightsError: If the file is not the one that was opened any more.
        """
        place = self._places[name]
        if not prod(place.shape):
            return torch.empty(place.shape, dtype=place.dtype)
        content = bytearray(place.size)
        with self.path.open("rb") as file:
            file.seek(place.start)
            if file.readinto(content) != place.size or _identity(file) != self._identity:
                raise WeightsError(f"{self.path}: changed while it was read; load it again")
        return torch.frombuffer(content, dtype=place.dtype).reshape(place.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def on_meta(self) -> Mapping[str, Tensor]:
        """Shapes and types without values: tensors on the meta device, by name; made once, since many ask for them."""
        if not self._on_meta:
            self._on_meta = {name: torch.empty(at.shape, dtype=at.dtype, device="meta") for name, at in self._places.items()}
        return MappingProxyType(self._on_meta)

    def without_prefix(self, prefix: str) -> TensorFile:
        """The same tensors under names without a prefix that they all have."""
        other = object.__new__(TensorFile)
        other.__dict__.update(self.__dict__, _on_meta={})
        other._places = {name.removeprefix(prefix): place for name, place in self._places.items()}
        return other


def on_meta(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Shapes and types of tensors, without values and without reading what lies in a file."""
    if isinstance(tensors, TensorFile):
        return tensors.on_meta()
    return {name: tensor.to("meta") for name, tensor in tensors.items()}


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    if sys.byteorder != "little":
        raise ValueError("its numbers are little-endian, and this machine's are not")
    length = int.from_bytes(file.read(8), "little")
    return json.loads(file.read(length), object_pairs_hook=no_name_twice), 8 + length


def _identity(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
