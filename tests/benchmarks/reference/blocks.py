"""Residual blocks with temporal kernels (He et al. 2015; Wang et al. 2018), and the three ways to build a convolution."""

from __future__ import annotations

from torch import Tensor, nn


def convolution(inputs: int, outputs: int, frames: int, size: int, stride: int = 1) -> nn.Conv3d:
    """A kernel of `frames` x `size` x `size`, which keeps the frames and strides in space."""
    padding = (frames // 2, size // 2, size // 2)
    return nn.Conv3d(inputs, outputs, (frames, size, size), stride=(1, stride, stride), padding=padding, bias=False)


class Pair(nn.Module):
    """A kernel over time, then one over space, nothing between them."""

    def __init__(self, inputs: int, outputs: int, frames: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.temporal = convolution(inputs, inputs, frames, 1)
        self.spatial = convolution(inputs, outputs, 1, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.temporal(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1; the first one may look at several frames, or the second be a pair that does."""

    expansion = 4

    def __init__(self, inputs: int, width: int, first: int, stride: int, separable: bool) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = convolution(inputs, width, first, 1)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = Pair(width, width, 3, 3, stride) if separable else convolution(width, width, 1, 3, stride)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = convolution(width, outputs, 1, 1)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Basic(nn.Module):
    """3 x 3, 3 x 3; the first one may look at several frames, or both be pairs that do."""

    expansion = 1

    def __init__(self, inputs: int, width: int, first: int, stride: int, separable: bool) -> None:
        super().__init__()
        self.conv1 = Pair(inputs, width, 3, 3, stride) if separable else convolution(inputs, width, first, 3, stride)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = Pair(width, width, 3, 3) if separable else convolution(width, width, 1, 3)
        self.bn2 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The projection of a block that changes size; None where it changes nothing."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(convolution(inputs, outputs, 1, 1, stride), nn.BatchNorm3d(outputs))
