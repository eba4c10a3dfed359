"""The non-local block with its matrix of all pairs, as in PySlowFast and mmaction2 (Wang et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NonLocal(nn.Module):
    """`x + norm(out(softmax(scale * theta^T phi) g))`, the embedded Gaussian, `(b, c, t, h, w)` to the same shape."""

    def __init__(self, channels: int, scale: float = 1.0, subsample: int = 1) -> None:
        super().__init__()
        inner = channels // 2
        self.scale = scale
        self.pool = nn.MaxPool3d((1, subsample, subsample)) if subsample > 1 else nn.Identity()
        self.theta = nn.Conv3d(channels, inner, kernel_size=1)
        self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.out = nn.Conv3d(inner, channels, kernel_size=1)
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        keys = self.pool(x)
        theta = self.theta(x).flatten(2)  # b c n
        phi = self.phi(keys).flatten(2)  # b c m
        g = self.g(keys).flatten(2)  # b c m
        pairs = torch.einsum("bcn,bcm->bnm", theta, phi) * self.scale
        pairs = torch.softmax(pairs, dim=-1)
        gathered = torch.einsum("bnm,bcm->bcn", pairs, g)
        return x + self.norm(self.out(gathered.reshape(x.shape[0], -1, *x.shape[2:])))
