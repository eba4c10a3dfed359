"""The width of a 2D network: its channels, times a factor."""

from __future__ import annotations

from functools import cache
from typing import TypedDict

import timm
import torch
from torch import nn

from nlreid.errors import InputError

RESNETS = "timm.models.resnet"
STAGES = ("layer1", "layer2", "layer3", "layer4")
FEWEST = 4  # channels of a layer; a tiered stem rounds fewer down to none


class WidthOptions(TypedDict, total=False):
    """What timm's ResNet class is told: numbers that are computed here, nothing that a file could say."""

    stem_width: int
    channels: tuple[int, ...]


def width_options(name: str, width: float) -> WidthOptions:
    """The options of `timm.create_model` that give a network `width` times its channels; none for width 1.

    >>> width_options("resnet18d", 0.5)
    {'stem_width': 16, 'channels': (32, 64, 128, 256)}

    Args:
        name: Name of a network of timm.
        width: The factor.

    Raises:
        InputError: If the network has no such form. A plain stem has 64 channels whatever it is told, and groups of channels
            would be rounded.
    """
    if width == 1:
        return {}
    stem_width, channels = _counts(name, width)
    return WidthOptions(stem_width=stem_width, channels=channels)


def is_resnet(name: str) -> bool:
    """Whether a network of timm's is one of its file of plain ResNets."""
    return timm.model_entrypoint(name.partition(".")[0]).__module__ == RESNETS


@cache  # a model is asked for its width several times while it is made, and networks are slow to make, even without values
def _counts(name: str, width: float) -> tuple[int, tuple[int, ...]]:
    model2d = _on_meta(name, {}) if is_resnet(name) else None
    if model2d is None or not isinstance(model2d.conv1, nn.Sequential) or any(conv.groups > 1 for conv in _convs(model2d)):
        raise InputError(
            f"width={width:g} of {name!r}: networks of {RESNETS} with a deep stem and without grouped convolutions, as "
            "'resnet18d', take another width than 1"
        )
    stem_width = _scaled(name, _stem_width(model2d), width)
    channels = tuple(_scaled(name, count, width) for count in _channels(model2d))
    made = _on_meta(name, WidthOptions(stem_width=stem_width, channels=channels))
    if (_stem_width(made), _channels(made)) != (stem_width, channels):
        raise InputError(f"width={width:g} of {name!r}: its channels are fixed, as those of pruned networks; take another one")
    return stem_width, channels


def _on_meta(name: str, options: WidthOptions) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, **options)


def _stem_width(model2d: nn.Module) -> int:
    return _convs(model2d.get_submodule("conv1"))[-1].out_channels // 2


def _channels(model2d: nn.Module) -> tuple[int, ...]:
    """What each stage has, as timm counts: what comes out of it by what its kind of block expands."""
    stages = [model2d.get_submodule(stage) for stage in STAGES]
    expansions = [int(next(stage.children()).expansion) for stage in stages]  # type: ignore[arg-type]
    return tuple(_convs(stage)[-1].out_channels // expansion for stage, expansion in zip(stages, expansions, strict=True))


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [each for each in module.modules() if isinstance(each, nn.Conv2d)]


def _scaled(name: str, channels: int, width: float) -> int:
    scaled = round(channels * width)
    if abs(scaled - channels * width) > 1e-6 or scaled < FEWEST:
        raise InputError(
            f"width={width:g} makes {channels * width:g} of {channels} channels of {name!r}; it has to make a whole number of "
            f"them, at least {FEWEST}, as 0.5 does for 'resnet18d'"
        )
    return scaled
