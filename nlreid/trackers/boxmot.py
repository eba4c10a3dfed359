"""`BoxmotReID`: the re-identification model of BoxMOT's trackers, as one of their own backends looks to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlreid.trackers.crops import Colours, Picture, checked_colours, cut
from nlreid.trackers.frames import CropEmbedder


class BoxmotReID:
    """What `reid_model=` of a BoxMOT tracker takes: an object with `get_features(boxes, image)`.

    Args:
        embedder: What embeds.
        colours: The order of channels in the frames; BoxMOT's are OpenCV's.

    Raises:
        UnknownNameError: If there is no such order of colours.
    """

    def __init__(self, embedder: CropEmbedder, colours: Colours = "bgr") -> None:
        self.embedder, self.colours = embedder, checked_colours(colours)

    def get_features(self, xyxys: Any, img: Picture) -> NDArray[np.float32]:
        """Vectors of the boxes of one frame.

        BoxMOT wants a vector of every box. One outside the frame gets that of a black picture, which is what BoxMOT's own
        backends show their networks then.

        Args:
            xyxys: left, top, right, bottom in pixels, `(n, 4)` or wider; of oriented boxes give their upright ones.
            img: The frame, uint8 `(h, w, 3)`.

        Returns:
            float32 `(n, d)` of length one.

        Raises:
            InputError: If a box or the frame has another shape or type, or a box is not finite.
        """
        black = np.zeros((*self.embedder.model.clip_spec.size, 3), dtype=np.uint8)
        pictures = [black if picture is None else picture for picture in cut(xyxys, img, self.colours)]
        features: NDArray[np.float32] = self.embedder(pictures).numpy()
        return features
