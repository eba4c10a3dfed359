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

Triple = tuple[int, int, int]

WIDE = 128  # input channels from which, on a CPU, 1 x 1 x 1 is faster as a matrix product, and t x 1 x 1 of float32 in 3D
FOLDED_UP_TO = 16  # channels times frames of a kernel whose frames become channels


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
    if _loses_its_column(x, weight, stride[2], padding[2], dilation[2]):
        wider = F.pad(x, (0, stride[2]))  # two columns are right
        return conv3d(wider, weight, bias, stride, padding, dilation, groups)[..., :1]
    kernel = weight.shape[2:]
    x = x.contiguous(memory_format=torch.channels_last_3d)
    in_time = kernel[0] > 1 or stride[0] > 1 or padding[0] > 0
    in_space = tuple(kernel[1:]) != (1, 1) or tuple(stride[1:]) != (1, 1) or tuple(padding[1:]) != (0, 0)
    pointwise = not in_time and not in_space and groups == 1 and x.shape[2:].numel() > 1
    if pointwise and (x.shape[1] >= WIDE or x.is_cuda):
        return _by_position(x, weight, bias)
    if not in_time:
        return _by_frame(x, weight, bias, stride[1:], padding[1:], dilation[1:], groups)
    if not in_space and (x.shape[1] < WIDE or x.device.type != "cpu" or _is_half(x)):
        return _by_row(x, weight, bias, stride[0], padding[0], dilation[0], groups)
    if groups == 1 and x.shape[1] * kernel[0] <= FOLDED_UP_TO and stride[0] == 1 and _is_half(x):
        return _with_time_as_channels(x, weight, bias, stride, padding, dilation)
    return F.conv3d(x, weight, bias, stride, padding, dilation, groups)


def _by_position(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1 x 1 x 1: one matrix product over all positions."""
    rows = F.linear(x.permute(0, 2, 3, 4, 1), weight.flatten(1), bias)  # b t h w o
    return rows.permute(0, 4, 1, 2, 3)


def _by_frame(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    """1 x h x w: a 2D convolution over the frames of all clips."""
    frames = x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)  # (b t) c h w
    out = F.conv2d(frames, weight.squeeze(2), bias, stride, padding, dilation, groups)
    frames = out.permute(0, 2, 3, 1)  # (b t) h' w' o
    return frames.view(x.shape[0], x.shape[2], *frames.shape[1:]).permute(0, 4, 1, 2, 3)  # b o t h' w'


def _by_row(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int, groups: int) -> Tensor:
    """T x 1 x 1: a 2D convolution over time and the positions of a frame, laid in one row."""
    # by way of b t h w c: else the stride of a batch of one says that channels do not come last, and torch lays them first
    rows = x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)  # b c t (h w)
    out = F.conv2d(rows, weight.squeeze(4), bias, (stride, 1), (padding, 0), (dilation, 1), groups)
    rows = out.permute(0, 2, 3, 1)  # b t' (h w) o
    return rows.view(*rows.shape[:2], *x.shape[3:], rows.shape[3]).permute(0, 4, 1, 2, 3)  # b o t' h w


def _with_time_as_channels(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Tensor:
    """T x h x w over few channels, the stem's: the frames under the kernel become channels of a 2D convolution.

    Three channels are far fewer than matrix units of half precision take at a time. GPUs take eight or none: the rest is zeros.
    """
    taps, reach = weight.shape[2], dilation[0] * (weight.shape[2] - 1)
    padded = F.pad(x.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, padding[0], padding[0]))  # b t h w c
    length = padded.shape[1] - reach
    seen = [padded.narrow(1, tap * dilation[0], length) for tap in range(taps)]
    folded = weight.transpose(1, 2).flatten(1, 2).unsqueeze(2)  # o (taps c) 1 h w
    spare = -folded.shape[1] % 8 if x.is_cuda else 0
    if spare:
        seen.append(x.new_zeros(()).expand(*seen[0].shape[:-1], spare))
        folded = F.pad(folded, (0, 0, 0, 0, 0, 0, 0, spare))
    frames = torch.cat(seen, dim=-1).permute(0, 4, 1, 2, 3)  # b (taps c) t' h w
    return _by_frame(frames, folded, bias, stride[1:], padding[1:], dilation[1:], 1)


def _loses_its_column(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> bool:
    """Whether one column of 16 bits comes out on a CPU, parts of which oneDNN can leave unwritten (docs/known_limits.md)."""
    steps = x.shape[4] + 2 * padding - dilation * (weight.shape[4] - 1) - 1
    return stride > 1 and 0 <= steps < stride and x.device.type == "cpu" and _is_half(x)


def _is_half(x: Tensor) -> bool:
    """Whether products are of 16 bits."""
    device = x.device.type
    if not x.is_meta and torch.is_autocast_enabled(device):  # "meta" has none
        return x.dtype in (torch.float32, torch.get_autocast_dtype(device))
    return x.dtype in (torch.bfloat16, torch.float16)
