"""Weights over photographs as heat: pixels, without anything that draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEAT = ((40, 0, 90), (140, 20, 110), (225, 60, 50), (250, 150, 30), (255, 240, 120))  # from cold to hot, ever lighter


def heated(frames: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The frames in grey, and over them the weights as heat, the lighter the more: it is to be seen without colours, too.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        weights: `(t, h, w)`; what is not above 0 is not seen.

    Returns:
        uint8 RGB, `(t, h, w, 3)`.
    """
    largest = max(float(weights.max()), float(np.finfo(np.float32).tiny))
    share = np.clip(weights / largest, 0, 1)
    heat = np.stack([np.interp(share, _LEVELS, channel) for channel in zip(*_HEAT, strict=True)], axis=-1)
    grey = frames.mean(axis=-1, keepdims=True)
    cover = 0.85 * np.sqrt(share)[..., None]  # by the root, so that a tenth of the largest is still to be seen
    covered: NDArray[np.uint8] = np.rint(grey * (1 - cover) + heat * cover).astype(np.uint8)
    return covered
