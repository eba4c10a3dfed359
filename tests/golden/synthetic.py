"""Synthetic tensors and clips, drawn from name, shape and seed: a list of names is enough to rebuild a checkpoint."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor


def synthetic_tensor(key: str, shape: tuple[int, ...], seed: int, gain: float = 1.0) -> Tensor:
    """The tensor of a name; what it is for (weight, bias, a norm's statistics) is the part behind the last dot."""
    draw = np.random.default_rng([seed, zlib.crc32(key.encode())])
    role = key.rpartition(".")[2]
    if role == "num_batches_tracked":
        return torch.zeros((), dtype=torch.int64)
    if role == "running_var":
        values = draw.uniform(0.5, 1.5, shape)
    elif role in ("running_mean", "bias"):
        values = 0.1 * draw.standard_normal(shape)
    elif len(shape) == 1:  # the scale of a norm
        values = draw.uniform(0.5, 1.0, shape)
    else:
        values = gain * draw.standard_normal(shape) * np.sqrt(1.0 / np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))


def synthetic_clip(shape: tuple[int, ...], seed: int) -> Tensor:
    """The clip that a golden output answers to, (b, c, t, h, w), already normalised."""
    return torch.from_numpy(np.random.default_rng([seed, 7]).standard_normal(shape).astype(np.float32))
