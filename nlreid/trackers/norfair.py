"""`NorfairReID`: embeddings for norfair's detections, and the distance by which its trackers find lost people again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError
from nlreid.trackers.crops import Colours, Picture, checked_colours, cut
from nlreid.trackers.frames import CropEmbedder

FARTHEST = 2.0  # of cosine distances


class Detection(Protocol):
    """What is used of a `norfair.Detection`."""

    points: NDArray[Any]
    embedding: Any


class TrackedObject(Protocol):
    """What is used of a `norfair.TrackedObject`."""

    last_detection: Any
    past_detections: Any


class NorfairReID:
    """Gives detections their `embedding`, and is the `reid_distance_function=` of a `norfair.Tracker`.

    norfair compares a new object with the lost ones when it has seen the new one a few times. So the distance is one of
    tracklets: between the means of the embeddings that the two have in their `past_detections`, which norfair spreads over
    the life of an object (`past_detections_length=`).

    Args:
        embedder: What embeds.
        colours: The order of channels in the frames; norfair's are OpenCV's.

    Raises:
        UnknownNameError: If there is no such order of colours.
    """

    def __init__(self, embedder: CropEmbedder, colours: Colours = "bgr") -> None:
        self.embedder, self.colours = embedder, checked_colours(colours)

    def attach(self, detections: Sequence[Detection], image: Picture) -> None:
        """Set the `embedding` of each detection of one frame: float32 `(d,)`, or None where its box is outside.

        Args:
            detections: Their `points` span the box: `(k, 2)` in pixels, of a box two corners.
            image: The frame, uint8 `(h, w, 3)`.

        Raises:
            InputError: If points or the frame have another shape or type, or a point is not finite.
        """
        pictures = cut([_box(detection.points) for detection in detections], image, self.colours)
        features = iter(self.embedder([picture for picture in pictures if picture is not None]).numpy())
        for detection, picture in zip(detections, pictures, strict=True):
            detection.embedding = None if picture is None else next(features)

    def __call__(self, new: TrackedObject, lost: TrackedObject) -> float:
        """Cosine distance of two objects, 0 to 2; 2 if one of them has no embedding.

        Args:
            new: An object that norfair has begun to follow.
            lost: One that it no longer finds.
        """
        first, second = _mean_direction(new), _mean_direction(lost)
        return FARTHEST if first is None or second is None else float(1 - first @ second)


def _box(points: NDArray[Any]) -> list[float]:
    corners = np.asarray(points)
    if corners.ndim != 2 or len(corners) < 2 or corners.shape[1] != 2:
        raise InputError(f"points of a detection are at least two corners of its box, (k, 2); got {corners.shape}")
    return [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]


def _mean_direction(tracked: TrackedObject) -> NDArray[np.float64] | None:
    """The mean of an object's embeddings, scaled to length one."""
    kept = {id(each): each.embedding for each in (*tracked.past_detections, tracked.last_detection)}  # the last is in both
    known = [embedding for embedding in kept.values() if embedding is not None]
    if not known:
        return None
    total: NDArray[np.float64] = np.stack(known).astype(np.float64).sum(axis=0)
    length = float(np.linalg.norm(total))
    return np.divide(total, length) if length > 0 else None
