"""What the sweeps over timm's networks share: which there are, randomised norms, and the comparison itself."""

from __future__ import annotations

import timm
import torch
from torch import Tensor, nn

import nlreid.inflation
from nlreid.inflation.layouts import layout_of

RESNETS = ("resnet", "resnest", "sknet", "res2net")  # timm's model files with networks of its ResNet class
FURTHER = ("resnetv2", "regnet", "senet", "byobnet")
UNSUPPORTED = "bat_resnext26ts"  # bilinear attention multiplies rows by columns: it has no form over time


def names(files: tuple[str, ...]) -> list[str]:
    """Every network of some of timm's model files."""
    return sorted(name for file in files for name in timm.list_models(module=file))


def module_types(name: str) -> frozenset[type[nn.Module]]:
    """The exact types of the modules that inflation keeps of a network."""
    with torch.device("meta"):
        model = timm.create_model(name)
    return frozenset(type(module) for child in layout_of(model).children() for module in model.get_submodule(child).modules())


def randomised(name: str) -> nn.Module:
    """A 2D network in eval mode whose norms do something, so that nothing is trivially zero."""
    model = timm.create_model(name).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        scale, shift = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(scale, Tensor) and scale.ndim == 1:
            scale.data.uniform_(0.3, 0.6, generator=generator)
            if shift is not None:
                shift.data.uniform_(-0.1, 0.1, generator=generator)
        if isinstance(getattr(module, "running_var", None), Tensor):
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
    return model


def repeated_frame_error(name: str, plan: str = "i3d") -> float:
    """Worst relative difference between a centre-inflated network on a repeated frame and its 2D source."""
    model = randomised(name)
    frame = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    kinds = {type(module).__name__ for module in model.modules()}
    small = sum(parameter.numel() for parameter in model.parameters()) < 3 * 10**8  # others would want tens of gigabytes
    if any("FilterResponseNorm" in kind for kind in kinds) or ("StdConv2d" in kinds and small):
        # they divide by tiny powers and deviations: float32 rounding alone reaches 1e-4
        model, frame = model.double(), frame.double()
    with torch.inference_mode():
        expected = model.forward_features(frame)
        backbone = nlreid.inflation.inflate(model, plan, init="center")
        answer = backbone(frame.unsqueeze(2).repeat(1, 1, 4, 1, 1))
    assert answer.shape[:2] == (1, backbone.num_features)
    assert answer.shape[3:] == expected.shape[2:]
    return relative_error(answer, expected.unsqueeze(2))


def relative_error(answer: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    assert expected.abs().max() > 1e-3
    return float((answer - expected).abs().max() / expected.abs().max())
