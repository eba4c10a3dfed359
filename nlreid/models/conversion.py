"""An upstream file as this library's own: its tensors under new names, and the config that says what they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nlreid.errors import WeightsError, unknown_name
from nlreid.hub.convert import RECIPES, Recipe
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.reading.tensor_file import on_meta
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.models.assembly import assemble
from nlreid.models.checkpoint import Checkpoint
from nlreid.models.guess import guess_entries
from nlreid.models.load import check_finite, check_fit
from nlreid.models.pretrained import aliases
from nlreid.models.read import read_checkpoint
from nlreid.models.zoo import model_spec

logger = logging.getLogger(__name__)


def convert_file(source: str, path: Path) -> Checkpoint:
    """Read a published file and convert it.

    Args:
        source: Name of a layout (`RECIPES`), or `model.tag`. A layout does where it leaves no choice: networks whose tensors
            are alike can still compute something else, and then their tag must be named.
        path: The file.

    Returns:
        The tensors under this library's names; of a video network with their config, of a 2D one, in timm's names, without.

    Raises:
        UnknownNameError: If there is no such layout and no such tag.
        WeightsError: If the file is not what `source` says, or it is not clear which network it belongs to.
    """
    base, _, tag = source.partition(".")
    entry = manifest().get(source) or aliases(base).get(tag)
    if entry is None and source not in RECIPES:
        raise unknown_name("source", source, (*RECIPES, *manifest()))
    if entry is not None and entry.status == "shipped":
        raise WeightsError(
            f"{entry.name} is nlreid's own, and needs no conversion: create_model({entry.name!r}, pretrained=True)"
        )
    recipe = RECIPES[entry.recipe if entry else source]
    tensors = read_tensors(path)
    if read_config(tensors) is not None:
        raise WeightsError(f"{path}: is one of nlreid's files already; nlreid.create_model takes it as it is")
    shapes = on_meta(tensors)
    if not recipe.recognises(shapes):
        others = [f"; it looks like one of {other.name!r}" for other in RECIPES.values() if other.recognises(shapes)]
        raise WeightsError(f"{path}: not a checkpoint in the layout of {recipe.name!r}" + "".join(others))
    del tensors  # their shapes have said what the file is; it is read for good below
    if recipe.is_2d:
        checkpoint = read_checkpoint(path)
    else:
        entry = entry or _only_entry(path, recipe, shapes)
        checkpoint = read_checkpoint(path, entry)
        spec = model_spec(entry.model).override(entry.overrides)
        model = assemble(entry.name, spec, "linear", entry.num_classes, "awaited", device="meta")
        check_fit(model, checkpoint, blocks=model.state_dict().keys())
    check_finite(checkpoint.tensors)
    if checkpoint.remark:
        logger.warning(checkpoint.remark)
    return checkpoint


def _only_entry(path: Path, recipe: Recipe, shapes: Mapping[str, Tensor]) -> Entry:
    fitting = guess_entries(recipe, shapes)
    if len(fitting) == 1:
        return fitting[0]
    names = [entry.name for entry in fitting or manifest().values() if entry.recipe == recipe.name]
    found = "no network of the table of weights has exactly its tensors"
    if fitting:
        found = "several networks have exactly its tensors, and compute something else with them"
    raise WeightsError(f"{path}: {found}; name one in place of {recipe.name!r}: {', '.join(names)}")
