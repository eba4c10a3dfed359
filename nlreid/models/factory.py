"""`create_model`: from a name to a network with weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from nlreid.errors import InputError, unknown_name, whole_number
from nlreid.inflation.inflate import build_3d, draw_kernels, inflate
from nlreid.inflation.plans import resolve_plan
from nlreid.inflation.weights import check_init
from nlreid.layers.aggregate import create_aggregate
from nlreid.layers.heads import HEADS, BottleneckHead, Head, LinearHead
from nlreid.models.backbone2d import check_backbone, create_2d, origin, statistics
from nlreid.models.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from nlreid.models.network import LoadReport, VideoReID
from nlreid.models.placement import insert_non_local
from nlreid.models.pretrained import IMAGENET, resolve_source
from nlreid.models.spec import ModelSpec
from nlreid.models.zoo import MODELS, model_spec


def create_model(
    name: str,
    pretrained: bool | str | Path | None = None,
    *,
    num_classes: int = 0,
    head: str | None = None,
    **overrides: Any,
) -> VideoReID:
    """Make a model of the zoo.

    >>> import torch
    >>> model = create_model("test_r3d_nl", num_classes=10)
    >>> out = model.eval()(torch.zeros(2, 3, 4, 64, 32))
    >>> out.embedding.shape, out.logits.shape
    (torch.Size([2, 512]), torch.Size([2, 10]))

    Args:
        name: A name of `list_models()`, or one with a tag of `list_pretrained()`.
        pretrained: `None` for random weights; `True` for the tag in the name; a tag (`"imagenet"`: timm's 2D weights for the
            backbone, inflated); or the path of a file with this model's state dict or with its backbone's 2D weights in timm's
            layout, which are then inflated.
        num_classes: Outputs of the classifier; 0 is none.
        head: `"linear"`, `"bottleneck"`, `"bnneck"` or `"none"`; by default the head that the weights bring, and where they
            bring none, no head without classes and the paper's bottleneck with.
        **overrides: Fields of the model's spec, see `nlreid.models.ModelSpec`.

    Returns:
        The network, in training mode; `model.loaded` says what its weights came from.

    Raises:
        UnknownNameError: If a name (model, tag, head, override, plan, …) does not exist; it gives the nearest that does.
        InputError: If a value does not fit.
        InflationError: If the backbone cannot be inflated.
        WeightsError: If weights cannot be found, read or loaded.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a model is a string; got {name!r}")
    num_classes = whole_number("num_classes", num_classes, least=0)
    base, dot, tag = name.partition(".")
    if dot and not tag:
        raise unknown_name("model", name, MODELS, "nlreid.list_models() lists all.")
    spec = model_spec(base).override(overrides)
    check_backbone(spec.backbone)
    check_init(spec.init)
    _check_head(head, num_classes)
    source = resolve_source(base, spec, tag, pretrained)
    checkpoint = read_checkpoint(source) if isinstance(source, Path) else None
    model2d = create_2d(spec.backbone, pretrained=source == IMAGENET)
    if "clip" not in overrides and (source == IMAGENET or (checkpoint is not None and checkpoint.is_2d)):
        mean, std = statistics(model2d)
        spec = replace(spec, clip=replace(spec.clip, mean=mean, std=std))
    if "embedding_dim" not in overrides and checkpoint is not None and checkpoint.embedding_dim is not None:
        spec = replace(spec, embedding_dim=checkpoint.embedding_dim)
    model = _assemble(name, spec, model2d, source == IMAGENET, _head_kind(head, num_classes, checkpoint), num_classes)
    if checkpoint is not None:
        model.loaded = load_checkpoint(model, checkpoint, spec.init)
    elif source == IMAGENET:
        model.loaded = LoadReport(f"timm, {origin(model2d)}", _fresh(model))
    return model


def _check_head(head: str | None, num_classes: int) -> None:
    if head is not None and head not in (*HEADS, "none"):
        raise unknown_name("head", head, (*HEADS, "none"))
    if head == "none" and num_classes:
        raise InputError(
            f"head='none' has no classifier, but num_classes={num_classes}; ask for head='linear' or num_classes=0"
        )


def _head_kind(head: str | None, num_classes: int, checkpoint: Checkpoint | None) -> str:
    brought = checkpoint.head if checkpoint else None
    return head or brought or ("bottleneck" if num_classes else "none")


def _assemble(
    name: str,
    spec: ModelSpec,
    model2d: nn.Module,
    keep_weights: bool,
    head: str,
    num_classes: int,
) -> VideoReID:
    plan = resolve_plan(spec.plan)
    if keep_weights:
        backbone = inflate(model2d, plan, spec.init)
    else:
        backbone = build_3d(model2d, plan)
        draw_kernels(backbone, model2d.state_dict())
    if spec.non_local is not None:
        insert_non_local(backbone, spec.non_local)
    aggregate = create_aggregate(spec.aggregate, backbone.num_features)
    return VideoReID(backbone, aggregate, _create_head(head, aggregate.num_features, num_classes, spec), name=name, spec=spec)


def _create_head(kind: str, features: int, num_classes: int, spec: ModelSpec) -> Head:
    if kind == "none":
        return LinearHead(features)
    if kind == "bottleneck":
        return BottleneckHead(features, num_classes, spec.embedding_dim, spec.dropout)
    return HEADS[kind](features, num_classes)


def _fresh(model: VideoReID) -> tuple[str, ...]:
    return tuple(name for name in model.state_dict() if not name.startswith("backbone.") or ".non_local_" in name)
