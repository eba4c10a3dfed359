"""A tracklet: one person followed through one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.data.images import read_image
from nlreid.data.transforms import resize
from nlreid.errors import InputError, whole_number


@dataclass(frozen=True, eq=False)
class Tracklet:
    """The pictures of one person, in time order, and what is known about them.

    Args:
        name: What the tracklet is called; unique in its set.
        frames: One picture an entry: uint8 RGB `(h, w, 3)`, or the path of an image file. Sizes may differ.
        pid: The person's identity, where it is known.
        camid: The camera's number, where it is known.
        frame_numbers: Where in its video each picture is, where that is known; as long as `frames`.

    Raises:
        InputError: If there is no frame, or `frame_numbers` has another length.
    """

    name: str
    frames: Sequence[NDArray[np.uint8]] | Sequence[Path]
    pid: int | None = None
    camid: int | None = None
    frame_numbers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.frames):  # an array of pictures is a sequence, too, and has no truth value
            raise InputError(f"tracklet {self.name!r} has no frames")
        if self.frame_numbers is not None and len(self.frame_numbers) != len(self.frames):
            raise InputError(
                f"tracklet {self.name!r} has {len(self.frames)} frames but {len(self.frame_numbers)} frame numbers"
            )

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
