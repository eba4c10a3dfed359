"""`TrackInfo`: where an embedded tracklet comes from."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from nlreid.errors import InputError


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


def _whole(key: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value")
        return operator.index(value)
    except TypeError as error:
        raise InputError(f"{key} of a track is a whole number; got {value!r}") from error
