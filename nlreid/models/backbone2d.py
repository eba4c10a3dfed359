"""The 2D networks that models start from, as timm makes them."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nlreid.errors import unknown_name
from nlreid.hub.fetching.client import hub_cache, translated
from nlreid.models.width import is_resnet, width_options

Triple = tuple[float, float, float]

_DRAWS = (torch.ops.aten.uniform_.default, torch.ops.aten.normal_.default)


class _KernelsMarked(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tensors of four axes get no random values but ones in their first row, so that they are not zero until they are set."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _DRAWS and args[0].ndim == 4:
            args[0][:1].fill_(1)
            return args[0]
        return func(*args, **(kwargs or {}))


def check_backbone(name: str, width: float = 1.0) -> None:
    """Refuse a name that is no network of timm's, a tag that timm does not have for it, or a width that it cannot have.

    Raises:
        UnknownNameError: With the nearest name that exists.
        InputError: If the network cannot be made at another width, or not at this one.
    """
    architecture, dot, _ = name.partition(".")
    if not timm.is_model(architecture):
        raise unknown_name("backbone", name, timm.list_models(), "timm.list_models() lists all.")
    if dot:
        try:
            timm.get_pretrained_cfg(name, allow_unregistered=False)
        except RuntimeError as error:
            raise unknown_name("backbone", name, timm.list_pretrained(f"{architecture}.*")) from error
    width_options(name, width)


def create_2d(name: str, width: float = 1.0) -> nn.Module:
    """A 2D network with random weights.

    Raises:
        InputError: If it cannot be made at this width.
    """
    return timm.create_model(name, **width_options(name, width))


def create_2d_without_kernels(name: str, width: float = 1.0) -> nn.Module:
    """A 2D network with random weights, but for its kernels, of which it can be told only whether they are zero.

    For those who draw them in 3D: that torch and timm draw them, too, is most of the time in which a network is made.

    Raises:
        InputError: If it cannot be made at this width.
    """
    with _KernelsMarked():
        model2d = create_2d(name, width)
    kernels = {id(module.weight) for module in model2d.modules() if isinstance(module, nn.Conv2d)}
    if any(parameter.ndim == 4 and id(parameter) not in kernels for parameter in model2d.parameters()):
        return create_2d(name, width)  # of four axes, and nobody draws it in 3D
    return model2d


def create_pretrained_2d(name: str) -> nn.Module:
    """A 2D network with timm's weights for it, which fit width 1 only.

    Raises:
        DownloadError: If timm cannot give the weights.
    """
    with translated(f"timm's weights for {name!r}", hub_cache()):
        return timm.create_model(name, pretrained=True)


def create_2d_without_values(name: str, width: float = 1.0) -> nn.Module:
    """A 2D network of which only the structure is wanted: on the meta device, where that is known to work.

    Of timm's classes ResNet alone is made there by every version that is supported; buffers that no checkpoint holds need
    their values.

    Raises:
        InputError: If it cannot be made at this width.
    """
    if is_resnet(name):
        options = width_options(name, width)
        with torch.device("meta"), _KernelsMarked():
            model2d = timm.create_model(name, **options)
        if {buffer for buffer, _ in model2d.named_buffers()} <= model2d.state_dict().keys():
            return model2d
    return create_2d(name, width)


def statistics(model2d: nn.Module | str) -> tuple[Triple, Triple]:
    """Mean and standard deviation (RGB, scale 0..1) of the pictures that the weights of a 2D network were trained on.

    Args:
        model2d: The network, or the name of one.
    """
    if isinstance(model2d, str):
        model2d = create_2d_without_values(model2d)
    config: Any = model2d.pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])


def origin(model2d: nn.Module) -> str:
    """The full name (timm's) of the weights."""
    config: Any = model2d.pretrained_cfg
    return f"{config.get('architecture')}.{config.get('tag')}"
