"""Options that commands share, and values that are checked while the command line is read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nlreid.cli import several
from nlreid.data.disk import is_file, is_folder
from nlreid.embedding import Embeddings
from nlreid.errors import InputError
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.table.config import Config
from nlreid.models import VideoReID, create_model, list_models, list_pretrained
from nlreid.models.exported import ExportedModel
from nlreid.models.pretrained import HUB, aliases
from nlreid.models.read import read_checkpoint

MODEL = "r3d50_nl"
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that is a whole number in a range; anything else is a usage error that says so.

    >>> whole_number(1)("16")
    16

    Args:
        least: The smallest number allowed.
        most: The largest, where there is one.
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            upto = "" if most is None else f" to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}{upto}")
        return value

    return convert


def number_option(parser: Any, option: str, kind: Callable[[str], int], default: int | None, text: str) -> argparse.Action:
    """Add an option that is a whole number, with its default in its help."""
    shown = text if default is None else f"{text} (default: %(default)s)"
    action: argparse.Action = parser.add_argument(option, metavar="N", type=kind, default=default, help=shown)
    return action


def add_model_options(
    parser: Any,
    model: str = MODEL,
    weights: str = "those of the tag in --model, else random ones",
    seed: int = 0,
    seeded: str = "random weights",
) -> list[argparse.Action]:
    """Add the options that say which model embeds, and how: those that `make_model` and `embed` need.

    Args:
        parser: What they are added to.
        model: The model where none is named.
        weights: What the weights are where none are named, for the help.
        seed: The seed where none is given.
        seeded: What it is a seed of, for the help.
    """
    named = f"a name of `nlreid models` (default: that of the folder given as --pretrained, else {model})"
    return [
        parser.add_argument("--model", help=named),
        *add_weights_options(parser, weights=weights, seed=seed, seeded=seeded),
        number_option(parser, "--batch-size", whole_number(1), 8, "clips that run together"),
        parser.add_argument("--device", help="where to run, as in 'cuda' (default: cuda if there is one, else cpu)"),
        parser.add_argument("--autocast", choices=sorted(DTYPES), help="run in mixed precision"),
    ]


def add_weights_options(
    parser: Any,
    weights: str = "those of the tag in the model's name, else random ones",
    seed: int = 0,
    seeded: str = "random weights",
) -> list[argparse.Action]:
    """Add the options that say which weights a model has."""
    pretrained = f"weights: a tag, a file or folder, or hf-hub:org/name (default: {weights})"
    return [
        parser.add_argument("--pretrained", metavar="TAG|PATH|HUB", help=pretrained),
        number_option(parser, "--seed", whole_number(0, 2**63 - 1), seed, f"seed of {seeded}"),
    ]


def device_name(arguments: argparse.Namespace) -> str:
    """The device that was asked for, or the best that there is; of several processes on a machine, each has a GPU in turn."""
    name: str = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and several.count() > 1 and torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return name


def make_model(arguments: argparse.Namespace, default: str = MODEL) -> VideoReID:
    """The model of `add_model_options`; random weights depend on the seed, and are warned of.

    Args:
        arguments: Those of the command.
        default: The model where none is named.
    """
    with torch.random.fork_rng(devices=[]):  # who calls from Python keeps the state of the generator
        torch.default_generator.manual_seed(arguments.seed)
        name = _model_name(arguments, default)
        model = create_model(name, pretrained=arguments.pretrained or ("." in name))
    if model.loaded.source == "random" and not several.rank():
        print("nlreid: the weights are random; give --pretrained for a ranking that means something", file=sys.stderr)
    return model


def _model_name(arguments: argparse.Namespace, default: str) -> str:
    """The model that was asked for, or the one whose weights lie in a folder of `nlreid.save_pretrained`."""
    name: str | None = arguments.model
    if name is None:
        given = arguments.pretrained
        config = None if not given or given.startswith(HUB) or _is_tag(given) else _config_of(Path(given))
        return config.name if config is not None else default
    if name not in list_models() and is_folder(Path(name)):
        raise InputError(f"--model is a name of `nlreid models`; for the weights in a folder: --pretrained {name}")
    return name


def _is_tag(text: str) -> bool:
    """Whether some model has weights of this name, which come before files that are called so, as in `create_model`."""
    tagged = list_pretrained()
    named = {tag.partition(".")[2] for tag in tagged} | {alias for name in list_models() for alias in aliases(name)}
    return text in tagged or text in named


def _config_of(path: Path) -> Config | None:
    """What a folder of `nlreid.save_pretrained`, or the file in it, says about itself."""
    if is_folder(path):
        return read_checkpoint(path).config
    return read_config(read_tensors(path)) if is_file(path) else None


def with_seed(people: Embeddings, model: VideoReID | ExportedModel, seed: int) -> Embeddings:
    """Embeddings that name the seed of random weights: of another seed they are another model's, and must not be compared."""
    return replace(people, model=f"{people.model}, seed {seed}") if model.loaded.source == "random" else people


def model_name(people: Embeddings) -> str:
    """What made embeddings, without the place and the checksum of its weights: for pictures.

    >>> model_name(Embeddings(torch.eye(2), model="r3d50_nl, weights: /data/mine.safetensors (sha256 0123456789ab)"))
    'r3d50_nl'
    """
    return people.model.partition(", weights: ")[0] or "embeddings"
