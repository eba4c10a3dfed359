"""Max-pooling over space alone and over time alone, each without what it does not need."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.layers.exporting import exporting

Size = int | tuple[int, ...]


class MaxPool3d(nn.MaxPool3d):
    """`torch.nn.MaxPool3d` with the same arguments and results; one that looks at each frame alone is 2D work on all frames.

    >>> MaxPool3d((1, 2, 2))(torch.arange(8.0).reshape(1, 1, 2, 2, 2)).flatten()
    tensor([3., 7.])
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """`(b, c, t, h, w)` to `(b, c, t', h', w')`."""
        sides = [_triple(side) for side in (self.kernel_size, self.stride, self.padding, self.dilation)]
        if exporting() or input.ndim != 5 or self.return_indices or [side[0] for side in sides] != [1, 1, 0, 1]:
            pooled: Tensor = super().forward(input)
            return pooled
        return max_pool_frames(input, *(side[1:] for side in sides), self.ceil_mode)


class TemporalMaxPool(nn.MaxPool3d):
    """`torch.nn.MaxPool3d` over runs of frames that share none; without gradients, the larger of each pair of frames.

    >>> TemporalMaxPool(2)(torch.arange(6.0).reshape(1, 1, 6, 1, 1)).flatten()
    tensor([1., 3., 5.])

    Args:
        frames: How many frames become one; a rest of fewer is dropped.
    """

    def __init__(self, frames: int) -> None:
        super().__init__((frames, 1, 1))
        self.frames = frames

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """`(b, c, t, h, w)` to `(b, c, t // frames, h, w)`."""
        learns = (
            input.requires_grad and torch.is_grad_enabled()
        )  # where frames are equal, the pool's gradient goes to the first
        if exporting() or learns or input.ndim != 5 or input.shape[2] < self.frames:
            pooled: Tensor = super().forward(input)
            return pooled
        end = input.shape[2] // self.frames * self.frames
        frames = [input[:, :, place : end : self.frames] for place in range(self.frames)]
        return reduce(torch.maximum, frames)


def max_pool_frames(x: Tensor, kernel: Size, *options: Any) -> Tensor:
    """`torch.nn.functional.max_pool2d` of each frame.

    Args:
        x: `(b, c, t, h, w)`.
        kernel: Height and width of the window.
        options: Stride, padding, dilation and whether to round up, as torch has them.

    Returns:
        `(b, c, t, h', w')`, in memory as `x` is.
    """
    frames = x.transpose(1, 2).flatten(0, 1)  # (b t) c h w
    out: Tensor = F.max_pool2d(frames, kernel, *options)
    return out.view(x.shape[0], x.shape[2], *out.shape[1:]).transpose(1, 2)  # b c t h' w'


def _triple(side: Size) -> tuple[int, ...]:
    return (side, side, side) if isinstance(side, int) else tuple(side)
