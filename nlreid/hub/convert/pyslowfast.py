"""PySlowFast: one-pathway ResNets (C2D, SlowOnly, I3D, with and without non-local blocks), as PyTorch and as Caffe2 files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from nlreid.hub.convert.recipe import Conversion, Recipe
from nlreid.hub.convert.renaming import BLOCK, CLASSIFIER, NON_LOCAL, Names, has, rename

_STAGES = {"2": "1", "3": "2", "4": "3", "5": "4"}  # its first stage is the stem
_BRANCHES = {"a": "1", "b": "2", "c": "3"}
_LEAVES = {"w": "weight", "b": "bias"}
_NORM_LEAVES = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}  # riv is the variance itself

PYTORCH = Names(
    "PySlowFast's ResNets of one pathway",
    {
        "s1.pathway0_stem.conv.weight": "backbone.conv1.weight",
        "s1.pathway0_stem.bn.{norm}": "backbone.bn1.{norm}",
        "s{layer}.pathway0_res{block}.branch1.weight": f"{BLOCK}.downsample.0.weight",
        "s{layer}.pathway0_res{block}.branch1_bn.{norm}": f"{BLOCK}.downsample.1.{{norm}}",
        "s{layer}.pathway0_res{block}.branch2.{n}.weight": f"{BLOCK}.conv{{n}}.weight",
        "s{layer}.pathway0_res{block}.branch2.{n}_bn.{norm}": f"{BLOCK}.bn{{n}}.{{norm}}",
        "s{layer}.pathway0_nonlocal{block}.conv_{part}.{affine}": f"{NON_LOCAL}.{{part}}.{{affine}}",
        "s{layer}.pathway0_nonlocal{block}.bn.{norm}": f"{NON_LOCAL}.norm.{{norm}}",
        "head.projection.{affine}": CLASSIFIER,
    },
    {"layer": _STAGES, "n": _BRANCHES},
    refused={r"pathway1|_fuse\.": "a network of two pathways (SlowFast)"},
)

_BLOBS: dict[str, str | None] = {
    "conv1_w": "backbone.conv1.weight",
    "res_conv1_bn_{norm}": "backbone.bn1.{norm}",
    "res{layer}_{block}_branch1_w": f"{BLOCK}.downsample.0.weight",
    "res{layer}_{block}_branch1_bn_{norm}": f"{BLOCK}.downsample.1.{{norm}}",
    "res{layer}_{block}_branch2{n}_w": f"{BLOCK}.conv{{n}}.weight",
    "res{layer}_{block}_branch2{n}_bn_{norm}": f"{BLOCK}.bn{{n}}.{{norm}}",
    "nonlocal_conv{layer}_{block}_{part}_{affine}": f"{NON_LOCAL}.{{part}}.{{affine}}",
    "nonlocal_conv{layer}_{block}_bn_{norm}": f"{NON_LOCAL}.norm.{{norm}}",
    "pred_{affine}": CLASSIFIER,
}
_TRAINING: dict[str, str | None] = {"lr": None, "model_iter": None, **{f"{blob}_momentum": None for blob in _BLOBS}}

CAFFE2 = Names(
    "the Caffe2 blobs of PySlowFast's ResNets of one pathway",
    _BLOBS | _TRAINING,
    {"layer": _STAGES, "n": _BRANCHES, "affine": _LEAVES, "norm": _NORM_LEAVES},
    refused={r"^t_|_subsample_": "a network of two pathways (SlowFast)"},
)

_is_pytorch, _is_caffe2 = has("s1.pathway0_stem.conv.weight"), has("conv1_w", "res_conv1_bn_s")


def _convert(tensors: Mapping[str, Tensor]) -> Conversion:
    blobs = [name for name in tensors if "." not in name]
    return rename(tensors, CAFFE2 if len(blobs) > len(tensors) / 2 else PYTORCH)  # one odd name is an error, not another layout


def _recognises(names: Iterable[str]) -> bool:
    names = set(names)
    return _is_pytorch(names) or _is_caffe2(names)


RECIPE = Recipe(
    name="pyslowfast",
    source="https://github.com/facebookresearch/SlowFast: slowfast/{models/video_model_builder.py, utils/c2_model_loading.py}",
    convert=_convert,
    recognises=_recognises,
    drops="of Caffe2 files the state of training: lr, model_iter, and each blob's momentum",
    adds="the norms' counters, 0, where the file has none",
)
