"""Whether the convolution in Triton runs on a device: asked when weights come there, since a compiled network could not ask."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import torch

_MODULES: list[ModuleType] = []  # the room with the convolution, once it was wanted
ARCHITECTURES = ((8, 0), (9, 0), (10, 0), (10, 3))  # with room for its tiles beside each processor; others have 100 kB or less


def available(device: torch.device) -> bool:
    """Whether `convolve` is for a device; loads it where it is."""
    if device.type != "cuda" or torch.version.hip is not None or importlib.util.find_spec("triton") is None:
        return False
    if torch.cuda.get_device_capability(device) not in ARCHITECTURES:
        return False
    if not _MODULES:
        from nlreid.optimize import triton_conv

        _MODULES.append(triton_conv)
    return True


def convolution() -> ModuleType:
    """The room with the convolution, where it is available."""
    return _MODULES[0]
