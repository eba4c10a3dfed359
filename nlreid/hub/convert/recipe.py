"""What a converter is: names of one layout to names of this library, with what is dropped and added declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Conversion:
    """The tensors of a checkpoint under this library's names.

    Args:
        tensors: By name: a video network's as in `VideoReID.state_dict()` (`backbone.…`, `head.classifier.…`), a 2D network's
            as in timm.
        dropped: Names of the source that have no place here, as the recipe declares them.
        added: Names of `tensors` that the source does not have, as the recipe declares them.
    """

    tensors: dict[str, Tensor]
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How checkpoints of one layout are converted.

    Args:
        name: Name of the layout, as in `nlreid convert NAME FILE`.
        source: Where the layout comes from.
        convert: From the source's tensors by name to this library's; it computes nothing but names and shapes of constants,
            so tensors on the meta device do as well.
        recognises: Whether tensors, by their names and shapes, are those of this layout.
        drops: In words, what of the source is dropped.
        adds: In words, what is added.
        is_2d: Whether these are 2D networks, which are then inflated.
        version: Counts up when the same source gives other tensors; what a cache holds of before is then made anew.
    """

    name: str
    source: str
    convert: Callable[[Mapping[str, Tensor]], Conversion]
    recognises: Callable[[Mapping[str, Tensor]], bool]
    drops: str = "nothing"
    adds: str = "nothing"
    is_2d: bool = False
    version: int = 1
