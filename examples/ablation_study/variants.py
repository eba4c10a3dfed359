"""What is compared: the rows of the paper's Tables 2 and 3, with a quarter of the width and small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nlreid

FRAMES = 8
SIZE = (64, 32)
CENTER = {"init": "center"}  # a mean over neighbouring frames blurs who walks, which few steps do not undo: docs/ablation.md


@dataclass(frozen=True)
class Variant:
    """A network and how it starts.

    Args:
        title: What the tables call it.
        model: Its name in the zoo.
        overrides: Fields of its spec that differ.
        frames: Of a training clip; clips to be scored always have `FRAMES`.
        start: Where its backbone's values come from: `image` (a network trained on single frames of the same people, inflated,
            as the paper's come from ImageNet), `action` (a 3D network trained to tell actions apart) or `random`.
    """

    title: str
    model: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    frames: int = FRAMES
    start: str = "image"


TABLE_2 = {
    "image": Variant("single frames, features averaged", "c2d18_half", frames=1),
    "c2d": Variant("c2d: frame features averaged over the clip", "c2d18_half"),
    "c2d_rnn": Variant("c2d with an RNN over time", "c2d18_half", {"aggregate": "rnn"}),
    "c2d_attention": Variant("c2d with temporal attention", "c2d18_half", {"aggregate": "attention"}),
    "r3d": Variant("3D convolution (i3d plan)", "r3d18_half", CENTER),
    "r3d_separable": Variant("separable 3D convolution", "r3d18_half", {"plan": "separable", **CENTER}),
    "r3d_nl": Variant("3D convolution and non-local blocks", "r3d18_half_nl", CENTER),
}
TABLE_3 = {
    "r3d_nl_scratch": Variant("from scratch", "r3d18_half_nl", start="random"),
    "r3d_nl": Variant("inflated from a network of single frames", "r3d18_half_nl", CENTER),
    "r3d_nl_action": Variant("from a 3D network trained on actions", "r3d18_half_nl", start="action"),
}
VARIANTS = TABLE_2 | TABLE_3


def make(variant: Variant, num_classes: int) -> nlreid.VideoReID:
    """The network of a variant, with random values."""
    clip = {"frames": FRAMES, "stride": 1, "size": SIZE}
    return nlreid.create_model(
        variant.model, num_classes=num_classes, head="bnneck", width=0.25, clip=clip, **variant.overrides
    )
