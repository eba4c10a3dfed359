"""A checkpoint in memory: tensors in this library's names, and what can be told about the model that they fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.config import PERSONS, Config
from nlreid.layers.heads import HEADS


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under this library's names, and what is known about them.

    Args:
        path: Where they were read.
        tensors: By name: as in `VideoReID.state_dict()`, or those of a 2D network as in timm.
        config: What the file, or its entry in the table of weights, says that they are; `None` where nothing does.
        dropped: Names of the file's tensors that its conversion left out, as declared.
        sha256: Of the file.
        remark: What whoever uses it should be told, if it is used.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    config: Config | None = None
    dropped: tuple[str, ...] = ()
    sha256: str = ""
    remark: str = ""

    @cached_property
    def is_2d(self) -> bool:
        """Whether these are the weights of a 2D network, in timm's layout."""
        shapes = on_meta(self.tensors)
        return not any(name.startswith("backbone.") or tensor.ndim == 5 for name, tensor in shapes.items())

    @property
    def head(self) -> str | None:
        """The kind of head that the weights bring; a classifier of anything but persons is none."""
        if self.is_2d or (self.config is not None and self.config.task != PERSONS):
            return None
        return head_of(self.tensors)

    @property
    def embedding_dim(self) -> int | None:
        """Size of the embedding of the bottleneck head that the weights bring."""
        shapes = on_meta(self.tensors)
        return shapes["head.fc.weight"].shape[0] if "head.fc.weight" in shapes else None


def head_of(tensors: Mapping[str, Tensor]) -> str | None:
    """The kind of head that tensors of a model belong to, by their names."""
    marks = {"head.fc.weight": "bottleneck", "head.norm.weight": "bnneck", "head.classifier.weight": "linear"}
    return next((kind for mark, kind in marks.items() if mark in tensors), None)


def is_whole_head(names: Iterable[str]) -> bool:
    """Whether names of a head's tensors are all that some kind of head has, with or without its classifier."""
    given = {name.removeprefix("head.") for name in names}
    wholes = (head(2, classes).state_dict().keys() for head in HEADS.values() for classes in (0, 2))
    return any(given == whole for whole in wholes)
