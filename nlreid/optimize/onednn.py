"""A convolution with bias, sum and ReLU in one pass over memory on x86 processors: oneDNN's, which torch brings along.

Torch reaches it through operators that `torch.compile` uses as well; where they are missing, nothing here is available.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_OPERATORS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")


def available(dtype: torch.dtype) -> bool:
    """Whether convolutions of a type can be computed here, now: `torch.backends.mkldnn.flags` can switch oneDNN off."""
    return bool(torch.backends.mkldnn.enabled) and _known(dtype)


@functools.cache
def _known(dtype: torch.dtype) -> bool:
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (there and platform.machine().lower() in ("x86_64", "amd64")):
        return False
    if not all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


class _Kernel(NamedTuple):
    """A packed kernel, and what it was packed from."""

    packed: Tensor
    state: tuple[object, ...]
    kept: list[Tensor]  # so that their places in memory are not given to others
    finite: bool


class Packed:
    """A kernel as oneDNN wants it in memory, so that it need not be laid out anew for each batch; a copy starts empty."""

    def __init__(self) -> None:
        self._last: _Kernel | None = None  # replaced as a whole: threads share a network

    @property
    def finite(self) -> bool:
        """Whether kernel and bias hold numbers alone."""
        return self._last is not None and self._last.finite

    def of(
        self,
        source: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Tensor:
        """The kernel for `convolve`, packed where it is another than the last time.

        Args:
            source: What was given for a weight.
            weight: A view of it, `(o, c / groups, ...)`, over two or three axes.
            bias: `(o,)`, which is only looked at.
            size: Shape of an input; others work as well, the best order may be another for them.
            stride: Step in each axis.
            padding: Zeros added at either end of each axis.
            dilation: Distance of the taps in each axis.
            groups: Groups of channels that do not see each other.

        Returns:
            A tensor of torch's layout `torch._mkldnn`.
        """
        given = [source] if bias is None else [source, bias]
        counted = not any(tensor.is_inference() for tensor in given)  # torch counts the changes of all others
        state = (source.dtype, weight.shape, *((tensor.data_ptr(), tensor._version) for tensor in given if counted))
        last = self._last
        if last is None or last.state != state or not counted:
            plain = weight.detach().contiguous()
            packed = torch.ops.mkldnn._reorder_convolution_weight(plain, padding, stride, dilation, groups, list(size))
            finite = all(bool(tensor.detach().sum().isfinite()) for tensor in given)
            self._last = last = _Kernel(packed, state, [tensor.detach() for tensor in given], finite)
        return last.packed

    def __deepcopy__(self, _memo: object) -> Packed:
        """An empty one: torch does not copy packed tensors."""
        return Packed()

    def __reduce__(self) -> tuple[type[Packed], tuple[()]]:
        """An empty one."""
        return Packed, ()


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *,
    onto: Tensor | None,
    relu: bool,
) -> Tensor:
    """`relu(conv(x) + bias + onto)`.

    Args:
        x: `(b, c, ...)` over two or three axes, channels last in memory.
        weight: Of `Packed.of`.
        bias: `(o,)`.
        stride: Step in each axis.
        padding: Zeros added at either end of each axis.
        dilation: Distance of the taps in each axis.
        groups: Groups of channels that do not see each other.
        onto: Of the result's shape, channels last in memory: it is added, and the result takes its place.
        relu: Whether negative values become zero, and what is no number, too: oneDNN does not keep NaN there.

    Returns:
        `(b, o, ...)`, channels last in memory; `onto`, where given.
    """
    convolution = (x, weight, bias, padding, stride, dilation, groups)
    if onto is None:
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(*convolution, "relu" if relu else "none", [], "")
        return result
    torch.ops.mkldnn._convolution_pointwise_.binary(onto, *convolution, "add", 1.0, "relu" if relu else None, [], "")
    return onto
