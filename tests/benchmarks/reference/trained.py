"""Weights and clips with which a network says something else of each clip, as after training, and not its bias alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOFT = 0.15  # between even shares and one key that takes all: which one it is would hang on roundings
SMALL = 0.3  # what a branch adds: with more, a deep network without training magnifies each rounding
FEW = (4, 4, 256, 128)  # clips, frames, height, width


def as_if_trained(network: nn.Module, size: tuple[int, int, int, int] = FEW) -> nn.Module:
    """Draw what a fresh network has at zero or one, so that every tensor of it counts; it is changed, and in evaluation mode.

    Args:
        network: Of `nlreid`, of `reference`, or of torchvision.
        size: Clips, frames, height and width of what the statistics of its norms are taken from.
    """
    norms = [module for module in network.modules() if _is_norm(module)]
    last = [norm for branch in network.modules() for norm in _own_norms(branch)[-1:]]
    for norm in norms:
        most = SMALL if any(norm is other for other in last) else 1.0
        nn.init.uniform_(norm.weight, most / 2, most)
        nn.init.normal_(norm.bias, std=0.2)
        norm.reset_running_stats()
    for name, module in network.named_modules():
        if name.endswith((".theta", ".phi")):
            nn.init.normal_(module.weight, std=SOFT * module.in_channels**-0.5)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean of all that it sees
    with torch.no_grad():
        network.train()(draw_clips(*size))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.running_var.clamp_(min=0.2 * float(norm.running_var.mean()))  # a channel that saw nothing would magnify all
    return network.eval()


def _own_norms(branch: nn.Module) -> list[nn.Module]:
    """The norms of a residual branch in the order in which it runs them; none of a module that is no branch."""
    children = dict(branch.named_children())
    if "theta" in children:
        return [children["norm"]]
    if "conv2" not in children:
        return []
    return [module for name, module in branch.named_modules() if name.split(".")[0] != "downsample" and _is_norm(module)]


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def draw_clips(count: int, frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Clips `(count, 3, frames, height, width)` that differ in colour, in coarse shapes that move, and in grain."""
    random = torch.Generator().manual_seed(seed)
    colour = torch.randn(count, 3, 1, 1, 1, generator=random)
    shapes = torch.randn(count * frames, 3, max(2, height // 32), max(2, width // 32), generator=random)
    wide = F.interpolate(shapes, size=(height, width), mode="bilinear").unflatten(0, (count, frames)).transpose(1, 2)
    grain = torch.randn(count, 3, frames, height, width, generator=random)
    return (colour + 0.5 * wide + 0.2 * grain).contiguous()
