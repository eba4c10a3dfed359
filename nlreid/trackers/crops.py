"""The people in the boxes of one frame, as trackers have boxes and frames."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nlreid.data.datasets.crops import crop
from nlreid.errors import InputError, unknown_name

Picture = NDArray[np.uint8]
Colours = Literal["bgr", "rgb"]
COLOURS = ("bgr", "rgb")


def cut(boxes: Any, image: Picture, colours: Colours = "bgr") -> list[Picture | None]:
    """The people in the boxes of one frame, each as a copy of its own.

    Args:
        boxes: left, top, right, bottom in pixels, `(n, 4)`; further columns are not read, as of trackers' rows.
        image: The frame, uint8 `(h, w, 3)`.
        colours: The order of its channels; OpenCV's, as trackers have them, is `"bgr"`.

    Returns:
        RGB pictures in their own sizes; None for a box of which no pixel lies in the frame.

    Raises:
        InputError: If a box or the frame has another shape or type, or a box is not finite.
        UnknownNameError: If there is no such order of colours.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{getattr(image, 'dtype', type(image).__qualname__)} {tuple(np.shape(image))}"
        raise InputError(f"a frame is a NumPy array, uint8 (h, w, 3); got {kind}")
    frame = image[..., ::-1] if checked_colours(colours) == "bgr" else image
    corners = _checked_boxes(boxes)
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)  # left, top, width, height
    return [crop(frame, box)[0] for box in sizes]


def checked_colours(colours: Colours) -> Colours:
    """An order of channels, if it is one.

    Raises:
        UnknownNameError: If there is no such order.
    """
    if colours not in COLOURS:
        raise unknown_name("order of colours", colours, COLOURS)
    return colours


def _checked_boxes(boxes: Any) -> NDArray[np.float64]:
    try:
        rows = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"boxes are numbers (n, 4) or wider; got {boxes!r:.80}") from error
    rows = rows.reshape(0, 4) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] < 4:
        raise InputError(f"boxes are left, top, right, bottom in pixels, (n, 4) or wider; got {rows.shape}")
    corners = rows[:, :4]
    sound = np.isfinite(corners).all(axis=1)
    if not sound.all():
        raise InputError(f"boxes are finite; got {corners[~sound][0].tolist()}")
    return corners
