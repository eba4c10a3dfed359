"""Torchreid: 2D ResNets trained for person re-identification, with and without a layer between pooling and classifier."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import Names, blocks, has, rename

IBN = {r"\.(IN|BN)\.": "a network with instance norms (IBN), which a plain ResNet does not have"}

NAMES = Names(
    "Torchreid's plain ResNets",
    {
        "conv1.weight": "conv1.weight",
        "bn1.{norm}": "bn1.{norm}",
        **blocks("layer{layer}.{block}", "layer{layer}.{block}"),
        "fc.{block}.{norm}": None,
        "classifier.{affine}": None,
    },
    refused=IBN | {r"^fc_fusion\.": "a network that also embeds a middle layer (resnet50mid)"},
)


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    return rename(tensors, NAMES)


RECIPE = Recipe(
    name="torchreid",
    source="https://github.com/KaiyangZhou/deep-person-reid: torchreid/models/resnet.py",
    convert=_convert,
    recognises=has("conv1.weight", "layer4.0.conv1.weight", "classifier.weight"),
    drops="what stands behind the pooling: fc (its layer of features) and classifier",
    adds="the norms' counters, 0, where the file has none",
    is_2d=True,
)
