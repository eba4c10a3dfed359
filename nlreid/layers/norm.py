"""The batch norm of all networks here: `torch.nn.BatchNorm3d`, on a GPU by the kernels that torch has for its layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchNorm3d(nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` with the same arguments, parameters, names and results up to rounding.

    Of clips in `channels_last_3d` torch's kernels for GPUs take every value apart; of a matrix whose columns are the channels,
    which is the same memory, they take rows. The statistics of a channel are over all positions either way.

    >>> norm = BatchNorm3d(4)
    >>> norm(torch.rand(2, 4, 3, 2, 2)).shape
    torch.Size([2, 4, 3, 2, 2])
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """Normalise: `(b, c, t, h, w)` to the same shape, in memory as it came."""
        if not (input.is_cuda and input.ndim == 5 and input.is_contiguous(memory_format=torch.channels_last_3d)):
            return super().forward(input)
        positions = input.permute(0, 2, 3, 4, 1)  # b t h w c, contiguous
        rows = super().forward(positions.flatten(0, 3))  # (b t h w) c
        return rows.view(positions.shape).permute(0, 4, 1, 2, 3)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - its name in torch
        if input.ndim != 2:  # else the rows of a clip
            super()._check_input_dim(input)
