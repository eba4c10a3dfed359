"""The 2D networks that models start from, as timm makes them."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

from nlreid.errors import unknown_name
from nlreid.hub.fetching.client import hub_cache, translated
from nlreid.models.width import is_resnet, width_options

Triple = tuple[float, float, float]


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
        with torch.device("meta"):
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
