"""ResNets on clips: C2D and I3D (Wang et al. 2018) as PySlowFast has them, and with pairs (Liao et al. 2018, Fig. 3d).

Modules are named so that the weights of `nlreid.create_model` load as they are.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn

from .blocks import Basic, Bottleneck, Pair, convolution
from .non_local import NonLocal

DEPTHS = {"resnet18": (Basic, (2, 2, 2, 2)), "resnet34": (Basic, (3, 4, 6, 3)), "resnet50": (Bottleneck, (3, 4, 6, 3))}
WIDTHS = (64, 128, 256, 512)
OPTIONS = ("embedded_gaussian", "before")  # the pairwise function, and where the keys are pooled


class Plan(NamedTuple):
    """Frames that the stem and, by a cycle for each stage, the blocks' first convolutions see."""

    stem: int = 1
    first: tuple[tuple[int, ...], ...] = ((1,), (1,), (1,), (1,))
    pool: int = 1
    separable: bool = False


PLANS = {
    "c2d": Plan(),
    "i3d": Plan(5, ((3,), (3, 1), (3, 1), (1, 3)), pool=2),
    "separable": Plan(3, separable=True),
}


class Output(NamedTuple):
    """What the losses read."""

    embedding: Tensor
    logits: Tensor | None


class Head(nn.Module):
    """The pooled feature, or the paper's bottleneck and classifier behind it."""

    def __init__(self, features: int, embedding: int, classes: int) -> None:
        super().__init__()
        if classes:
            self.fc = nn.Linear(features, embedding, bias=False)
            self.norm = nn.BatchNorm1d(embedding)
            self.act = nn.LeakyReLU(0.1)
            self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(embedding, classes) if classes else None

    def forward(self, x: Tensor) -> Output:
        if self.classifier is None:
            return Output(x, None)
        embedding = self.dropout(self.act(self.norm(self.fc(x))))
        return Output(embedding, self.classifier(embedding))


class Network(nn.Module):
    """A backbone, the mean over time and space, a head: `(b, 3, t, h, w)` to `Output`."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, clip: Tensor) -> Output:
        return self.head(self.backbone(clip).mean(dim=(2, 3, 4)))


def build(
    depth: str, plan: Plan, non_local: dict[str, object] | None = None, embedding: int = 512, classes: int = 0
) -> Network:
    """A network; `non_local` has the options of its blocks."""
    kind, depths = DEPTHS[depth]
    children: dict[str, nn.Module] = {
        "conv1": Pair(3, 64, plan.stem, 7, 2) if plan.separable else convolution(3, 64, plan.stem, 7, 2),
        "bn1": nn.BatchNorm3d(64),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    }
    channels = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, depths, strict=True)):
        blocks: dict[str, nn.Module] = {}
        for block in range(count):
            cycle = plan.first[stage]
            stride = 2 if stage and not block else 1
            blocks[str(block)] = kind(channels, width, cycle[block % len(cycle)], stride, plan.separable)
            channels = width * kind.expansion
            if non_local is not None and stage in (1, 2) and block % 2:  # behind every other one: the paper's five of 50 layers
                blocks[f"non_local_{block}"] = NonLocal(channels, **with_scale(non_local, channels // 2))
        children[f"layer{stage + 1}"] = nn.Sequential(OrderedDict(blocks))
        if not stage and plan.pool > 1:
            children["temporal_pool"] = nn.MaxPool3d((plan.pool, 1, 1))
    return Network(nn.Sequential(OrderedDict(children)), Head(channels, embedding if classes else channels, classes))


def with_scale(options: dict[str, object], width: int) -> dict[str, object]:
    """`1/sqrt(d)` as a number."""
    return options | {"scale": 1 / math.sqrt(width)} if options["scale"] == "1/sqrt(d)" else options


def reference_of(model: nn.Module) -> Network:
    """The same network as a model of `nlreid.create_model`, with its weights, its type and in its mode.

    Raises:
        ValueError: If the model is none that is written here.
    """
    spec = model.spec
    plain = spec.aggregate == "average" and spec.width == 1 and isinstance(spec.plan, str)
    if not plain or spec.plan not in PLANS or spec.backbone not in DEPTHS:
        raise ValueError(f"no reference for {spec}; there is one for {sorted(DEPTHS)} on {sorted(PLANS)}, averaged")
    blocks = spec.non_local
    if blocks is not None and (blocks.blocks is not None or (blocks.pairwise, blocks.subsample_order) != OPTIONS):
        raise ValueError(f"no reference for {blocks}; there is one for the paper's places and {OPTIONS}")
    options = None if blocks is None else {"scale": blocks.scale, "subsample": blocks.subsample}
    network = build(spec.backbone, PLANS[spec.plan], options, model.embedding_dim, model.num_classes)
    network.load_state_dict(model.state_dict(), strict=True)
    return network.to(next(model.parameters())).train(model.training)
