"""From a spec to a network: backbone, non-local blocks, aggregate, head; its values drawn, inherited, or awaited."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nlreid.inflation.backbone import Backbone3d
from nlreid.inflation.inflate import build_3d, draw_kernels, inflate
from nlreid.inflation.plans import resolve_plan
from nlreid.layers.aggregate import create_aggregate
from nlreid.layers.heads import HEADS, BottleneckHead, Head, LinearHead
from nlreid.models.backbone2d import create_2d_without_kernels, create_2d_without_values
from nlreid.models.network import VideoReID
from nlreid.models.placement import insert_non_local
from nlreid.models.spec import ModelSpec

Values = Literal["drawn", "awaited"]


def assemble(
    name: str,
    spec: ModelSpec,
    head: str,
    num_classes: int,
    values: Values | nn.Module = "drawn",
    *,
    fresh_blocks: bool = True,
    device: str | None = None,
) -> VideoReID:
    """Make a network.

    Args:
        name: What it is called.
        spec: What it is.
        head: The kind of head: one of `HEADS`, or `"none"`.
        num_classes: Outputs of its classifier; 0 is none.
        values: `"drawn"`: random. `"awaited"`: the backbone's tensors hold nothing and a checkpoint must fill every one; what
            checkpoints may lack is drawn. A 2D network: the backbone inherits its weights.
        fresh_blocks: Whether a checkpoint may lack the non-local blocks.
        device: Where a backbone with awaited values is made, by default on torch's default device; on `"meta"` it has names and
            shapes alone.
    """
    backbone = _backbone(spec, values)
    awaited = values == "awaited"
    if awaited and fresh_blocks:
        _make_room(backbone, device)
    if spec.non_local is not None:
        insert_non_local(backbone, spec.non_local)
    if awaited:
        _make_room(backbone, device)
    aggregate = create_aggregate(spec.aggregate, backbone.num_features)
    return VideoReID(backbone, aggregate, _head(head, aggregate.num_features, num_classes, spec), name=name, spec=spec)


def shapes_of(spec: ModelSpec, head: str = "none", num_classes: int = 0) -> dict[str, Tensor]:
    """Names, shapes and types of a network's tensors, without making them."""
    state = assemble("", spec, head, num_classes, "awaited", device="meta").state_dict()
    return {name: tensor.to("meta") for name, tensor in state.items()}


def _backbone(spec: ModelSpec, values: Values | nn.Module) -> Backbone3d:
    plan = resolve_plan(spec.plan)
    if isinstance(values, nn.Module):
        return inflate(values, plan, spec.init)
    if values == "awaited":
        return build_3d(create_2d_without_values(spec.backbone, spec.width), plan)
    model2d = create_2d_without_kernels(spec.backbone, spec.width)
    backbone = build_3d(model2d, plan)
    draw_kernels(backbone, model2d.state_dict())
    return backbone


def _make_room(backbone: Backbone3d, device: str | None) -> None:
    """Bring a backbone from the meta device, where its tensors have no memory, to another; one that is there stays."""
    if device == "meta":
        backbone.to("meta")
    elif any(parameter.is_meta for parameter in backbone.parameters()):
        here = torch.empty(0).device  # torch 2.6 does not tell get_default_device() of `with torch.device(…)`
        backbone.to_empty(device=device or here)
        for module in backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()  # checkpoints may lack the counters


def _head(kind: str, features: int, num_classes: int, spec: ModelSpec) -> Head:
    if kind == "none":
        return LinearHead(features)
    if kind == "bottleneck":
        return BottleneckHead(features, num_classes, spec.embedding_dim, spec.dropout)
    return HEADS[kind](features, num_classes)
