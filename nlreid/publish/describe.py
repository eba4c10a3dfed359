"""What a model is, as the config that is published with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nlreid.errors import InputError, WeightsError
from nlreid.hub.table.config import ACTIONS, PERSONS, Config
from nlreid.inflation.plans import resolve_plan
from nlreid.layers.heads import HEADS, LinearHead
from nlreid.models.network import VideoReID
from nlreid.models.zoo import model_spec
from nlreid.publish.card import ModelCard


def describe(model: VideoReID, card: ModelCard, tag: str = "") -> Config:
    """The config of a model.

    Args:
        model: The model.
        card: What is said about it.
        tag: The tag of a name that it keeps; weights that were trained any further have none.

    Raises:
        InputError: If the model's spec, read back from the config, would be another, or the config could not be read.
    """
    architecture = model.name.partition(".")[0]
    values = _plain(asdict(replace(model.spec, plan=resolve_plan(model.spec.plan))))
    clip = values.pop("clip")
    _check_spec(model, architecture, {**values, "clip": clip})
    config = Config(
        architecture=architecture,
        overrides=values,
        clip=clip,
        head=head_kind(model),
        num_classes=model.num_classes,
        licence=card.licence,
        origin=dict(card.origin),
        task=card.task,
        tag=tag,
        version=version("nlreid"),
    )
    _check_config(config)
    return config


def head_kind(model: VideoReID) -> str:
    """The kind of head that a model's tensors hold.

    Raises:
        InputError: If it is none of the library's.
    """
    kinds = {cls: kind for kind, cls in HEADS.items()}
    kind = kinds.get(type(model.head))
    if kind is None:
        raise InputError(f"head is a {type(model.head).__name__}; what can be saved is one of {', '.join(HEADS)}")
    return "none" if type(model.head) is LinearHead and model.num_classes == 0 else kind


def task_of(model: VideoReID) -> str:
    """What a model's classifier was trained for: actions where it came whole with a checkpoint of actions, else persons."""
    whole = head_kind(model) == "linear" and model.num_classes > 0 and model.num_classes == model.loaded.num_classes
    fresh = "head.classifier.weight" in model.loaded.missing
    return ACTIONS if model.loaded.task == ACTIONS and whole and not fresh else PERSONS


def origin_of(model: VideoReID) -> Mapping[str, Any]:
    """What a model was loaded from; of a path the last part only, since the rest is nobody's business."""
    loaded = model.loaded
    if loaded.source == "random":
        return {}
    source = loaded.source if loaded.source.startswith(("hf-hub:", "https://", "timm, ")) else Path(loaded.source).name
    name = model.name if "." in model.name else ""
    known = {"name": name, "note": f"initialised from {source}", "sha256": loaded.sha256, "licence": loaded.licence}
    return {key: value for key, value in known.items() if value}


def _check_config(config: Config) -> None:
    try:
        Config.from_json(config.to_json(), "config.json")
    except WeightsError as error:
        raise InputError(f"{error}; this could not be loaded again, and is not saved") from error


def _check_spec(model: VideoReID, architecture: str, values: Mapping[str, Any]) -> None:
    """Whoever builds the model again must get this spec and no other."""
    known = replace(model.spec, plan=resolve_plan(model.spec.plan))
    again = model_spec(architecture).override(values)
    if replace(again, plan=resolve_plan(again.plan)) != known:
        raise InputError(
            f"the spec of {model.name!r} does not survive as JSON, and could not be built again; it is {model.spec}"
        )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON will have it: lists for tuples, Python's numbers for NumPy's."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=lambda value: value.item()))
    return plain
