"""`nlreid info MODEL`: what a model is, computed from the model itself."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nlreid.models import VideoReID, create_model
from nlreid.models.placement import non_local_blocks
from nlreid.models.pretrained import tags


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "info", help="describe a model", description="Describe a model: size, cost, clips, structure.", allow_abbrev=False
    )
    parser.add_argument("model", help="a name of `nlreid models`, with or without the tag of its weights")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what the model is."""
    for label, value in describe(create_model(arguments.model).eval()).items():
        print(f"{label:20} {value}")


def describe(model: VideoReID) -> dict[str, str]:
    """What there is to say about a model, a label each.

    Args:
        model: The model, in evaluation mode; it is moved to the meta device.
    """
    spec, backbone = model.clip_spec, model.backbone
    parameters = sum(parameter.numel() for parameter in model.parameters())
    height, width = spec.size
    return {
        "model": model.name,
        "backbone": f"{model.spec.backbone}, width {model.spec.width:g}, plan {backbone.plan.name} ({backbone.plan.source})",
        "non-local blocks": ", ".join(non_local_blocks(model)) or "none",
        "aggregate": model.spec.aggregate,
        "weights by name": ", ".join(tags(model.name.partition(".")[0], model.spec)) or "none",
        "parameters": f"{parameters:,}",
        "embedding": f"{model.embedding_dim} values",
        "clip": f"{spec.frames} frames, every {spec.stride} in training, {height} x {width} pixels",
        "shortest clip": f"{backbone.min_frames} frames of {backbone.stride} x {backbone.stride} pixels",
        "mean, std": f"{spec.mean}, {spec.std}",
        "cost of a clip": f"{multiply_adds(model) / 1e9:.2f} G multiply-adds",
    }


def multiply_adds(model: VideoReID) -> float:
    """Multiply-adds of one clip of the model's own size, counted without computing anything.

    Args:
        model: The model, in evaluation mode; it is moved to the meta device.
    """
    spec = model.clip_spec
    clip = torch.zeros(1, 3, spec.frames, *spec.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta")(clip)
    return int(counter.get_total_flops()) / 2
