"""Batch norms of evaluation mode folded into the layers before them: `norm(W x + b)` is another `W' x + b'`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nlreid.inflation.modules import BatchNormAct3d
from nlreid.optimize.readers import sole_readers


def fold_norms(network: nn.Module, clip: Tensor) -> list[str]:
    """Fold each batch norm that is the only reader of a convolution or linear layer into it; the network is changed.

    What a norm does beyond normalising, the activation of timm's, stays in its place; a norm that does nothing else becomes
    `nn.Identity`.

    Args:
        network: The network, in evaluation mode.
        clip: A clip that it takes, on the device `"meta"`.

    Returns:
        Names of the norms that are gone.
    """
    folded = []
    for layer_name, norm_name in sole_readers(network, clip, (_BatchNorm,)):
        layer, norm = network.get_submodule(layer_name), network.get_submodule(norm_name)
        rest = _rest(norm)
        if rest is None or norm.running_mean is None or norm.running_var is None:
            continue
        _fold(layer, norm)
        network.set_submodule(norm_name, rest.eval())
        folded.append(norm_name)
    return folded


def _rest(norm: nn.Module) -> nn.Module | None:
    """What is left of a norm once it no longer normalises; None where that is not known."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        return nn.Identity()
    if type(norm) is BatchNormAct3d:
        return nn.Sequential(OrderedDict(drop=norm.drop, act=norm.act))
    return None


@torch.no_grad()
def _fold(layer: nn.Module, norm: nn.Module) -> None:
    assert isinstance(norm, _BatchNorm) and norm.running_mean is not None and norm.running_var is not None  # noqa: PT018
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    # in float64: the variances of a trained network can be small, and the rounding is then done once
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.double()
    shift = -norm.running_mean.double() * factor
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if isinstance(bias, Tensor):
        shift = shift + bias.double() * factor
    per_output = factor.view(-1, *[1] * (weight.ndim - 1))
    layer.weight = nn.Parameter((weight.double() * per_output).to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
