"""PyTorchVideo: its ResNets (`c2d_r50`, `i3d_r50`, `slow_r50`), whose blocks are numbered with stem, pool and head."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import BLOCK, CLASSIFIER, Names, has, rename

_BRANCHES = {"a": "1", "b": "2", "c": "3"}


def _names(layout: str, stages: tuple[str, str, str, str], head: str) -> Names:
    return Names(
        f"PyTorchVideo's {layout}",
        {
            "blocks.0.conv.weight": "backbone.conv1.weight",
            "blocks.0.norm.{norm}": "backbone.bn1.{norm}",
            "blocks.{layer}.res_blocks.{block}.branch1_conv.weight": f"{BLOCK}.downsample.0.weight",
            "blocks.{layer}.res_blocks.{block}.branch1_norm.{norm}": f"{BLOCK}.downsample.1.{{norm}}",
            "blocks.{layer}.res_blocks.{block}.branch2.conv_{n}.weight": f"{BLOCK}.conv{{n}}.weight",
            "blocks.{layer}.res_blocks.{block}.branch2.norm_{n}.{norm}": f"{BLOCK}.bn{{n}}.{{norm}}",
            f"blocks.{head}.proj.{{affine}}": CLASSIFIER,
        },
        {"layer": {stage: str(layer) for layer, stage in enumerate(stages, 1)}, "n": _BRANCHES},
    )


POOLED = _names("ResNets with a pool behind the first stage", ("1", "3", "4", "5"), "6")
PLAIN = _names("ResNets without a pool behind the first stage", ("1", "2", "3", "4"), "5")


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    # the pool, where there is one, is block 2 and has no tensors
    return rename(tensors, PLAIN if any(name.startswith("blocks.2.") for name in tensors) else POOLED)


RECIPE = Recipe(
    name="pytorchvideo",
    source="https://github.com/facebookresearch/pytorchvideo: pytorchvideo/models/resnet.py",
    convert=_convert,
    recognises=has("blocks.0.conv.weight", "blocks.1.res_blocks.0.branch2.conv_a.weight"),
    adds="the norms' counters, 0, where the file has none",
)
