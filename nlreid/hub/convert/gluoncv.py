"""GluonCV (its PyTorch side): `i3d_nl5_resnet50_v1` and its kind, where some tensors have two names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import CLASSIFIER, NON_LOCAL, Names, blocks, has, rename

_SOURCE_NON_LOCAL = "res_layers.{layer}.{block}.nonlocal_block"

NAMES = Names(
    "GluonCV's I3D ResNets",
    {
        "first_stage.0.weight": "backbone.conv1.weight",
        "first_stage.1.{norm}": "backbone.bn1.{norm}",
        **blocks("res_layers.{layer}.{block}"),
        f"{_SOURCE_NON_LOCAL}.{{part}}.{{affine}}": f"{NON_LOCAL}.{{part}}.{{affine}}",
        f"{_SOURCE_NON_LOCAL}.bn.{{norm}}": f"{NON_LOCAL}.norm.{{norm}}",
        f"{_SOURCE_NON_LOCAL}.W_bn.0.{{affine}}": None,
        f"{_SOURCE_NON_LOCAL}.W_bn.1.{{norm}}": None,
        "fc.{affine}": CLASSIFIER,
        "head.1.{affine}": None,
    },
    {"layer": {"0": "1", "1": "2", "2": "3", "3": "4"}, "part": {"theta": "theta", "phi": "phi", "g": "g", "W": "out"}},
)
_TWICE = {".nonlocal_block.W_bn.0.": ".nonlocal_block.W.", ".nonlocal_block.W_bn.1.": ".nonlocal_block.bn.", "head.1.": "fc."}


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    conversion = rename(tensors, NAMES)
    for name in conversion.dropped:
        _check_equal(tensors, name, _first_name(name))
    return conversion


def _first_name(name: str) -> str:
    for second, first in _TWICE.items():
        name = name.replace(second, first)
    return name


def _check_equal(tensors: Mapping[str, Tensor], name: str, first: str) -> None:
    if first not in tensors:
        raise WeightsError(f"{name!r} is a second name of {first!r}, which is missing")
    one, other = tensors[name], tensors[first]
    if one.shape != other.shape or not (one.is_meta or torch.equal(one, other)):
        raise WeightsError(f"{name!r} and {first!r} are two names of one tensor, but their values differ")


RECIPE = Recipe(
    name="gluoncv",
    source="https://github.com/dmlc/gluon-cv: gluoncv/torch/model_zoo/action_recognition/i3d_resnet.py, non_local.py",
    convert=_convert,
    recognises=has("first_stage.0.weight", "res_layers.0.0.conv1.weight"),
    drops="second names of tensors: nonlocal_block.W_bn.0 of W, nonlocal_block.W_bn.1 of bn, head.1 of fc",
    adds="the norms' counters, 0, where the file has none",
)
