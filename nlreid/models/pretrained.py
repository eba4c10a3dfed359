"""What `pretrained` can name: tags of weights, repositories of the Hub, and files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import timm

from nlreid.errors import InputError, UnknownNameError, WeightsError, unknown_name
from nlreid.hub.table.manifest import Entry, entries_of, manifest
from nlreid.inflation.plans import resolve_plan
from nlreid.models.spec import ModelSpec
from nlreid.models.zoo import MODELS

IMAGENET = "imagenet"
HUB = "hf-hub:"
FILES = (".safetensors", ".pth", ".pyth", ".pt", ".pkl", ".bin", ".tar", ".ckpt")  # what files of weights are called


@dataclass(frozen=True)
class Source:
    """Where the weights of a model shall come from.

    Args:
        kind: `random`; `timm`: 2D weights, inflated; `entry`: the table of weights; `hub`: a repository; `path`.
        entry: The entry of the table that says which variant of the model it is; `None` is the model as the zoo has it.
        place: Name of the repository, or the path.
    """

    kind: Literal["random", "timm", "entry", "hub", "path"]
    entry: Entry | None = None
    place: str = ""


def list_pretrained(pattern: str = "*") -> list[str]:
    """Names `model.tag` of the models with weights that have a name, sorted.

    >>> list_pretrained("r3d50_nl.py*")
    ['r3d50_nl.pyslowfast']

    Args:
        pattern: Shell-style wildcards, of names with or without the tag.
    """
    names = (f"{name}.{tag}" for name, spec in MODELS.items() for tag in tags(name, spec))
    return sorted(name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name.partition(".")[0], pattern))


def tags(name: str, spec: ModelSpec) -> list[str]:
    """The tags of a model: those of the table, and `imagenet` where timm has weights that it can inherit.

    Args:
        name: Name of the model, without a tag.
        spec: What it is.
    """
    weights = timm.get_pretrained_cfg(spec.backbone)
    fits = resolve_plan(spec.plan).inherits and spec.width == 1  # no weights are published for another width
    inherits = fits and weights is not None and (weights.hf_hub_id or weights.url)
    return ([IMAGENET] if inherits else []) + list(entries_of(name))


def aliases(name: str) -> dict[str, Entry]:
    """What a model's default tags are called, as in `kinetics`."""
    return {alias: entry for entry in entries_of(name).values() for alias in entry.default_for}


def resolve_source(name: str, spec: ModelSpec, tag: str, pretrained: bool | str | Path | None) -> Source:
    """Where a model's weights shall come from, and which variant of it they need.

    Args:
        name: Name of the model, without a tag.
        spec: What it is, with the overrides that were asked for.
        tag: The tag in the name that was asked for; empty without one.
        pretrained: As in `create_model`. A `Path` is always a path; a text that is a tag is the tag, though a
            file may be called so.

    Raises:
        UnknownNameError: If there is no such tag.
        InputError: If `pretrained` is of another type, or names another variant than the name does.
    """
    named = entries_of(name) | aliases(name)
    known = [*(tag for tag in tags(name, spec) if tag == IMAGENET), *named]
    allowed = f"Allowed: {', '.join(known)}" if known else "It has none by name"
    if tag and tag not in known:
        raise unknown_name(f"tag of {name!r}", tag, known, f"{allowed}; nlreid.list_pretrained() lists all.")
    variant = named.get(tag)
    if pretrained is None or pretrained is False:
        return Source("random", variant)
    if pretrained is True:
        if not tag:
            raise UnknownNameError(
                f"pretrained=True takes the tag in the name, and {name!r} has none. {allowed}, as pretrained="
            )
        pretrained = tag
    if isinstance(pretrained, Path):  # whatever it is called
        return Source("path", variant, str(_usable(pretrained)))
    if not isinstance(pretrained, str) or not pretrained:
        raise InputError(
            f"pretrained is None, True, a tag, {HUB}org/name@revision, or the path of a file or folder; got {pretrained!r}"
        )
    asked = pretrained.removeprefix(f"{name}.")
    if asked in named:
        return Source("entry", _one_variant(name, tag, variant, named[asked]))
    if asked == IMAGENET and IMAGENET in known:
        return Source("timm", variant)
    if pretrained.startswith(HUB):
        return Source("hub", variant, pretrained)
    if pretrained in manifest():
        raise UnknownNameError(
            f"{pretrained} is no checkpoint of {name!r}; create_model({pretrained!r}, pretrained=True) takes it"
        )
    if repository := _repository(pretrained):
        raise UnknownNameError(f"{pretrained!r} is no file or folder here; did you mean {HUB + repository!r}?")
    if os.sep in pretrained or Path(pretrained).suffix or _exists(pretrained):
        return Source("path", variant, str(_usable(Path(pretrained))))
    raise unknown_name(
        f"weights of {name!r}", pretrained, known, f"{allowed}, {HUB}org/name@revision, or the path of a file or folder."
    )


def _one_variant(name: str, tag: str, variant: Entry | None, asked: Entry) -> Entry:
    if tag and variant != asked:
        raise InputError(
            f"{name}.{tag} is one variant of {name!r}, and {asked.name} another: ask for create_model({asked.name!r}, "
            f"pretrained=True), or for create_model('{name}.{tag}', pretrained=True)"
        )
    return asked


def _repository(text: str) -> str:
    """The name of a repository that was given without what says so; empty where it is something else."""
    name = re.fullmatch(r"(?:hf[-_]?hub:|hf://)?/*([\w-][\w.-]*/[\w-][\w.-]*?(?:@\S+)?)", text, re.IGNORECASE)
    is_path = Path(text).suffix in FILES or _exists(str(Path(text).parent))
    return "" if name is None or is_path else name[1]


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False


def _usable(path: Path) -> Path:
    """A path as people write it, with `~` for the home folder, if this system can have it at all."""
    try:
        path = path.expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{str(path)[:100]!r}: no path that can be looked at here ({reason})") from error
    return path
