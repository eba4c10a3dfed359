"""A tracklet: one person followed through one camera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index as as_index
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.data.images import read_image
from nlreid.data.transforms import resize
from nlreid.errors import InputError, whole_number

_LEAST, _MOST = -(2**63), 2**63 - 1  # labels and frame numbers become int64


@dataclass(frozen=True, eq=False)
class Tracklet:
    """The pictures of one person, in time order, and what is known about them.

    Args:
        name: What the tracklet is called; unique in its set.
        frames: One picture an entry: uint8 RGB `(h, w, 3)`, or the path of an image file. Sizes may differ; where they do
            not, an array `(t, h, w, 3)` will do.
        pid: The person's identity, where it is known.
        camid: The camera's number, where it is known.
        frame_numbers: Where in its video each picture is, where that is known; as long as `frames`.

    Raises:
        InputError: If there is no frame, `frame_numbers` has another length, an argument has another type, or a number is
            not whole or does not fit int64. Whether frames are pictures is seen when they are read.
    """

    name: str
    frames: Sequence[NDArray[np.uint8]] | Sequence[Path] | NDArray[np.uint8]
    pid: int | None = None
    camid: int | None = None
    frame_numbers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the name of a tracklet is text; got {self.name!r:.80}")
        frames = _count(self.name, self.frames)
        for what in ("pid", "camid"):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, _number(self.name, what, getattr(self, what)))
        if self.frame_numbers is not None:
            numbers = _numbers(self.name, self.frame_numbers)
            if len(numbers) != frames:
                raise InputError(f"tracklet {self.name!r} has {frames} frames but {len(numbers)} frame numbers")
            object.__setattr__(self, "frame_numbers", numbers)

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, indices: Sequence[int], size: tuple[int, int]) -> Tensor:
        """The pictures at some places of the tracklet, resized to one size.

        Args:
            indices: Which frames, by their place in the tracklet; a frame may be asked for more than once.
            size: Height and width of the result, in pixels.

        Returns:
            uint8 RGB, `(len(indices), *size, 3)`.

        Raises:
            DataError: If an image file is missing or cannot be decoded.
            InputError: If a picture is not uint8 `(h, w, 3)`, or there is no such place.
        """
        places = self._places(indices)
        pictures = {place: resize(self._picture(place)[None], size)[0] for place in dict.fromkeys(places)}
        return torch.stack([pictures[place] for place in places])

    def pictures(self, indices: Sequence[int]) -> list[Tensor]:
        """The pictures at some places of the tracklet, in the sizes that they have: for transforms that choose the size.

        Args:
            indices: Which frames, by their place in the tracklet; one that is asked for again is the same tensor.

        Returns:
            uint8 RGB, `(h, w, 3)` each.

        Raises:
            DataError: If an image file is missing or cannot be decoded.
            InputError: If a picture is not uint8 `(h, w, 3)`, or there is no such place.
        """
        places = self._places(indices)
        pictures = {place: self._picture(place) for place in dict.fromkeys(places)}
        return [pictures[place] for place in places]

    def _places(self, indices: Sequence[int]) -> list[int]:
        places = [whole_number(f"each index of a frame of tracklet {self.name!r}", index, least=0) for index in indices]
        for place in places:
            if place >= len(self):  # not an IndexError, at which a loop over a data set would end as if it were at its end
                raise InputError(f"tracklet {self.name!r} has frames 0..{len(self) - 1}; frame {place} was asked for")
        return places

    def _picture(self, index: int) -> Tensor:
        frame = self.frames[index]
        if isinstance(frame, str | Path):
            return torch.from_numpy(read_image(Path(frame)))
        if not isinstance(frame, np.ndarray):
            raise InputError(
                f"frame {index} of tracklet {self.name!r} must be a NumPy array or a path; got {type(frame).__qualname__}"
            )
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise InputError(
                f"frame {index} of tracklet {self.name!r} must be uint8 RGB (h, w, 3); got {frame.dtype} {frame.shape}"
            )
        return torch.from_numpy(np.ascontiguousarray(frame))


def _count(name: str, frames: object) -> int:
    """How many frames there are; an array of pictures is a sequence, too."""
    if isinstance(frames, str | bytes | Mapping | Tensor) or not hasattr(frames, "__getitem__"):
        raise InputError(f"the frames of tracklet {name!r} are a sequence of NumPy arrays or of paths; got {frames!r:.80}")
    try:
        count = len(frames)  # type: ignore[arg-type]  # caught
    except TypeError as error:
        raise InputError(f"the frames of tracklet {name!r} have no number ({error}); wanted a list or a tuple") from error
    if not count:
        raise InputError(f"tracklet {name!r} has no frames")
    return count


def _number(name: str, what: str, value: object) -> int:
    """A whole number of Python, NumPy or torch that fits int64, as Python's."""
    try:
        number = as_index(value)  # type: ignore[arg-type]  # caught
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not _LEAST <= number <= _MOST:
        raise InputError(f"{what} of tracklet {name!r} is a whole number of at most 64 bits; got {value!r:.80}")
    return number


def _numbers(name: str, values: object) -> tuple[int, ...]:
    if not isinstance(values, Iterable):
        raise InputError(f"frame_numbers of tracklet {name!r} are a tuple of whole numbers, or None; got {values!r:.80}")
    numbers = tuple(values)
    if set(map(type, numbers)) == {int} and min(numbers) >= _LEAST and max(numbers) <= _MOST:  # a million, without a loop
        return numbers
    return tuple(_number(name, "each of frame_numbers", value) for value in numbers)
