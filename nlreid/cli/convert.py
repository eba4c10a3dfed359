"""`nlreid convert`: a checkpoint as others publish it to a safetensors file that `create_model` takes."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch

import nlreid
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import InputError, some_of
from nlreid.hub.convert import RECIPES
from nlreid.hub.table.config import METADATA_KEY
from nlreid.hub.writing.writer import apart
from nlreid.models.checkpoint import Checkpoint
from nlreid.models.conversion import convert_file


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "convert",
        help="convert a published checkpoint",
        description="Convert a checkpoint as others publish it to a safetensors file that nlreid.create_model takes. "
        "Nothing in it is run.",
        allow_abbrev=False,
    )
    parser.add_argument("layout", metavar="SOURCE", help=f"its layout ({', '.join(RECIPES)}), or a name of `nlreid weights`")
    parser.add_argument("file", metavar="FILE", type=Path, help="the published file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write (safetensors)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Convert and write; nothing is written unless everything fits."""
    check_writable(arguments.output)
    if os.path.realpath(arguments.file) == os.path.realpath(arguments.output):
        raise InputError(f"{arguments.output} is read, and cannot be written too; give --output another name")
    checkpoint = convert_file(arguments.layout, arguments.file)
    tensors = apart(checkpoint.tensors)
    write_whole(arguments.output, safetensors.torch.save(tensors, _about(checkpoint, arguments.layout)))
    print(f"{arguments.file}: sha256 {checkpoint.sha256}")
    what = "2D weights in timm's names" if checkpoint.config is None else checkpoint.config.name
    dropped = f"{len(checkpoint.dropped)} ({some_of(checkpoint.dropped)})" if checkpoint.dropped else "none"
    print(f"{arguments.output}: {what}, {len(tensors)} tensors; left out: {dropped}")


def _about(checkpoint: Checkpoint, layout: str) -> dict[str, str]:
    if checkpoint.config is not None:
        return {METADATA_KEY: replace(checkpoint.config, version=nlreid.__version__).to_json()}
    origin = {"recipe": layout, "sha256": checkpoint.sha256, "version": nlreid.__version__}
    return {f"{METADATA_KEY}.origin": json.dumps(origin, sort_keys=True)}
