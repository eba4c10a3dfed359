"""What the sweeps over timm's networks share: which networks there are, randomised norms, and the comparison itself."""

from __future__ import annotations

import timm
import torch
from torch import Tensor, nn

import nlreid.inflation

RESNET_MODULES = ("resnet", "resnest", "sknet", "res2net")
FURTHER_MODULES = ("resnetv2", "regnet", "senet", "byobnet")
UNSUPPORTED = {"bat_resnext26ts": "BatNonLocalAttn"}


def names(modules: tuple[str, ...]) -> list[str]:
    """Every network of some of timm's model files."""
    return sorted(name for module in modules for name in timm.list_models(module=module))


def randomised(name: str) -> nn.Module:
    """A 2D network in eval mode whose norms do something, so that nothing is trivially zero."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        scale, shift = getattr(module, "weight", None), getattr(module, "bias", None)
        if scale is not None and scale.ndim == 1:
            scale.data.uniform_(0.3, 0.6, generator=generator)
            if shift is not None:
                shift.data.uniform_(-0.1, 0.1, generator=generator)
        if getattr(module, "running_var", None) is not None:
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
    return model


def repeated_frame_error(name: str, plan: str = "i3d") -> float:
    """Worst relative difference between a centre-inflated network on a repeated frame and its 2D source."""
    model = randomised(name)
    frame = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    clip = frame.unsqueeze(2).repeat(1, 1, 2, 1, 1)
    with torch.inference_mode():
        expected = model.forward_features(frame)
        backbone = nlreid.inflation.inflate(model, plan, init="center")
        del model
        answer = backbone(clip)
    assert answer.shape[:2] == expected.shape[:2] == (1, backbone.num_features)
    assert answer.shape[3:] == expected.shape[2:]
    return relative_error(answer, expected.unsqueeze(2))


def relative_error(answer: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    assert expected.abs().max() > 1e-3
    return float((answer - expected).abs().max() / expected.abs().max())
