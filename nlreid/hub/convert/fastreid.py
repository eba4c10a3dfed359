"""FastReID: plain 2D ResNets trained for person re-identification (bag of tricks).

Their first pool has no margin (`ceil_mode` instead) where timm's has one of a pixel: the same weights answer a little otherwise
at the border of a picture, which training on them, as is meant here, evens out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import Names, blocks, has, rename, same
from nlreid.hub.convert.torchreid import IBN

NAMES = Names(
    "FastReID's plain ResNets",
    {
        "backbone.conv1.weight": "conv1.weight",
        "backbone.bn1.{norm}": "bn1.{norm}",
        **blocks("backbone.layer{layer}.{block}", "layer{layer}.{block}"),
        "heads.weight": None,
        "heads.classifier.weight": None,  # its name before version 1.2
        "heads.{neck}.{norm}": None,
        "heads.{neck}.{block}.{norm}": None,
        "heads.pool_layer.p": None,
        "pixel_{statistic}": None,
    },
    {"neck": same("bottleneck", "bnneck"), "statistic": same("mean", "std")},
    refused=IBN
    | {
        r"^backbone\.NL_": "a network with 2D non-local blocks of one inner channel, which no ResNet here has",
        r"\.se\.": "a network with squeeze-and-excitation",
    },
)
_has_backbone = has("backbone.conv1.weight", "backbone.layer4.0.conv1.weight")


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    return rename(tensors, NAMES)


def _recognises(names: Iterable[str]) -> bool:
    names = set(names)
    return _has_backbone(names) and any(name.startswith("heads.") for name in names)  # this library's own is called head


RECIPE = Recipe(
    name="fastreid",
    source="https://github.com/JDAI-CV/fast-reid: fastreid/modeling/{backbones/resnet.py, heads/embedding_head.py}",
    convert=_convert,
    recognises=_recognises,
    drops="what stands behind the pooling (heads), and the statistics of pixels (pixel_mean, pixel_std)",
    adds="the norms' counters, 0, where the file has none",
    is_2d=True,
)
