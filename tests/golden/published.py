"""The golden files as checkpoints: tensors by name, and files in the format that each project publishes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from golden.python2 import write_blobs
from golden.synthetic import synthetic_clip, synthetic_tensor

FOLDER = Path(__file__).parent

# What each is a checkpoint of; the others are 2D networks, or without a place here.
TAGS = {
    "gluoncv__i3d_nl5_resnet50_v1": "r3d50_nl.gluoncv",
    "hara__r3d50_K700": "r3d50_full.hara",
    "mmaction2__i3d_r50": "r3d50.mmaction2",
    "mmaction2__i3d_r50_nl_dot_product": "r3d50_nl.mmaction2_dot_product",
    "mmaction2__i3d_r50_nl_embedded_gaussian": "r3d50_nl.mmaction2",
    "mmaction2__i3d_r50_nl_gaussian": "r3d50_nl.mmaction2_gaussian",
    "pyslowfast__C2D_NOPOOL_8x8_R50": "c2d50.pyslowfast",
    "pyslowfast__I3D_8x8_R50": "r3d50.pyslowfast",
    "pyslowfast__I3D_NLN_8x8_R50": "r3d50_nl.pyslowfast",
    "pyslowfast__SLOWONLY_8x8_R50": "slow50.pyslowfast",
    "pyslowfast_caffe2__C2D_NOPOOL_8x8_R50": "c2d50.pyslowfast",
    "pyslowfast_caffe2__I3D_8x8_R50": "r3d50.pyslowfast",
    "pyslowfast_caffe2__I3D_NLN_8x8_R50": "r3d50_nl.pyslowfast",
    "pyslowfast_caffe2__SLOWONLY_8x8_R50": "slow50.pyslowfast",
    "pytorchvideo__c2d_r50": "c2d50.pytorchvideo",
    "pytorchvideo__i3d_r50": "r3d50.pytorchvideo",
    "pytorchvideo__slow_r50": "slow50.pytorchvideo",
    "torchvision__mc3_18": "mc3_18.torchvision",
    "torchvision__r2plus1d_18": "r2plus1d18.torchvision",
    "torchvision__r3d_18": "r3d18.torchvision",
}

_CAFFE2_ROLES = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}
_GLUONCV_TWICE = {r"\.W_bn\.0\.": ".W.", r"\.W_bn\.1\.": ".bn.", r"^head\.1\.": "fc."}


@dataclass(frozen=True)
class Golden:
    """One golden file.

    Args:
        file: Its name, without the suffix.
        shapes: Every tensor of the checkpoint, with its shape.
        seed: Seed of tensors and clip.
        gain: Factor of the weights.
        clip_shape: Shape of the clip; empty where there is no output.
        output: The answer, flattened.
    """

    file: str
    shapes: dict[str, tuple[int, ...]]
    seed: int = 0
    gain: float = 1.0
    clip_shape: tuple[int, ...] = ()
    output: tuple[float, ...] = ()

    @property
    def project(self) -> str:
        """The project, which is the recipe's name."""
        return self.file.split("__")[0].removesuffix("_caffe2")

    @property
    def is_caffe2(self) -> bool:
        """Whether its names are those of Caffe2 blobs."""
        return "_caffe2__" in self.file

    def on_meta(self) -> dict[str, Tensor]:
        """Shapes and types without values, by name."""
        return {
            name: torch.empty(shape, dtype=torch.int64 if name.endswith("num_batches_tracked") else None, device="meta")
            for name, shape in self.shapes.items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """The synthetic checkpoint."""
        return {
            name: synthetic_tensor(self._drawn_as(name), shape, self.seed, self.gain) for name, shape in self.shapes.items()
        }

    def clip(self) -> Tensor:
        """The clip that the output answers to."""
        return synthetic_clip(self.clip_shape, self.seed)

    def write(self, path: Path) -> Path:
        """Write the synthetic checkpoint in the format that its project publishes; gives the path."""
        tensors = self.tensors()
        if self.is_caffe2:
            with path.open("wb") as file:
                write_blobs(file, {name: tensor.numpy() for name, tensor in tensors.items()})
        else:
            torch.save(_WRAPPED[self.project](tensors), path)
        return path

    def _drawn_as(self, name: str) -> str:
        if self.is_caffe2:
            stem, _, role = name.rpartition("_")
            return f"{stem}.{_CAFFE2_ROLES[role]}"
        if self.project == "gluoncv":  # some tensors have two names
            for second, first in _GLUONCV_TWICE.items():
                name = re.sub(second, first, name)
        return name


_STATE = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
_WRAPPED = {
    "pyslowfast": lambda tensors: {"epoch": 195, "model_state": tensors, "optimizer_state": _STATE, "cfg": "NUM_GPUS: 8\n"},
    "pytorchvideo": lambda tensors: {"model_state": tensors},
    "mmaction2": lambda tensors: {"meta": {"epoch": 100, "mmengine_version": "0.1.0"}, "state_dict": tensors},
    "gluoncv": lambda tensors: tensors,
    "torchvision": lambda tensors: tensors,
    "hara": lambda tensors: {"epoch": 200, "arch": "resnet-50", "state_dict": tensors, "optimizer": _STATE},
    "torchreid": lambda tensors: {"state_dict": tensors, "epoch": 60, "rank1": 0.5, "optimizer": _STATE},
    "fastreid": lambda tensors: {"model": tensors, "optimizer": _STATE, "epoch": 59},
}


def files(pattern: str = "*") -> list[str]:
    """Names of the golden files, sorted."""
    return sorted(path.stem for path in FOLDER.glob(f"{pattern}.json"))


@cache
def golden(file: str) -> Golden:
    """Read a golden file."""
    content = json.loads((FOLDER / f"{file}.json").read_text("utf-8"))
    return Golden(
        file,
        {name: tuple(shape) for name, shape in content["keys"].items()},
        content.get("seed", 0),
        content.get("gain", 1.0),
        tuple(content.get("clip", ())),
        tuple(content.get("output", ())),
    )
