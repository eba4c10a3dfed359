"""Hara's 3D ResNets (2020): kernels of three frames everywhere, under the names that 2D ResNets have."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import CLASSIFIER, Names, blocks, has, rename

NAMES = Names(
    "Hara's 3D ResNets with projection shortcuts",
    {
        "conv1.weight": "backbone.conv1.weight",
        "bn1.{norm}": "backbone.bn1.{norm}",
        **blocks("layer{layer}.{block}"),
        "fc.{affine}": CLASSIFIER,
    },
)


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    return rename(tensors, NAMES)


_has_names = has("conv1.weight", "layer1.0.conv1.weight", "fc.weight")


def _recognises(tensors: Mapping[str, Tensor]) -> bool:
    return _has_names(tensors) and tensors["conv1.weight"].ndim == 5  # the names alone are those of timm's 2D ResNets, too


RECIPE = Recipe(
    name="hara",
    source="https://github.com/kenshohara/3D-ResNets-PyTorch: models/resnet.py",
    convert=_convert,
    recognises=_recognises,
    adds="the norms' counters, 0, where the file has none",
)
