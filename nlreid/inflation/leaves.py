"""The rules themselves: convolutions, norms, pools, attention, and the blocks whose code fits any number of axes."""

from __future__ import annotations

from functools import partial
from typing import Any

from timm.layers import (
    activations,
    blur_pool,
    conv_bn_act,
    drop,
    eca,
    evo_norm,
    filter_response_norm,
    global_context,
    linear,
    mlp,
    norm,
    norm_act,
    selective_kernel,
    split_attn,
    squeeze_excite,
    std_conv,
)
from timm.models import byobnet, regnet, res2net, resnest, resnet, resnetv2, senet, sknet
from torch import nn

from nlreid.errors import InflationError
from nlreid.inflation import modules as in_3d
from nlreid.inflation.rules import RULES, Rule, Site, keep
from nlreid.layers.conv3d import Conv3d
from nlreid.layers.conv_pairs import FactorisedConv3d, SeparableConv3d
from nlreid.layers.fewest_axes import Triple
from nlreid.layers.pool import MaxPool3d


class StandardisedConv3d(Conv3d):
    """What a weight-standardised 2D convolution becomes: a plain one that takes its kernels standardised.

    Args:
        eps: Added to the variance of a 2D kernel when it is standardised.
    """

    def __init__(self, *args: Any, eps: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.eps = eps


def inflate_conv(conv: nn.Conv2d, site: Site) -> nn.Module:
    """A convolution gains a temporal kernel of odd size, padded by half of it with zeros."""
    frames = site.frames
    stride: Triple = (frames.stride, *_pair(conv.stride))
    geometry: dict[str, Any] = {
        "kernel_size": (frames.kernel, *_pair(conv.kernel_size)),
        "stride": stride,
        "padding": (frames.kernel // 2, *_space_padding(conv, site)),
        "dilation": (1, *_pair(conv.dilation)),
        "groups": conv.groups,
        "bias": conv.bias is not None,
        "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }
    if frames.form != "plain" and conv.padding_mode != "zeros":
        raise InflationError(f"{site.name!r} pads with {conv.padding_mode!r}; a {frames.form} pair pads with zeros only")
    if frames.form == "separable":
        return SeparableConv3d(conv.in_channels, conv.out_channels, **geometry)
    if frames.form == "factorised":
        if conv.groups > 1 or conv.bias is not None or max(_pair(conv.dilation)) > 1:
            raise InflationError(f"{site.name!r} has groups, a dilation or a bias; R(2+1)D pairs are defined without")
        geometry = {key: geometry[key] for key in ("kernel_size", "stride", "padding", "device", "dtype")}
        return FactorisedConv3d(conv.in_channels, conv.out_channels, mid_channels=frames.hidden, **geometry)
    kind: type[Conv3d] = Conv3d
    if type(conv) is std_conv.StdConv2d:
        kind, geometry["eps"] = StandardisedConv3d, conv.eps
    device = geometry.pop("device")  # built on the meta device: values that are about to be replaced are not drawn
    inflated = kind(conv.in_channels, conv.out_channels, padding_mode=conv.padding_mode, device="meta", **geometry)
    return inflated.to_empty(device=device)


def inflate_max_pool(pool: nn.MaxPool2d, site: Site) -> nn.Module:
    """A max-pool gains what the plan gives it: where its stage strides in time, it does too."""
    frames = site.frames
    return MaxPool3d(
        (frames.kernel, *_pair(pool.kernel_size)),
        stride=(frames.stride, *_pair(pool.stride)),
        padding=(frames.kernel // 2, *_pair(pool.padding)),
        dilation=(1, *_pair(pool.dilation)),
        return_indices=pool.return_indices,
        ceil_mode=pool.ceil_mode,
    )


def inflate_frame_pool(form: type[nn.Module], pool: nn.Module, site: Site) -> nn.Module:
    """Average and blur pools work frame by frame; where their stage strides in time, on every so-manyth frame."""
    if site.frames.kernel > 1:
        raise InflationError(f"{site.name!r} averages over space; only max-pools gain a temporal kernel")
    rebuilt = site.rebuild(pool, form)
    rebuilt.temporal_stride = site.frames.stride  # type: ignore[assignment]
    return rebuilt


def _space_padding(conv: nn.Conv2d, site: Site) -> tuple[int, int]:
    if not isinstance(conv.padding, str):
        return _pair(conv.padding)
    if conv.padding == "valid":
        return (0, 0)
    (kh, kw), (dh, dw) = _pair(conv.kernel_size), _pair(conv.dilation)
    if kh % 2 == 0 or kw % 2 == 0:
        raise InflationError(f"{site.name!r} pads an even kernel {kh} x {kw} with 'same', unevenly; pad it explicitly")
    return (dh * (kh // 2), dw * (kw // 2))


def _pair(value: Any) -> tuple[int, int]:
    return (value[0], value[1]) if isinstance(value, tuple | list) else (value, value)


def _rebuilt(form: type[nn.Module], module: nn.Module, site: Site) -> nn.Module:
    return site.rebuild(module, form)


BY_CODE: dict[type[nn.Module], Rule] = {
    nn.Conv2d: inflate_conv,
    std_conv.StdConv2d: inflate_conv,
    nn.MaxPool2d: inflate_max_pool,
    nn.AvgPool2d: partial(inflate_frame_pool, in_3d.FrameAvgPool),
    blur_pool.BlurPool2d: partial(inflate_frame_pool, in_3d.FrameBlurPool),
}

BY_FORM: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: nn.BatchNorm3d,
    norm_act.BatchNormAct2d: in_3d.BatchNormAct3d,
    norm.LayerNorm2d: in_3d.LayerNorm3d,
    evo_norm.EvoNorm2dS0: in_3d.EvoNorm3dS0,
    evo_norm.EvoNorm2dS0a: in_3d.EvoNorm3dS0a,
    filter_response_norm.FilterResponseNormTlu2d: in_3d.FilterResponseNormTlu3d,
    squeeze_excite.SEModule: in_3d.SEModule3d,
    squeeze_excite.EffectiveSEModule: in_3d.EffectiveSEModule3d,
    senet.SEModule: in_3d.LegacySEModule3d,
    eca.EcaModule: in_3d.EcaModule3d,
    eca.CecaModule: in_3d.CecaModule3d,
    split_attn.SplitAttn: in_3d.SplitAttn3d,
    selective_kernel.SelectiveKernelAttn: in_3d.SelectiveKernelAttn3d,
    global_context.GlobalContext: in_3d.GlobalContext3d,
}

# Their own code fits five axes as it does four.
KEPT: tuple[type[nn.Module], ...] = (
    *(
        nn.Identity,
        nn.Sequential,
        nn.ModuleList,
        nn.Conv1d,
        nn.GroupNorm,
        nn.Dropout,
        nn.SyncBatchNorm,
        nn.ConstantPad2d,
    ),
    *(
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.SiLU,
        nn.GELU,
        nn.ELU,
        nn.Sigmoid,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.Mish,
        nn.Tanh,
    ),
    *(
        activations.Sigmoid,
        activations.Tanh,
        activations.Swish,
        activations.Mish,
        activations.GELU,
        activations.PReLU,
        drop.DropPath,
        linear.Linear,
    ),
    *(norm.GroupNorm, norm.GroupNorm1, norm_act.GroupNormAct, norm_act.GroupNorm1Act),
    *(conv_bn_act.ConvNormAct, mlp.ConvMlp, split_attn.RadixSoftmax, selective_kernel.SelectiveKernel),
    *(resnet.BasicBlock, resnet.Bottleneck, resnest.ResNestBottleneck, res2net.Bottle2neck),
    *(sknet.SelectiveKernelBasic, sknet.SelectiveKernelBottleneck),
    *(senet.SEBottleneck, senet.SEResNetBlock, senet.SEResNetBottleneck, senet.SEResNeXtBottleneck),
    *(resnetv2.PreActBasic, resnetv2.PreActBottleneck, resnetv2.Bottleneck, resnetv2.ResNetStage),
    *(resnetv2.DownsampleConv, resnetv2.DownsampleAvg),
    *(regnet.Bottleneck, regnet.PreBottleneck, regnet.RegStage),
    *(byobnet.BasicBlock, byobnet.BottleneckBlock, byobnet.DarkBlock, byobnet.EdgeBlock, byobnet.RepVggBlock),
    *(byobnet.MobileOneBlock, byobnet.DownsampleAvg, byobnet.Stem),
)

RULES.update(BY_CODE)
RULES.update({module_type: partial(_rebuilt, form) for module_type, form in BY_FORM.items()})
RULES.update(dict.fromkeys(KEPT, keep))
