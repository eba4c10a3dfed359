"""The 3D forms of timm's modules that count the axes of their input: same children and tensors, time pooled like space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from einops import rearrange
from timm.layers.blur_pool import BlurPool2d
from timm.layers.eca import CecaModule, EcaModule
from timm.layers.evo_norm import EvoNorm2dS0, EvoNorm2dS0a
from timm.layers.filter_response_norm import FilterResponseNormTlu2d
from timm.layers.global_context import GlobalContext
from timm.layers.helpers import to_2tuple
from timm.layers.norm import LayerNorm2d
from timm.layers.selective_kernel import SelectiveKernelAttn
from timm.layers.split_attn import SplitAttn
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule
from timm.models import senet
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.layers.exporting import exporting

SPACE_TIME = (2, 3, 4)


class BatchNormAct3d(nn.BatchNorm3d):
    """timm's batch norm with an activation behind it."""

    if TYPE_CHECKING:
        drop: nn.Module
        act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, drop, activate: `(b, c, t, h, w)` to the same shape."""
        result: Tensor = self.act(self.drop(super().forward(x)))
        return result


class _TimeAsHeight(nn.Module):
    """Runs the 2D code on frames laid one under the other, so that what it pools over space it pools over time too."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to the same shape."""
        stacked = rearrange(x, "b c t h w -> b c (t h) w")
        result: Tensor = rearrange(super().forward(stacked), "b c (t h) w -> b c t h w", t=x.shape[2])
        return result


class EcaModule3d(_TimeAsHeight, EcaModule):
    """Efficient channel attention over space and time."""


class CecaModule3d(_TimeAsHeight, CecaModule):
    """Circular efficient channel attention over space and time."""


class LayerNorm3d(_TimeAsHeight, LayerNorm2d):
    """Layer norm over the channels of every position."""


class EvoNorm3dS0(_TimeAsHeight, EvoNorm2dS0):
    """EvoNorm S0 with the statistics of whole clips."""


class EvoNorm3dS0a(_TimeAsHeight, EvoNorm2dS0a):
    """EvoNorm S0a with the statistics of whole clips."""


class FilterResponseNormTlu3d(_TimeAsHeight, FilterResponseNormTlu2d):
    """Filter response normalisation with the statistics of whole clips."""


class _FrameByFrame(nn.Module):
    """Runs the 2D code on each frame, or on every so-manyth."""

    temporal_stride = 1

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to `(b, c, t / temporal_stride, h / stride, w / stride)`."""
        x = x[:, :, :: self.temporal_stride]
        frames = rearrange(x, "b c t h w -> (b t) c h w")
        pooled: Tensor = super().forward(frames)
        return rearrange(pooled, "(b t) c h w -> b c t h w", b=x.shape[0])


class FrameBlurPool(_FrameByFrame, BlurPool2d):
    """Anti-aliased spatial pooling of each frame."""


class FrameAvgPool(_FrameByFrame, nn.AvgPool2d):
    """Spatial average pooling of each frame; unlike `AvgPool3d`, it takes maps smaller than its window, as in 2D."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to `(b, c, t / temporal_stride, h / stride, w / stride)`."""
        if not exporting():
            return super().forward(x)
        if self.temporal_stride > 1:  # as many frames as a convolution leaves, by a formula that is seen to be the same
            x = F.avg_pool3d(x, 1, (self.temporal_stride, 1, 1))
        kernel, stride, padding = (to_2tuple(sides) for sides in (self.kernel_size, self.stride, self.padding))
        in_3d = ((1, *kernel), (1, *stride), (0, *padding))
        return F.avg_pool3d(x, *in_3d, self.ceil_mode, self.count_include_pad, self.divisor_override)


class SEModule3d(SEModule):
    """Squeeze-and-excitation over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to the same shape."""
        squeezed = _squeeze(x, self.add_maxpool)
        result: Tensor = x * self.gate(self.fc2(self.act(self.bn(self.fc1(squeezed)))))
        return result


class EffectiveSEModule3d(EffectiveSEModule):
    """Effective squeeze-and-excitation over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to the same shape."""
        result: Tensor = x * self.gate(self.fc(_squeeze(x, self.add_maxpool)))
        return result


class LegacySEModule3d(senet.SEModule):
    """Squeeze-and-excitation of the original SENets over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to the same shape."""
        squeezed = x.mean(SPACE_TIME, keepdim=True)
        result: Tensor = x * self.sigmoid(self.fc2(self.relu(self.fc1(squeezed))))
        return result


class SplitAttn3d(SplitAttn):
    """The split attention of ResNeSt over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to `(b, out, t', h', w')`, as its convolution says."""
        x = self.act0(self.drop(self.bn0(self.conv(x))))
        splits = rearrange(x, "b (r c) t h w -> b r c t h w", r=max(self.radix, 1))
        pooled = splits.sum(dim=1).mean(SPACE_TIME, keepdim=True)
        attention = self.rsoftmax(self.fc2(self.act1(self.bn1(self.fc1(pooled)))))
        attention = attention.reshape(*splits.shape[:3], 1, 1, 1)
        result: Tensor = (splits * attention).sum(dim=1).contiguous()
        return result


class SelectiveKernelAttn3d(SelectiveKernelAttn):
    """The gates of a selective kernel, from features pooled over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """The paths' features `(b, paths, c, t, h, w)` to their gates `(b, paths, c, 1, 1, 1)`."""
        pooled = x.sum(dim=1).mean(SPACE_TIME, keepdim=True)
        selected = self.fc_select(self.act(self.bn(self.fc_reduce(pooled))))
        result: Tensor = rearrange(selected, "b (p c) t h w -> b p c t h w", p=self.num_paths).softmax(dim=1)
        return result


class GlobalContext3d(GlobalContext):
    """Global context attention over space and time."""

    def forward(self, x: Tensor) -> Tensor:
        """`(b, c, t, h, w)` to the same shape."""
        if self.conv_attn is None:
            context = x.mean(SPACE_TIME, keepdim=True)
        else:
            weights = self.conv_attn(x).flatten(2).softmax(dim=-1)  # (b, 1, t h w)
            context = torch.einsum("b c n, b o n -> b c o", x.flatten(2), weights)[..., None, None]
        if self.mlp_scale is not None:
            x = x * self.gate(self.mlp_scale(context))
        result: Tensor = x if self.mlp_add is None else x + self.mlp_add(context)
        return result


def _squeeze(x: Tensor, add_maxpool: bool) -> Tensor:
    mean = x.mean(SPACE_TIME, keepdim=True)
    return 0.5 * (mean + x.amax(SPACE_TIME, keepdim=True)) if add_maxpool else mean
