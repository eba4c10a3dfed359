"""A convolution that adds what is beside it and rectifies in the same pass over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from nlreid.layers.conv3d import Conv3d, conv3d, loses_its_column
from nlreid.layers.exporting import exporting
from nlreid.layers.fewest_axes import folds_time, in_fewest_axes, is_pointwise, result_size
from nlreid.optimize import gpu, onednn
from nlreid.optimize.running import doubt, numbers_alone

Steps = tuple[int, ...]  # of each axis


class FusedConv3d(Conv3d):
    """`relu(conv(x) + onto)` of a trained convolution, for inference.

    Where no faster way is at hand (a type, device or graph that none is for), a convolution, a sum and a ReLU run one after
    the other. On CPUs a second copy of the kernel is kept, in the order that oneDNN computes in;
    values written to `weight` are seen, but for those written through `weight.data`, which torch does not count.

    Args:
        conv: The convolution, whose weights are taken, not copied.
        relu: Whether negative values become zero.
    """

    def __init__(self, conv: Conv3d, *, relu: bool) -> None:
        shape = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
        super().__init__(*shape, bias=conv.bias is not None, device="meta")  # type: ignore[arg-type]  # tuples of any length
        self.weight, self.bias = conv.weight, conv.bias
        self.relu = relu
        assert not isinstance(conv.padding, str)
        self._steps: tuple[Steps, Steps, Steps] = (conv.stride, conv.padding, conv.dilation)
        self._packed = onednn.Packed()
        self._gpu = gpu.available(self.weight.device)

    def forward(self, input: Tensor, *, onto: Tensor | None = None, overwrite: bool = False) -> Tensor:  # noqa: A002
        """Convolve, add and rectify.

        Args:
            input: `(b, in_channels, t, h, w)`.
            onto: `(b, out_channels, t', h', w')`, which is added.
            overwrite: Whether the result may take the place of `onto`, which nobody else needs then.

        Returns:
            `(b, out_channels, t', h', w')`; `onto` itself where it was overwritten.
        """
        if not self._takes(input, onto):
            return self._in_steps(input, onto)
        if input.is_cuda:
            return self._on_gpu(input, onto)
        x = input.contiguous(memory_format=torch.channels_last_3d)
        least = in_fewest_axes(x, self.weight, *self._steps, self.groups)
        axes = (least.stride, least.padding, least.dilation, self.groups)
        kernel = self._packed.of(self.weight, least.weight, self.bias, least.x.shape, *axes)
        if not self._packed.finite:
            doubt()
        at_once = self.relu and numbers_alone()
        if onto is not None and (not overwrite or onto.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()):
            onto = onto.clone(memory_format=torch.channels_last_3d)
        over = None if onto is None else least.there(onto)
        y = onednn.convolve(least.x, kernel, self.bias, *axes, onto=over, relu=at_once)
        result = least.back(y) if onto is None else onto
        return result.relu_() if self.relu and not at_once else result

    def extra_repr(self) -> str:
        """The arguments of the convolution, and what follows it."""
        return f"{super().extra_repr()}, relu={self.relu}"  # type: ignore[no-untyped-call]

    def _takes(self, x: Tensor, onto: Tensor | None) -> bool:
        """Whether a fused way computes this; none has a gradient."""
        if x.ndim != 5 or x.numel() == 0 or x.dtype != self.weight.dtype:
            return False
        if onto is not None and (onto.dtype != x.dtype or onto.shape != (x.shape[0], self.out_channels, *self._size(x))):
            return False
        if x.device.type not in ("cpu", "cuda") or exporting() or torch.is_autocast_enabled(x.device.type):
            return False
        learning = (x, self.weight, self.bias, onto)
        if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in learning):
            return False
        return self._takes_on_gpu(x, onto) if x.is_cuda else self._takes_on_cpu(x, onto)

    def _takes_on_cpu(self, x: Tensor, onto: Tensor | None) -> bool:
        if torch.compiler.is_compiling() or is_in_torch_dispatch_mode() or not onednn.available(x.dtype):
            return False  # what is compiled, traced or counted is left to torch
        if x.shape[1] == 1 or loses_its_column(x, self.weight, *(steps[2] for steps in self._steps)):
            return False  # of one channel, oneDNN can leave parts unwritten in float32, too
        return onto is None or onto.is_contiguous(memory_format=torch.channels_last_3d)

    def _takes_on_gpu(self, x: Tensor, onto: Tensor | None) -> bool:
        if not self._gpu or self.groups > 1 or x.dtype not in (torch.bfloat16, torch.float16):
            return False
        if is_pointwise(self.weight.shape[2:], *self._steps[:2]) and onto is None and not self.relu:
            return False  # nothing to fuse: a matrix product
        return x.shape[1] % 8 == 0 or folds_time(x, self.weight, self._steps[0], self.groups)

    def _size(self, x: Tensor) -> tuple[int, ...]:
        return result_size(x.shape[2:], self.weight.shape[2:], *self._steps)

    def _on_gpu(self, x: Tensor, onto: Tensor | None) -> Tensor:
        room = gpu.convolution(stem=folds_time(x, self.weight, self._steps[0], self.groups))
        if torch.compiler.is_compiling() or x.device.index == torch.cuda.current_device():
            result: Tensor = room.convolve(x, self.weight, self.bias, *self._steps, onto=onto, relu=self.relu)
            return result
        with torch.cuda.device(x.device):  # triton starts its kernels on the current one
            return self._on_gpu(x, onto)

    def _in_steps(self, x: Tensor, onto: Tensor | None) -> Tensor:
        y = conv3d(x, self.weight, self.bias, *self._steps, self.groups)
        y = y if onto is None else y + onto
        return y.relu() if self.relu else y

    def _apply(self, fn: Any, recurse: bool = True) -> FusedConv3d:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._gpu = gpu.available(self.weight.device)
        return self
