"""The 3D convolution of all networks here: exactly `torch.nn.Conv3d`, computed the cheapest way that its kernel allows.

Clips lie in memory as `(b, t, h, w, c)`, torch's `channels_last_3d`. Seen so, the frames of all clips are one batch of
pictures, the positions of a frame are one long row, and all positions one matrix: a kernel that looks at one axis only
needs none of the others, and no tensor is copied to leave them out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.layers.exporting import exporting
from nlreid.layers.fewest_axes import WIDE, in_fewest_axes, is_half, is_pointwise, result_size


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d` with the same arguments, parameters, names and results up to rounding, and less work for them.

    The result lies in memory as `channels_last_3d`, for the next layer; an input that does not is copied first.

    >>> conv = Conv3d(64, 32, (3, 1, 1), padding=(1, 0, 0))
    >>> conv(torch.zeros(2, 64, 4, 8, 4)).is_contiguous(memory_format=torch.channels_last_3d)
    True
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """Convolve.

        Args:
            input: `(b, in_channels, t, h, w)`.

        Returns:
            `(b, out_channels, t', h', w')`.
        """
        if self.padding_mode != "zeros" or isinstance(self.padding, str) or input.ndim != 5:
            return super().forward(input)
        return conv3d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] = (1, 1, 1),
    padding: tuple[int, ...] = (0, 0, 0),
    dilation: tuple[int, ...] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv3d`, by the cheapest exact way.

    Args:
        x: `(b, c, t, h, w)`.
        weight: `(o, c / groups, kernel in t, h, w)`.
        bias: `(o,)`.
        stride: Step in time, height and width.
        padding: Zeros added at either end of time, height and width.
        dilation: Distance of the kernel's taps in time, height and width.
        groups: Groups of channels that do not see each other.

    Returns:
        `(b, o, t', h', w')`, in memory as `channels_last_3d` where torch computes so (not in float64 on the CPU).
    """
    if exporting():
        return F.conv3d(x, weight, bias, stride, padding, dilation, groups)
    if loses_its_column(x, weight, stride[2], padding[2], dilation[2]):
        wider = F.pad(x, (0, stride[2]))  # two columns are right
        return conv3d(wider, weight, bias, stride, padding, dilation, groups)[..., :1]
    x = x.contiguous(memory_format=torch.channels_last_3d)
    pointwise = groups == 1 and is_pointwise(weight.shape[2:], stride, padding) and x.shape[2:].numel() > 1
    if pointwise and (x.shape[1] >= WIDE or x.is_cuda):
        return _by_position(x, weight, bias)
    least = in_fewest_axes(x, weight, stride, padding, dilation, groups)
    convolve = F.conv3d if least.x.ndim == 5 else F.conv2d
    return least.back(convolve(least.x, least.weight, bias, least.stride, least.padding, least.dilation, groups))


def _by_position(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1 x 1 x 1: one matrix product over all positions."""
    rows = F.linear(x.permute(0, 2, 3, 4, 1), weight.flatten(1), bias)  # b t h w o
    return rows.permute(0, 4, 1, 2, 3)


def loses_its_column(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> bool:
    """Whether one column of 16 bits comes out on a CPU, parts of which oneDNN can leave unwritten (docs/known_limits.md)."""
    columns = result_size(x.shape[4:], weight.shape[4:], (stride,), (padding,), (dilation,))
    return stride > 1 and columns == (1,) and x.device.type == "cpu" and is_half(x)
