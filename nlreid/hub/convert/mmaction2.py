"""MMAction2: `ResNet3d` with MMCV's `NonLocal3d`, whose last convolution has no bias."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import BLOCK, CLASSIFIER, NON_LOCAL, Names, has, rename, same

_SOURCE, _SOURCE_NON_LOCAL = "backbone.layer{layer}.{block}", "backbone.layer{layer}.{block}.non_local_block"

NAMES = Names(
    "MMAction2's ResNet3d",
    {
        "backbone.conv1.conv.weight": "backbone.conv1.weight",
        "backbone.conv1.bn.{norm}": "backbone.bn1.{norm}",
        f"{_SOURCE}.conv{{n}}.conv.weight": f"{BLOCK}.conv{{n}}.weight",
        f"{_SOURCE}.conv{{n}}.bn.{{norm}}": f"{BLOCK}.bn{{n}}.{{norm}}",
        f"{_SOURCE}.downsample.conv.weight": f"{BLOCK}.downsample.0.weight",
        f"{_SOURCE}.downsample.bn.{{norm}}": f"{BLOCK}.downsample.1.{{norm}}",
        f"{_SOURCE_NON_LOCAL}.theta.conv.{{affine}}": f"{NON_LOCAL}.theta.{{affine}}",
        f"{_SOURCE_NON_LOCAL}.{{pooled}}.conv.{{affine}}": f"{NON_LOCAL}.{{pooled}}.{{affine}}",
        f"{_SOURCE_NON_LOCAL}.{{pooled}}.0.conv.{{affine}}": f"{NON_LOCAL}.{{pooled}}.{{affine}}",  # .1 is the pool
        f"{_SOURCE_NON_LOCAL}.conv_out.conv.weight": f"{NON_LOCAL}.out.weight",
        f"{_SOURCE_NON_LOCAL}.conv_out.bn.{{norm}}": f"{NON_LOCAL}.norm.{{norm}}",
        "cls_head.fc_cls.{affine}": CLASSIFIER,
    },
    {"pooled": same("phi", "g")},
    refused={
        "concat_project": "non-local blocks with concatenation, of which none is published",
        "_path": "a network of two pathways (SlowFast)",
    },
)


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    found = rename(tensors, NAMES)
    biases = {
        name.replace("weight", "bias"): torch.zeros(tensor.shape[:1], dtype=tensor.dtype, device=tensor.device)
        for name, tensor in found.tensors.items()
        if name.endswith(".out.weight")
    }
    return Conversion(found.tensors | biases, found.dropped, (*found.added, *biases))


RECIPE = Recipe(
    name="mmaction2",
    source="https://github.com/open-mmlab/mmaction2: mmaction/models/backbones/resnet3d.py; "
    "https://github.com/open-mmlab/mmcv: mmcv/cnn/bricks/non_local.py",
    convert=_convert,
    recognises=has("backbone.conv1.conv.weight", "backbone.layer1.0.conv1.conv.weight"),
    adds="the bias of each non-local block's last convolution, 0; the norms' counters, 0, where the file has none",
)
