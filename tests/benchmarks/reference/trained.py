"""Weights as training leaves them: norms that have seen something, non-local blocks that are no identities."""

from __future__ import annotations

from torch import nn

SOFT = 0.01  # between even shares and one key that takes all: which one it is would hang on roundings


def as_if_trained(network: nn.Module) -> nn.Module:
    """Draw what a fresh network of `nlreid` has at zero or one, so that every tensor of it counts; the network is changed."""
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        elif name.endswith((".theta", ".phi")):
            nn.init.normal_(module.weight, std=SOFT)
    return network
