"""Which variant of a model a checkpoint is of; it is never guessed, since tensors can be alike and mean another network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nlreid.errors import NLReIDError, WeightsError
from nlreid.hub.convert import Recipe
from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.config import Config
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.inflation.plans import resolve_plan
from nlreid.inflation.weights import check_init
from nlreid.models.backbone2d import check_backbone
from nlreid.models.checkpoint import Checkpoint, head_of
from nlreid.models.guess import guess_entries
from nlreid.models.spec import ModelSpec
from nlreid.models.zoo import model_spec


def check_config(checkpoint: Checkpoint, entry: Entry | None) -> None:
    """Refuse a checkpoint that is not what its config says, or not the variant that was asked for.

    Args:
        checkpoint: The checkpoint; its tensors may be on the meta device.
        entry: The variant that was asked for; `None` takes any.

    Raises:
        WeightsError: Saying what was found and what was expected.
    """
    path, config = checkpoint.path, checkpoint.config
    if entry is not None and checkpoint.is_2d:
        raise WeightsError(
            f"{path}: holds 2D weights, and {entry.name} wants a checkpoint in the layout of {entry.recipe!r}; "
            f"create_model({entry.model!r}, pretrained=…) inflates them"
        )
    if config is None:
        return
    if entry is not None:
        _check_variant(path, config, entry)
    head = head_of(checkpoint.tensors) or "none"
    if head != config.head:
        raise WeightsError(f"{path}: it is said to have a head of kind {config.head!r}, and its tensors are those of {head!r}")
    classifier = on_meta(checkpoint.tensors).get("head.classifier.weight")
    classes = 0 if classifier is None else classifier.shape[0]
    if classes != config.num_classes:
        raise WeightsError(f"{path}: it is said to have {config.num_classes} classes, and its classifier has {classes}")


def _check_variant(path: Path, config: Config, entry: Entry) -> None:
    """A file that says what it is must be of the variant that was asked for, whether it has a name or not."""
    if config.architecture != entry.model or (config.tag and config.tag != entry.tag):
        raise WeightsError(
            f"{path}: holds {config.name}, and {entry.name} was asked for; create_model({config.name!r}, pretrained=…) takes it"
        )
    first, second = (spec_of(each, path) for each in (config, entry.config()))
    other = [name for name in ("backbone", "width", "non_local", "aggregate") if getattr(first, name) != getattr(second, name)]
    if resolve_plan(first.plan) != resolve_plan(second.plan):
        other.append("plan")
    if other:
        raise WeightsError(
            f"{path}: of another network than {entry.name} ({', '.join(other)}); create_model({entry.model!r}, pretrained=…) "
            "makes the one that it is of"
        )


def spec_of(config: Config, place: object) -> ModelSpec:
    """The spec that a config describes.

    Raises:
        WeightsError: If it is none that this version of the library can build.
    """
    try:
        spec = model_spec(config.architecture).override({**config.overrides, "clip": config.clip})
        check_backbone(spec.backbone, spec.width)
        resolve_plan(spec.plan)
        check_init(spec.init)
    except (NLReIDError, TypeError) as error:  # a value of JSON can be of a type that nobody expects
        raise WeightsError(f"{place}: its config does not fit this version of nlreid: {error}") from error
    return spec


def entry_of_file(path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, entry: Entry | None, sha256: str) -> Entry:
    """The entry of the table that an upstream file is of.

    Args:
        path: The file.
        tensors: Its tensors, under their own names.
        recipe: Its layout.
        entry: The one that was asked for.
        sha256: Of the file.

    Raises:
        WeightsError: If none was asked for, or one of another layout, or the file is known to be that of another.
    """
    published = [other for other in manifest().values() if _is_file_of(other, sha256)]
    wrong = ""
    if entry is None:
        wrong = f"a checkpoint in the layout of {recipe.name!r}, whose networks are variants with names of their own"
    elif entry.recipe != recipe.name:
        wrong = f"a checkpoint in the layout of {recipe.name!r}, and {entry.name} wants that of {entry.recipe!r}"
    elif published and entry not in published:
        wrong = f"by its checksum the file of {published[0].name}, and {entry.name} was asked for"
    if entry is None or wrong:
        fitting = published or guess_entries(recipe, tensors)
        names = " or ".join(f"create_model({other.name!r}, pretrained=…)" for other in fitting)
        raise WeightsError(f"{path}: {wrong}" + (f"; {names} takes it" if names else ""))
    return entry


def _is_file_of(entry: Entry, sha256: str) -> bool:
    known = entry.checksums.sha256 or entry.checksums.sha256_prefix
    return known is not None and sha256.startswith(known)
