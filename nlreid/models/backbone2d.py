"""The 2D networks that models start from, as timm makes them."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from nlreid.errors import WeightsError, unknown_name


def check_backbone(name: str) -> None:
    """Refuse a name that is no network of timm's, or a tag that timm does not have for it.

    Raises:
        UnknownNameError: With the nearest name that exists.
    """
    architecture, dot, _ = name.partition(".")
    if not timm.is_model(architecture):
        raise unknown_name("backbone", name, timm.list_models(), "timm.list_models() lists all.")
    if dot:
        try:
            timm.get_pretrained_cfg(name, allow_unregistered=False)
        except RuntimeError as error:
            raise unknown_name("backbone", name, timm.list_pretrained(f"{architecture}.*")) from error


def create_2d(name: str, *, pretrained: bool) -> nn.Module:
    """A 2D network, with timm's weights for it or with random ones.

    Raises:
        WeightsError: If timm cannot give the weights.
    """
    try:
        return timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # whatever the Hub's client raises; it goes on as ours, with its cause
        if not pretrained:
            raise
        raise WeightsError(
            f"timm could not give ImageNet weights for {name!r} ({type(error).__name__}: {str(error).strip()[:200]}); "
            "check the connection, or give the path of a file that holds them"
        ) from error


def statistics(model2d: nn.Module) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation (RGB, scale 0..1) of the pictures that the weights were trained on."""
    config: Any = model2d.pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])


def origin(model2d: nn.Module) -> str:
    """The full name (timm's) of the weights."""
    config: Any = model2d.pretrained_cfg
    return f"{config.get('architecture')}.{config.get('tag')}"
