"""Files of weights: what they hold, in this library's names, and what can be told about the model that they fit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from nlreid.errors import NLReIDError, WeightsError
from nlreid.hub.convert import RECIPES, Recipe
from nlreid.hub.fetching.verify import verify, wanted_of
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.config import PERSONS, Config
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.inflation.plans import resolve_plan
from nlreid.layers.heads import HEADS
from nlreid.models.backbone2d import check_backbone
from nlreid.models.guess import guess_entries
from nlreid.models.spec import ModelSpec
from nlreid.models.zoo import model_spec

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under this library's names, and what is known about them.

    Args:
        path: Where they were read.
        tensors: By name: as in `VideoReID.state_dict()`, or those of a 2D network as in timm.
        config: What the file, or its entry in the table of weights, says that they are; `None` where nothing does.
        dropped: Names of the file's tensors that its conversion left out, as declared.
        sha256: Of the file.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    config: Config | None = None
    dropped: tuple[str, ...] = ()
    sha256: str = ""

    @cached_property
    def is_2d(self) -> bool:
        """Whether these are the weights of a 2D network, in timm's layout."""
        shapes = on_meta(self.tensors)
        return not any(name.startswith("backbone.") or tensor.ndim == 5 for name, tensor in shapes.items())

    @property
    def head(self) -> str | None:
        """The kind of head that the weights bring; a classifier of anything but persons is none."""
        if self.is_2d or (self.config is not None and self.config.task != PERSONS):
            return None
        return head_of(self.tensors)

    @property
    def embedding_dim(self) -> int | None:
        """Size of the embedding of the bottleneck head that the weights bring."""
        shapes = on_meta(self.tensors)
        return shapes["head.fc.weight"].shape[0] if "head.fc.weight" in shapes else None


def head_of(tensors: Mapping[str, Tensor]) -> str | None:
    """The kind of head that tensors of a model belong to, by their names."""
    marks = {"head.fc.weight": "bottleneck", "head.norm.weight": "bnneck", "head.classifier.weight": "linear"}
    return next((kind for mark, kind in marks.items() if mark in tensors), None)


def is_whole_head(names: Iterable[str]) -> bool:
    """Whether names of a head's tensors are all that some kind of head has, with or without its classifier."""
    given = {name.removeprefix("head.") for name in names}
    wholes = (head(2, classes).state_dict().keys() for head in HEADS.values() for classes in (0, 2))
    return any(given == whole for whole in wholes)


def read_checkpoint(path: Path, entry: Entry | None = None, config: Config | None = None, sha256: str = "") -> Checkpoint:
    """Read a file of weights, or a folder of `nlreid.save_pretrained`, and convert it where its layout is another's.

    Args:
        path: The file or folder.
        entry: The variant that was asked for by its tag; an upstream file must then be one of its layout.
        config: What is known about the file from elsewhere; by default it is looked for in the file.
        sha256: Of the file, where it has been computed already.

    Raises:
        WeightsError: If it is missing, damaged, no file of weights, of a newer format, or of another variant.
    """
    if path.is_dir():
        path, config = _of_folder(path)
    tensors = read_tensors(path)
    config = _one_config(path, config, read_config(tensors))
    recipe = next((recipe for recipe in RECIPES.values() if recipe.recognises(on_meta(tensors))), None)
    if config is not None or recipe is None:
        checkpoint = Checkpoint(path, tensors, config, sha256=sha256 or verify(path, {}).sha256)
    else:
        checkpoint = _converted(path, tensors, recipe, entry)
    check_config(checkpoint, entry)
    return checkpoint


def _converted(path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, entry: Entry | None) -> Checkpoint:
    is_published = entry is not None and entry.status != "published"  # else what is known is of its converted form
    found = verify(path, wanted_of(entry.checksums) if entry is not None and is_published else {})
    known = None
    if not recipe.is_2d:
        entry = _checked_entry(path, tensors, recipe, entry, found.sha256)
        known = entry.config(sha256=found.sha256)
        if found.wrong:  # then it does not come from there
            known = entry.config(sha256=found.sha256, url="", note=f"a file in this layout, and not the one at {entry.url}")
    try:
        conversion = recipe.convert(tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    if found.wrong and entry is not None:
        logger.warning(
            "%s: %s: not the file that %s has; it is taken as it is, since it was given", path, found.wrong, entry.url
        )
    return Checkpoint(path, conversion.tensors, known, conversion.dropped, found.sha256)


def _one_config(path: Path, beside: Config | None, within: Config | None) -> Config | None:
    """The config of a file and the one that lies beside it are the same, or one of the two files is of another checkpoint."""
    if beside is not None and within is not None and beside != within:
        raise WeightsError(
            f"{path}: the config in it is not that of the {CONFIG} beside it: they are of two checkpoints, or one was changed; "
            "get both anew, or give this file alone"
        )
    return beside or within


def _of_folder(folder: Path) -> tuple[Path, Config]:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise WeightsError(
                f"{folder}: a folder without {name}; wanted is what nlreid.save_pretrained writes, or a file of weights"
            )
    return folder / WEIGHTS, Config.from_json((folder / CONFIG).read_bytes(), folder / CONFIG)


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
    other = [name for name in ("backbone", "non_local", "aggregate") if getattr(first, name) != getattr(second, name)]
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
        check_backbone(spec.backbone)
        resolve_plan(spec.plan)
    except NLReIDError as error:
        raise WeightsError(f"{place}: its config does not fit this version of nlreid: {error}") from error
    return spec


def _checked_entry(path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, entry: Entry | None, sha256: str) -> Entry:
    """The entry of an upstream file; a variant is never guessed, since tensors can be alike and mean another network."""
    published = [other for other in manifest().values() if _is_file_of(other, sha256)]
    fitting = published or guess_entries(recipe, tensors)
    names = " or ".join(f"create_model({other.name!r}, pretrained=…)" for other in fitting)
    way = f"; {names} takes it" if names else ""
    if entry is None:
        raise WeightsError(
            f"{path}: a checkpoint in the layout of {recipe.name!r}, whose networks are variants with names of their own{way}"
        )
    if entry.recipe != recipe.name:
        raise WeightsError(
            f"{path}: a checkpoint in the layout of {recipe.name!r}, and {entry.name} wants that of {entry.recipe!r}{way}"
        )
    if published and entry not in published:
        raise WeightsError(f"{path}: by its checksum the file of {published[0].name}, and {entry.name} was asked for{way}")
    return entry


def _is_file_of(entry: Entry, sha256: str) -> bool:
    known = entry.checksums.sha256 or entry.checksums.sha256_prefix
    return known is not None and sha256.startswith(known)
