"""Whether the convolutions in Triton run on a device: asked when weights come there, since a compiled network could not ask."""

from __future__ import annotations

import functools
import importlib.metadata
from types import ModuleType

import torch

_ROOMS: dict[str, ModuleType] = {}  # with the convolutions, once they were wanted
RELEASE = (3, 6)  # of triton, from which the kernels were tried; 3.2 does not take them
ARCHITECTURES = ((8, 0), (9, 0), (10, 0), (10, 3))  # with room for its tiles beside each processor; others have 100 kB or less


def available(device: torch.device) -> bool:
    """Whether `convolve` is for a device; loads it where it is."""
    if device.type != "cuda" or torch.version.hip is not None or not triton_takes_them():
        return False
    if torch.cuda.get_device_capability(device) not in ARCHITECTURES:
        return False
    if not _ROOMS:
        load()
    return True


@functools.cache
def triton_takes_them() -> bool:
    """Whether triton is there, in a release that the kernels are written for."""
    try:
        release = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(part) for part in release.split(".")[:2]) >= RELEASE


def load() -> None:
    """Import the rooms, which need the package triton."""
    from nlreid.optimize import triton_conv, triton_stem

    _ROOMS.update(stem=triton_stem, other=triton_conv)


def convolution(*, stem: bool) -> ModuleType:
    """The room with the convolution, that of the stem or that of all other layers, where they are available."""
    return _ROOMS["stem"] if stem else _ROOMS["other"]
