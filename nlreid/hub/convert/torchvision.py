"""torchvision's video networks of 18 layers: `r3d_18`, `mc3_18`, `r2plus1d_18`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import BLOCK, CLASSIFIER, Names, has, rename

_SOURCE = "layer{layer}.{block}"
_COMMON: dict[str, str | None] = {
    f"{_SOURCE}.conv{{n}}.1.{{norm}}": f"{BLOCK}.bn{{n}}.{{norm}}",
    f"{_SOURCE}.downsample.0.weight": f"{BLOCK}.downsample.0.weight",
    f"{_SOURCE}.downsample.1.{{norm}}": f"{BLOCK}.downsample.1.{{norm}}",
    "fc.{affine}": CLASSIFIER,
}

WHOLE = Names(
    "torchvision's r3d_18 and mc3_18",
    {
        "stem.0.weight": "backbone.conv1.weight",
        "stem.1.{norm}": "backbone.bn1.{norm}",
        f"{_SOURCE}.conv{{n}}.0.weight": f"{BLOCK}.conv{{n}}.weight",
        **_COMMON,
    },
)
FACTORED = Names(  # each convolution is one in space, a norm, an activation and one in time
    "torchvision's r2plus1d_18",
    {
        "stem.0.weight": "backbone.conv1.spatial.weight",
        "stem.1.{norm}": "backbone.conv1.norm.{norm}",
        "stem.3.weight": "backbone.conv1.temporal.weight",
        "stem.4.{norm}": "backbone.bn1.{norm}",
        f"{_SOURCE}.conv{{n}}.0.0.weight": f"{BLOCK}.conv{{n}}.spatial.weight",
        f"{_SOURCE}.conv{{n}}.0.1.{{norm}}": f"{BLOCK}.conv{{n}}.norm.{{norm}}",
        f"{_SOURCE}.conv{{n}}.0.3.weight": f"{BLOCK}.conv{{n}}.temporal.weight",
        **_COMMON,
    },
)

_ONLY_FACTORED = re.compile(r"stem\.[34]\.|layer\d\.\d\.conv\d\.0\.\d\.")
_is_whole = has("stem.0.weight", "layer1.0.conv1.0.weight")
_is_factored = has("stem.0.weight", "layer1.0.conv1.0.0.weight")


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    return rename(tensors, FACTORED if any(_ONLY_FACTORED.match(name) for name in tensors) else WHOLE)


def _recognises(names: Iterable[str]) -> bool:
    names = set(names)
    return _is_whole(names) or _is_factored(names)


RECIPE = Recipe(
    name="torchvision",
    source="https://github.com/pytorch/vision: torchvision/models/video/resnet.py",
    convert=_convert,
    recognises=_recognises,
    adds="the norms' counters, 0, where the file has none",
)
