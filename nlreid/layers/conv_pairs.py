"""3D convolutions split into time and space (Liao et al. 2018, Fig. 3d; Tran et al. 2018, "R(2+1)D")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlreid.layers.conv3d import Conv3d
from nlreid.layers.fewest_axes import Triple


class SeparableConv3d(nn.Module):
    """A convolution over time followed by one over space, nothing between them (paper Fig. 3d).

    `temporal` (t x 1 x 1) mixes all input channels, whatever `groups` is, and starts as the identity in every
    slice, divided by t: with equal slices the pair then starts as the `mean` inflation of `spatial` (1 x h x w).

    >>> conv = SeparableConv3d(3, 8, (3, 3, 3), stride=(1, 2, 2), padding=(1, 1, 1))
    >>> conv(torch.zeros(2, 3, 4, 16, 8)).shape
    torch.Size([2, 8, 4, 8, 4])

    Args:
        in_channels: Channels of the clip or feature map that comes in.
        out_channels: Channels of the result.
        kernel_size: Size of the kernel in time, height and width.
        stride: Step in time, height and width.
        padding: Zeros added at either end of time, height and width.
        dilation: Distance of the kernel's taps in time, height and width.
        groups: Groups of the spatial convolution.
        bias: Whether the spatial convolution adds one.
        device: Where the weights live.
        dtype: Type of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        stride: Triple = (1, 1, 1),
        padding: Triple = (0, 0, 0),
        dilation: Triple = (1, 1, 1),
        groups: int = 1,
        bias: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.temporal = Conv3d(
            in_channels,
            in_channels,
            (kernel_size[0], 1, 1),
            stride=(stride[0], 1, 1),
            padding=(padding[0], 0, 0),
            dilation=(dilation[0], 1, 1),
            bias=False,
            device=device,
            dtype=dtype,
        )
        self.spatial = Conv3d(
            in_channels,
            out_channels,
            (1, *kernel_size[1:]),
            stride=(1, *stride[1:]),
            padding=(0, *padding[1:]),
            dilation=(1, *dilation[1:]),
            groups=groups,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: identity / t over time, Kaiming normal and zero bias over space."""
        with torch.no_grad():
            self.temporal.weight.zero_()
            channels = torch.arange(self.in_channels, device=self.temporal.weight.device)
            self.temporal.weight[channels, channels] = 1 / self.temporal.kernel_size[0]
        _start_kaiming(self.spatial)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve over time, then over space.

        Args:
            x: `(b, in_channels, t, h, w)`.

        Returns:
            `(b, out_channels, t', h', w')`, the size that a `Conv3d` of the same arguments gives.
        """
        out: Tensor = self.spatial(self.temporal(x))
        return out


class FactorisedConv3d(nn.Module):
    """A convolution over space, batch norm and ReLU, then one over time: the (2+1)D pair of Tran et al. 2018.

    >>> conv = FactorisedConv3d(64, 64, (3, 3, 3), padding=(1, 1, 1))
    >>> conv.mid_channels  # as many weights as 64 x 64 x 3 x 3 x 3
    144
    >>> FactorisedConv3d(3, 64, (3, 7, 7), mid_channels=45).spatial.out_channels  # the stem of the 18-layer network
    45

    Args:
        in_channels: Channels of the clip or feature map that comes in.
        out_channels: Channels of the result.
        kernel_size: Size of the kernel in time, height and width.
        stride: Step in time, height and width.
        padding: Zeros added at either end of time, height and width.
        mid_channels: Channels between the two; by default as many as give the pair at most the weights of the full
            3D kernel (their Sec. 3.5), at least 1.
        device: Where the weights live.
        dtype: Type of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        stride: Triple = (1, 1, 1),
        padding: Triple = (0, 0, 0),
        mid_channels: int | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.mid_channels = mid_channels or _matching_width(in_channels, out_channels, kernel_size)
        self.spatial = Conv3d(
            in_channels,
            self.mid_channels,
            (1, *kernel_size[1:]),
            stride=(1, *stride[1:]),
            padding=(0, *padding[1:]),
            bias=False,
            device=device,
            dtype=dtype,
        )
        self.norm = nn.BatchNorm3d(self.mid_channels, device=device, dtype=dtype)
        self.act = nn.ReLU(inplace=True)
        self.temporal = Conv3d(
            self.mid_channels,
            out_channels,
            (kernel_size[0], 1, 1),
            stride=(stride[0], 1, 1),
            padding=(padding[0], 0, 0),
            bias=False,
            device=device,
            dtype=dtype,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: Kaiming normal convolutions, a norm that neither scales nor shifts."""
        _start_kaiming(self.spatial)
        self.norm.reset_parameters()
        _start_kaiming(self.temporal)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve over space, normalise and rectify, convolve over time.

        Args:
            x: `(b, in_channels, t, h, w)`.

        Returns:
            `(b, out_channels, t', h', w')`, the size that a `Conv3d` of the same arguments gives.
        """
        out: Tensor = self.temporal(self.act(self.norm(self.spatial(x))))
        return out


def _matching_width(in_channels: int, out_channels: int, kernel_size: Triple) -> int:
    t, area = kernel_size[0], kernel_size[1] * kernel_size[2]
    return max(1, in_channels * out_channels * t * area // (in_channels * area + t * out_channels))


def _start_kaiming(conv: nn.Conv3d) -> None:
    # fan_out keeps the size of the gradients on the way back, as ResNets start (He et al. 2015)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
