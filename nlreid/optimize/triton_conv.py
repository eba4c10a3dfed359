"""A 3D convolution with bias, sum and ReLU in one pass over memory: an implicit matrix product, written in Triton for GPUs.

The rows of the product are the positions of the result, its columns the output channels, and what is summed over are the
kernel's taps and, under each, the input channels: in `channels_last_3d` they are consecutive. No row is ever laid out, each is
read where it lies. Needs the package triton, which torch brings where it is built for CUDA on Linux; import it there only.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from nlreid.layers.fewest_axes import result_size

PROCESSORS = 132  # of an H100; fewer programs than these leave some idle
Tiles = tuple[int, int, int, int, int]  # positions, outputs and summands of a step, warps, steps on their way at a time


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
    tiles: Tiles | None = None,
) -> Tensor:
    """`relu(conv3d(x) + bias + onto)`, summed in float32 and rounded once.

    Args:
        x: `(b, c, t, h, w)`, bfloat16 or float16, on the current CUDA device. It is fast where `c` is a multiple of
            4, better of 8: other channels, as the three of a clip, cannot be fetched ahead.
        weight: `(o, c, kernel in t, h, w)`, of the type of `x`. Both are copied first where they do not lie as
            `channels_last_3d`.
        bias: `(o,)`.
        stride: Step in time, height and width.
        padding: Zeros added at either end of time, height and width.
        dilation: Distance of the kernel's taps in time, height and width.
        onto: `(b, o, t', h', w')` of the same type, which is added; copied first as they are.
        relu: Whether negative values become zero.
        tiles: What a program computes at a time; by default what suits the sizes.

    Returns:
        `(b, o, t', h', w')`, in memory as `channels_last_3d`.
    """
    x = x.permute(0, 2, 3, 4, 1).contiguous()  # b t h w c: says how it lies whatever the strides of axes of one
    weight = weight.permute(0, 2, 3, 4, 1).contiguous()  # o kt kh kw c
    b, *size, c = x.shape
    o, *kernel, _ = weight.shape
    t, h, w = result_size(size, kernel, stride, padding, dilation)
    y = x.new_empty((b, t, h, w, o))
    added = y if onto is None else onto.permute(0, 2, 3, 4, 1).contiguous()
    positions = b * t * h * w
    taps = kernel[0] * kernel[1] * kernel[2]
    adds = onto is not None
    block_m, block_n, block_k, warps, stages = tiles or _tiles(positions, o, c * taps, taps, adds=adds)
    _kernel[(-(-positions // block_m) * -(-o // block_n),)](
        x, weight, weight if bias is None else bias, added, y, *size, t, h, w, positions,
        c, o, *kernel, *stride, *padding, *dilation,
        bias is not None, adds, relu, max(x.numel(), y.numel()) >= 2**31,
        block_m, block_n, block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return y.permute(0, 4, 1, 2, 3)


def _tiles(m: int, n: int, k: int, taps: int, *, adds: bool) -> Tiles:
    """What one program computes at a time, by the sizes of the product: the fastest of some on an H200."""
    channels = k // taps
    several = taps > 1 and channels <= 32  # taps in one step
    block_k = 64 if several else min(64, _width(channels))
    if n <= 64:
        return 128, _width(n), block_k, 4, 3
    if m * n <= 128 * 128 * PROCESSORS // 2:
        return 64, 64, block_k, 4, 5
    if adds and k <= 128:  # little to compute: more of them at a time hide the memory
        return (128, 64, block_k, 4, 2) if k <= 64 else (64, 128, block_k, 4, 2)
    if taps > 1 and n > 128 and m * n >= 128 * 256 * 96:
        return 128, 256, block_k, 8, 3
    return 128, 128, block_k, 8 if adds else 4, 3


def _width(size: int) -> int:
    """The least power of 2 that has room, and that matrix units take."""
    return max(16, 1 << (size - 1).bit_length())


@triton.jit
def _kernel(
    x, weight, bias, added, y, frames, height, width, frames_out, height_out, width_out, positions,
    channels: tl.constexpr, outputs: tl.constexpr,
    kernel_t: tl.constexpr, kernel_h: tl.constexpr, kernel_w: tl.constexpr,
    stride_t: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_t: tl.constexpr, pad_h: tl.constexpr, pad_w: tl.constexpr,
    far_t: tl.constexpr, far_h: tl.constexpr, far_w: tl.constexpr,
    biased: tl.constexpr, adds: tl.constexpr, relu: tl.constexpr, wide: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    taps: tl.constexpr = kernel_t * kernel_h * kernel_w
    summands: tl.constexpr = taps * channels
    packed: tl.constexpr = (taps > 1) & (2 * channels <= block_k)  # several taps in one step
    ranges: tl.constexpr = summands if packed else channels  # what steps divide
    per_range: tl.constexpr = (ranges + block_k - 1) // block_k
    steps: tl.constexpr = per_range if packed else taps * per_range
    columns: tl.constexpr = (outputs + block_n - 1) // block_n
    plain: tl.constexpr = taps * stride_t * stride_h * stride_w + pad_t + pad_h + pad_w == 1

    program = tl.program_id(0)  # those of one block of positions are neighbours, so that these come from memory once
    block = program // columns
    m = (block.to(tl.int64) if wide else block) * block_m + tl.arange(0, block_m)
    n = program % columns * block_n + tl.arange(0, block_n)
    here = tl.minimum(m, positions - 1)[:, None]  # what lies outside is computed for the last one again, and not stored
    if plain:
        row = here
    else:  # its first tap's place in the clips, which may be outside
        w = here % width_out * stride_w - pad_w
        rest = here // width_out
        h = rest % height_out * stride_h - pad_h
        rest = rest // height_out
        t = rest % frames_out * stride_t - pad_t
        row = ((rest // frames_out * frames + t) * height + h) * width + w
    column = (tl.minimum(n, outputs - 1) if outputs % block_n else n)[:, None]
    from_x = row * channels
    from_weight = column * summands
    k = tl.arange(0, block_k)[None, :]

    total = tl.zeros((block_m, block_n), dtype=tl.float32)
    for step in range(steps):
        if packed:
            at = step * block_k + k
            tap, channel = at // channels, at % channels
        else:
            tap = step // per_range
            at = step % per_range * block_k + k
            channel = at
        real = at < ranges if ranges % block_k else tl.full((1, block_k), 1, tl.int1)
        over_t = tap // (kernel_h * kernel_w) * far_t
        over_h = tap // kernel_w % kernel_h * far_h
        over_w = tap % kernel_w * far_w
        seen = real
        if pad_t > 0:
            seen = seen & (t + over_t >= 0) & (t + over_t < frames)
        if pad_h > 0:
            seen = seen & (h + over_h >= 0) & (h + over_h < height)
        if pad_w > 0:
            seen = seen & (w + over_w >= 0) & (w + over_w < width)
        away = ((over_t * height + over_h) * width + over_w) * channels + channel
        left = tl.load(x + (from_x + away), mask=seen, other=0.0)  # block_m x block_k
        right = tl.load(weight + (from_weight + (tap * channels + channel)), mask=real, other=0.0)  # block_n x block_k
        total = tl.dot(left, right.T, total)

    if block_n < 128:
        _finish(total, m, n, bias, added, y, positions, outputs, block_n, biased, adds, relu)
    else:  # one half after the other: all that is added and all places at once would not fit in registers
        half: tl.constexpr = block_n // 2
        first, second = total.reshape(block_m, 2, half).permute(0, 2, 1).split()
        n = program % columns * block_n + tl.arange(0, half)
        _finish(first, m, n, bias, added, y, positions, outputs, half, biased, adds, relu)
        _finish(second, m, n + half, bias, added, y, positions, outputs, half, biased, adds, relu)


@triton.jit
def _finish(
    total, m, n, bias, added, y, positions, outputs: tl.constexpr, block_n: tl.constexpr,
    biased: tl.constexpr, adds: tl.constexpr, relu: tl.constexpr,
):  # fmt: skip
    inside = (m < positions)[:, None]
    real = n < outputs if outputs % block_n else tl.full((block_n,), 1, tl.int1)
    inside = inside & real[None, :]
    place = m[:, None] * outputs + n[None, :]
    if biased:
        total += tl.load(bias + n, mask=real, other=0.0).to(tl.float32)[None, :]
    if adds:
        total += tl.load(added + place, mask=inside, other=0.0).to(tl.float32)
    if relu:
        total = tl.where(total < 0, 0.0, total)  # a maximum would lose what is not a number
    tl.store(y + place, total.to(y.dtype.element_ty), mask=inside)
