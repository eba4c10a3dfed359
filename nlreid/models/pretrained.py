"""What `pretrained` can name: tags of weights, and files."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import timm

from nlreid.errors import InputError, UnknownNameError, unknown_name
from nlreid.inflation.plans import resolve_plan
from nlreid.models.spec import ModelSpec
from nlreid.models.zoo import MODELS

IMAGENET = "imagenet"


def list_pretrained(pattern: str = "*") -> list[str]:
    """Names `model.tag` of the models with weights that can be had by name, sorted.

    Args:
        pattern: Shell-style wildcards.
    """
    names = (f"{name}.{tag}" for name, spec in MODELS.items() for tag in tags(spec))
    return sorted(name for name in names if fnmatchcase(name, pattern))


def tags(spec: ModelSpec) -> list[str]:
    """The tags of a model: `imagenet` where timm has weights for its backbone and its plan inherits them."""
    weights = timm.get_pretrained_cfg(spec.backbone)
    inherits = resolve_plan(spec.plan).inherits
    return [IMAGENET] if inherits and weights is not None and (weights.hf_hub_id or weights.url) else []


def resolve_source(name: str, spec: ModelSpec, tag: str, pretrained: bool | str | Path | None) -> str | Path | None:
    """What a model's weights shall come from: a tag, a file, or nothing.

    Args:
        name: Name of the model, for messages.
        spec: What it is.
        tag: The tag in the name that was asked for; empty without one.
        pretrained: As in `create_model`.

    Raises:
        UnknownNameError: If there is no such tag.
    """
    known = tags(spec)
    allowed = f"Allowed: {', '.join(known)}" if known else "It has none by name"
    if tag and tag not in known:
        raise unknown_name(f"tag of {name!r}", tag, known, f"{allowed}; nlreid.list_pretrained() lists all.")
    if pretrained is None or pretrained is False:
        return None
    if pretrained is True:
        if not tag:
            raise UnknownNameError(
                f"pretrained=True takes the tag in the name, and {name!r} has none. {allowed}, as pretrained="
            )
        return tag
    if pretrained in known:
        return str(pretrained)
    if not isinstance(pretrained, str | Path):
        raise InputError(f"pretrained is None, True, a tag, or the path of a file; got {pretrained!r}")
    if isinstance(pretrained, Path) or _looks_like_a_path(pretrained):
        return Path(pretrained)
    raise unknown_name(f"weights of {name!r}", pretrained, known, f"{allowed}, or the path of a file.")


def _looks_like_a_path(text: str) -> bool:
    return not text.startswith("hf-hub:") and (os.sep in text or bool(Path(text).suffix) or Path(text).is_file())
