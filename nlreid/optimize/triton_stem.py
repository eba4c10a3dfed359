"""The first convolution of a network in Triton: few channels, many taps, of which matrix units are made to have enough.

The frames under the kernel become channels (`nlreid.layers.fewest_axes`), laid out in one pass. Two neighbouring columns of
the result are then computed as twice as many channels of one, so that what they both see is fetched once.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from nlreid.layers.fewest_axes import result_size
from nlreid.optimize import triton_conv

BLOCK = 128  # positions that one program lays out
WIDEST = 64  # output channels up to which two columns fit into what a program computes at a time


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    onto: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """`relu(conv3d(x) + bias + onto)`, as `triton_conv.convolve`, for kernels whose taps in time times channels are few."""
    folded = weight.transpose(1, 2).flatten(1, 2).unsqueeze(2)  # o (taps c) 1 h w
    channels = max(8, 1 << (folded.shape[1] - 1).bit_length())
    folded = F.pad(folded, (0, 0, 0, 0, 0, 0, 0, channels - folded.shape[1]))
    frames = lay_out(x, weight.shape[2], padding[0], dilation[0], channels)
    stride, padding = (1, *stride[1:]), (0, *padding[1:])
    dilation = (1, *dilation[1:])
    columns = result_size(frames.shape[2:], folded.shape[2:], stride, padding, dilation)[2]
    if columns % 2 or dilation[2] > 1 or weight.shape[0] > WIDEST or onto is not None:
        return triton_conv.convolve(frames, folded, bias, stride, padding, dilation, onto=onto, relu=relu)
    step = stride[2]
    both = torch.cat([F.pad(folded, (0, step)), F.pad(folded, (step, 0))])  # the second sees what lies a step to the right
    biases = None if bias is None else bias.repeat(2)
    y = triton_conv.convolve(frames, both, biases, (1, stride[1], 2 * step), padding, dilation, relu=relu)
    rows: Tensor = torch.unflatten(y.permute(0, 2, 3, 4, 1), 4, (2, -1)).flatten(3, 4)  # b t h (w 2) o: as it lies
    return rows.permute(0, 4, 1, 2, 3)


def lay_out(x: Tensor, taps: int, padding: int, dilation: int, channels: int) -> Tensor:
    """The frames under a kernel as channels, the tap before the channel, and zeros up to a number of channels.

    Args:
        x: `(b, c, t, h, w)`, however it lies.
        taps: Taps in time.
        padding: Zeros added at either end of time.
        dilation: Distance of the taps.
        channels: Channels of the result; at least c times taps, a power of 2.

    Returns:
        `(b, channels, t', h, w)`, in memory as `channels_last_3d`.
    """
    b, c, t, h, w = x.shape
    length = t + 2 * padding - dilation * (taps - 1)
    y = x.new_empty((b, length, h, w, channels))
    positions = b * length * h * w
    _lay_out[(-(-positions // BLOCK),)](
        x, y, t, length, h, w, positions, *x.stride(),
        c, taps, padding, dilation, channels, y.numel() >= 2**31 or x.numel() >= 2**31, BLOCK,
    )  # fmt: skip
    return y.permute(0, 4, 1, 2, 3)


@triton.jit
def _lay_out(
    x, y, frames, length, height, width, positions, from_b, from_c, from_t, from_h, from_w,
    real: tl.constexpr, taps: tl.constexpr, padding: tl.constexpr, dilation: tl.constexpr,
    channels: tl.constexpr, wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    m = (program.to(tl.int64) if wide else program) * block + tl.arange(0, block)
    k = tl.arange(0, channels)[None, :]
    there = (m < positions)[:, None]
    w = (m % width)[:, None]
    rest = m // width
    h = (rest % height)[:, None]
    rest = rest // height
    t = (rest % length)[:, None] + k // real * dilation - padding
    b = (rest // length)[:, None]
    seen = there & (k < real * taps) & (t >= 0) & (t < frames)
    values = tl.load(x + (b * from_b + k % real * from_c + t * from_t + h * from_h + w * from_w), mask=seen, other=0.0)
    tl.store(y + (m[:, None] * channels + k), values, mask=there)
