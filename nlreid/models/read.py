"""From a file or folder to a checkpoint: opened by its content, converted where its layout is another project's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.convert import RECIPES, Recipe
from nlreid.hub.fetching.verify import verify, wanted_of
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.config import Config
from nlreid.hub.table.manifest import Entry
from nlreid.models.checkpoint import Checkpoint
from nlreid.models.variants import check_config, entry_of_file

CONFIG, WEIGHTS = "config.json", "model.safetensors"


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
        entry = entry_of_file(path, tensors, recipe, entry, found.sha256)
        known = entry.config(sha256=found.sha256)
        if found.wrong:  # then it does not come from there
            known = entry.config(sha256=found.sha256, url="", note=f"a file in this layout, and not the one at {entry.url}")
    try:
        conversion = recipe.convert(tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    remark = ""
    if found.wrong and entry is not None:
        remark = f"{path}: {found.wrong}: not the file that {entry.url} has; it is taken as it is, since it was given"
    return Checkpoint(path, conversion.tensors, known, conversion.dropped, found.sha256, remark)


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
