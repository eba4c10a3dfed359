"""A convolution of clips as one over the axes that its kernel looks at: frames, or rows of positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Triple = tuple[int, int, int]

WIDE = 128  # input channels from which, on a CPU, 1 x 1 x 1 is faster as a matrix product, and t x 1 x 1 of float32 in 3D
FOLDED_UP_TO = 16  # channels times frames of a kernel whose frames become channels


class Lowered(NamedTuple):
    """A convolution of clips as one of the fewest axes; all are views, but for the stem's in half precision.

    Attributes:
        x: What is convolved: clips, frames, or rows of positions.
        weight: The kernel, of as many axes.
        stride: Step in each of its axes.
        padding: Zeros added at either end.
        dilation: Distance of the taps.
        back: Makes clips `(b, c, t, h, w)` of what has the result's shape.
        there: Makes of clips of the result's shape what `back` takes.
    """

    x: Tensor
    weight: Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    back: Callable[[Tensor], Tensor]
    there: Callable[[Tensor], Tensor]


def in_fewest_axes(
    x: Tensor, weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...], groups: int
) -> Lowered:
    """The same convolution over the axes that its kernel looks at, where that is the cheaper way.

    Args:
        x: `(b, c, t, h, w)` in memory as `channels_last_3d`.
        weight: `(o, c / groups, kernel in t, h, w)`.
        stride: Step in time, height and width.
        padding: Zeros added at either end of time, height and width.
        dilation: Distance of the kernel's taps in time, height and width.
        groups: Groups of channels that do not see each other.

    Returns:
        What to convolve by what, and the way back.
    """
    kernel = weight.shape[2:]
    in_time = kernel[0] > 1 or stride[0] > 1 or padding[0] > 0
    in_space = tuple(kernel[1:]) != (1, 1) or tuple(stride[1:]) != (1, 1) or tuple(padding[1:]) != (0, 0)
    if in_time and not in_space and (x.shape[1] < WIDE or x.device.type != "cpu" or is_half(x)):
        back = partial(_from_rows, size=x.shape[3:])
        return Lowered(_as_rows(x), weight.squeeze(4), (stride[0], 1), (padding[0], 0), (dilation[0], 1), back, _as_rows)
    if in_time and folds_time(x, weight, stride, groups):
        x, weight = _with_time_as_channels(x, weight, padding, dilation)
        in_time = False
    if not in_time:
        back = partial(_from_frames, clips=x.shape[0], frames=x.shape[2])
        return Lowered(_as_frames(x), weight.squeeze(2), stride[1:], padding[1:], dilation[1:], back, _as_frames)
    return Lowered(x, weight, stride, padding, dilation, _itself, _itself)


def result_size(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """How long the axes of a convolution's result are; each argument says something of each axis."""
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple((length + 2 * pad - far * (taps - 1) - 1) // step + 1 for length, taps, step, pad, far in axes)


def is_pointwise(kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]) -> bool:
    """Whether a convolution of these sizes is 1 x 1 x 1: a matrix product over all positions."""
    return tuple(kernel) == tuple(stride) == (1, 1, 1) and tuple(padding) == (0, 0, 0)


def _as_frames(x: Tensor) -> Tensor:
    """The frames of all clips as one batch of pictures: for a kernel 1 x h x w."""
    return x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)  # (b t) c h w


def _from_frames(out: Tensor, clips: int, frames: int) -> Tensor:
    pictures = out.permute(0, 2, 3, 1)  # (b t) h w c
    return pictures.view(clips, frames, *pictures.shape[1:]).permute(0, 4, 1, 2, 3)  # b c t h w


def _as_rows(x: Tensor) -> Tensor:
    """Time beside the positions of a frame, laid in one row: for a kernel t x 1 x 1."""
    # by way of b t h w c: else the stride of a batch of one says that channels do not come last, and torch lays them first
    return x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)  # b c t (h w)


def _from_rows(out: Tensor, size: tuple[int, ...]) -> Tensor:
    rows = out.permute(0, 2, 3, 1)  # b t (h w) c
    return rows.view(*rows.shape[:2], *size, rows.shape[3]).permute(0, 4, 1, 2, 3)  # b c t h w


def _itself(x: Tensor) -> Tensor:
    return x


def folds_time(x: Tensor, weight: Tensor, stride: tuple[int, ...], groups: int) -> bool:
    """Whether the frames under a kernel had better become channels, as those of the stem in half precision."""
    few = groups == 1 and stride[0] == 1 and weight.shape[2] > 1 and x.shape[1] * weight.shape[2] <= FOLDED_UP_TO
    return few and is_half(x)


def _with_time_as_channels(
    x: Tensor, weight: Tensor, padding: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """T x h x w over few channels, the stem's: the frames under the kernel become channels of a kernel 1 x h x w.

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
    return torch.cat(seen, dim=-1).permute(0, 4, 1, 2, 3), folded  # b (taps c) t' h w


def is_half(x: Tensor) -> bool:
    """Whether products are of 16 bits."""
    device = x.device.type
    if not x.is_meta and torch.is_autocast_enabled(device):  # "meta" has none
        return x.dtype in (torch.float32, torch.get_autocast_dtype(device))
    return x.dtype in (torch.bfloat16, torch.float16)
