"""Max-pooling over time alone, without the indices that only a backward pass needs."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn


class TemporalMaxPool(nn.MaxPool3d):
    """`torch.nn.MaxPool3d` over runs of frames that share none; without gradients, the larger of each pair of frames.

    >>> TemporalMaxPool(2)(torch.arange(6.0).reshape(1, 1, 6, 1, 1)).flatten()
    tensor([1., 3., 5.])

    Args:
        frames: How many frames become one; a rest of fewer is dropped.
    """

    def __init__(self, frames: int) -> None:
        super().__init__((frames, 1, 1), stride=(frames, 1, 1))
        self.frames = frames

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """`(b, c, t, h, w)` to `(b, c, t // frames, h, w)`."""
        learns = (
            input.requires_grad and torch.is_grad_enabled()
        )  # where frames are equal, the pool's gradient goes to the first
        if learns or input.ndim != 5 or input.shape[2] < self.frames:
            pooled: Tensor = super().forward(input)
            return pooled
        end = input.shape[2] // self.frames * self.frames
        frames = [input[:, :, place : end : self.frames] for place in range(self.frames)]
        return reduce(torch.maximum, frames)
