"""`Embeddings`: vectors with the identities and cameras that they are of, as `embed` answers and `evaluate` takes them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.embedding.embeddings_file import read_embeddings, write_embeddings
from nlreid.errors import DataError, InputError, unknown_name

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_BLOCK = 8192  # rows that are looked at together


@dataclass(frozen=True)
class TrackInfo:
    """Where one embedded tracklet comes from.

    Args:
        name: Its name, unique among the embeddings.
        frames: How many pictures it has.
        first: Number of its first frame in the video, where that is known.
        last: Number of its last frame.

    Raises:
        InputError: If `name` is no text, `frames` is below 1, or a number is not whole.
    """

    name: str
    frames: int
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the name of a track is text; got {self.name!r}")
        for key in ("frames", "first", "last"):
            value = getattr(self, key)
            if value is not None or key == "frames":
                object.__setattr__(self, key, _whole(key, value))  # whole numbers of numpy and torch become Python's
        if self.frames < 1:
            raise InputError(f"a track has at least 1 frame; {self.name!r} has {self.frames}")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector a tracklet, and what is known about each.

    >>> people = Embeddings(torch.eye(2), pids=[7, 9], camids=[1, 1])
    >>> len(people), people.pids
    (2, tensor([7, 9]))

    Args:
        features: Floating point `(n, d)`, finite: a tensor, or a NumPy array, which may be mapped from a file of any size.
            `embed` gives float32 rows of length one.
        pids: The person's identity of each row, whole numbers `(n,)`, or None where identities are not known.
        camids: The camera's number of each row, `(n,)`, or None.
        tracks: Where each row comes from; names are unique. May be left out.
        model: What made them: name and weights of the model.

    Raises:
        InputError: If `features` has another type or shape or is not finite, the lengths differ, a pid or camid is no whole
            number, or a name comes twice.
    """

    features: Tensor | NDArray[np.floating[Any]]
    pids: Tensor | None = None
    camids: Tensor | None = None
    tracks: Sequence[TrackInfo] = ()
    model: str = ""

    def __post_init__(self) -> None:
        for name in ("pids", "camids"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        self._check_features()
        for name in ("pids", "camids"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self):
                raise InputError(f"{name} has an entry for each of {len(self)} features; got {len(value)}")
        names = [track.name for track in self.tracks]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"names of tracks are unique; given more than once: {', '.join(twice[:5])}")

    def _check_features(self) -> None:
        if isinstance(self.features, Tensor):
            sound = self.features.dtype in FLOATS
        else:
            sound = isinstance(self.features, np.ndarray) and self.features.dtype in (np.float16, np.float32, np.float64)
        if not sound or self.features.ndim != 2:
            kind = f"{getattr(self.features, 'dtype', type(self.features).__qualname__)} {tuple(np.shape(self.features))}"
            raise InputError(f"features are a floating-point tensor or NumPy array (n, d); got {kind}")
        if self.tracks and len(self.tracks) != len(self.features):
            raise InputError(
                f"features (n, d) have a row for each of {len(self.tracks)} tracks; got {tuple(self.features.shape)}"
            )
        for start in range(0, len(self.features), _BLOCK):  # in blocks, so that a mapped file is not brought into memory
            block = self.features[start : start + _BLOCK]
            finite = block.isfinite() if isinstance(block, Tensor) else np.isfinite(block)
            if not finite.all():
                row = start + int(finite.all(1).tolist().index(False))
                raise InputError(f"features are finite; those of {self._called(row)} are not")

    def _called(self, row: int) -> str:
        return f"track {self.tracks[row].name!r}" if self.tracks else f"row {row}"

    def __len__(self) -> int:
        return len(self.features)

    def index(self, name: str) -> int:
        """The row of a track.

        Raises:
            UnknownNameError: If there is no track of that name.
        """
        names = [track.name for track in self.tracks]
        if name not in names:
            raise unknown_name(
                "track", name, names, f"There are {len(names)}: {', '.join(names[:20])}{' …' * (len(names) > 20)}."
            )
        return names.index(name)

    def select(self, rows: Sequence[int]) -> Embeddings:
        """Some of the rows, in the order asked for; a row may be asked for once."""
        places = list(rows)
        features = self.features[places]
        pids, camids = (None if values is None else values[places] for values in (self.pids, self.camids))
        tracks = tuple(self.tracks[row] for row in places) if self.tracks else ()
        return Embeddings(features, pids, camids, tracks, self.model)

    def save(self, path: str | Path) -> None:
        """Write them as a safetensors file: `features`, `pids` and `camids` as tensors, the rest as JSON in its metadata.

        The file is written under a temporary name and renamed, so that it is whole or not there. The same embeddings give
        the same bytes.

        Raises:
            DataError: If the file cannot be written.
        """
        tensors = {name: getattr(self, name) for name in ("features", "pids", "camids")}
        tensors = {name: _as_tensor(value) for name, value in tensors.items() if value is not None}
        write_embeddings(path, tensors, self.model, [asdict(track) for track in self.tracks])

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """Read what `save` wrote; the features stay in the file, mapped into memory as they are used.

        Raises:
            DataError: If the file is missing, damaged, of a newer format, or no file of embeddings.
        """
        tensors, model, tracks = read_embeddings(path)
        try:
            return cls(**tensors, tracks=tuple(TrackInfo(**track) for track in tracks), model=model)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: not a file of embeddings, or a damaged one ({error})") from error


def _as_tensor(values: Tensor | NDArray[Any]) -> Tensor:
    return values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))  # a mapped file cannot be written


def _numbers(name: str, values: Any) -> Tensor:
    """Whole numbers as int64 on the CPU."""
    try:
        array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{name} are whole numbers (n,); got {values!r:.80}") from error
    if array.ndim != 1 or not (array.dtype.kind in "iu" or array.size == 0):
        raise InputError(f"{name} are whole numbers (n,); got {array.dtype} {array.shape}")
    return torch.from_numpy(array.astype(np.int64))


def _whole(key: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value")
        return operator.index(value)
    except TypeError as error:
        raise InputError(f"{key} of a track is a whole number; got {value!r}") from error
