"""`TrackMemory`: the last pictures of each track, so that a clip of them can be embedded whenever that is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from nlreid.data.tracklet import Tracklet
from nlreid.data.transforms import resize
from nlreid.errors import InputError, unknown_name, whole_number
from nlreid.trackers.crops import Colours, Picture, checked_colours, cut


@dataclass
class _Track:
    """What is held of one track."""

    kept: deque[tuple[int, Picture]]
    first: int
    last: int
    seen: int = 0


class TrackMemory:
    """The newest pictures of a running tracker's tracks, as tracklets for `nlreid.embed`.

    A tracker asks for a vector of each person in each frame. Whether a track goes on where another broke off is better
    decided by seconds of it: a clip shows gait, and a mean over clips is moved less by one bad box.

    Args:
        size: Height and width that pictures are kept in: `model.clip_spec.size`. A track takes up to `keep * h * w * 3` bytes.
        keep: How many pictures of a track are held.
        stride: Every how many pictures of a track one is held.
        colours: The order of channels in the frames; OpenCV's is `"bgr"`.

    Raises:
        InputError: If a number is no whole number from 1.
        UnknownNameError: If there is no such order of colours.
    """

    def __init__(self, size: tuple[int, int], *, keep: int = 32, stride: int = 1, colours: Colours = "bgr") -> None:
        self.size = (whole_number("the height of size", size[0]), whole_number("the width of size", size[1]))
        self.keep, self.stride = whole_number("keep", keep), whole_number("stride", stride)
        self.colours = checked_colours(colours)
        self._tracks: dict[int, _Track] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def update(self, frame: int, ids: Iterable[int], boxes: Any, image: Picture) -> None:
        """Take the pictures of the tracks that are in a frame; nothing is taken if there is an error.

        Args:
            frame: Its number; it rises from one call to the next.
            ids: The track of each box, `(n,)`: whole numbers, as floats too, as trackers' rows have them.
            boxes: left, top, right, bottom in pixels, `(n, 4)` or wider.
            image: The frame, uint8 `(h, w, 3)`.

        Raises:
            InputError: If an id is not whole or comes twice, lengths differ, a track was there in a later frame already, or
                something has another shape or type.
        """
        number = whole_number("frame", frame, least=0)
        names = [_whole(name) for name in ids]
        pictures = cut(boxes, image, self.colours)
        if len(names) != len(pictures) or len(set(names)) < len(names):
            raise InputError(f"ids name each of the {len(pictures)} boxes, and none twice; got {names!r:.80}")
        for name in names:
            if name in self._tracks and self._tracks[name].last >= number:
                raise InputError(f"frames come in order; got {number} of track {name} after {self._tracks[name].last}")
        for name, picture in zip(names, pictures, strict=True):
            if picture is not None:
                self._add(name, number, picture)

    def _add(self, name: int, number: int, picture: Picture) -> None:
        track = self._tracks.setdefault(name, _Track(deque(maxlen=self.keep), number, number))
        if track.seen % self.stride == 0:
            track.kept.append((number, resize(torch.from_numpy(picture)[None], self.size)[0].numpy()))
        track.last, track.seen = number, track.seen + 1

    def tracklets(self, ids: Iterable[int] | None = None) -> list[Tracklet]:
        """What is held, for `nlreid.embed`: tracklets that have the ids as names.

        Args:
            ids: Which tracks, in this order; by default all, in the order in which they came.

        Raises:
            UnknownNameError: If nothing is held of a track.
        """
        found = []
        for name in self._names(ids):
            numbers, pictures = zip(*self._tracks[name].kept, strict=True)
            found.append(Tracklet(str(name), pictures, frame_numbers=numbers))
        return found

    def spans(self, ids: Iterable[int] | None = None) -> tuple[list[int], list[int]]:
        """The first and the last frame of each track, whatever of it is held: for `relink`.

        Args:
            ids: Which tracks, in this order; by default all, in the order in which they came.

        Raises:
            UnknownNameError: If nothing is held of a track.
        """
        tracks = [self._tracks[name] for name in self._names(ids)]
        return [track.first for track in tracks], [track.last for track in tracks]

    def forget(self, ids: Iterable[int]) -> None:
        """Let tracks go; unknown ones do no harm."""
        for name in ids:
            self._tracks.pop(_whole(name), None)

    def _names(self, ids: Iterable[int] | None) -> list[int]:
        names = list(self._tracks) if ids is None else [_whole(name) for name in ids]
        for name in names:
            if name not in self._tracks:
                raise unknown_name("track", str(name), map(str, self._tracks), f"{len(self._tracks)} are held.")
        return names


def _whole(name: float) -> int:
    value = int(name) if float(name).is_integer() else None
    if value is None:
        raise InputError(f"an id is a whole number; got {name!r}")
    return value
