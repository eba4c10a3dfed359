"""A network in a package of AOTInductor: machine code, run by torch without the network's Python."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nlreid.errors import DataError, shorten
from nlreid.models.exported.about import METADATA_KEY, About
from nlreid.models.exported.network import ExportedModel, contents_of


def load_package(path: str | Path) -> ExportedModel:
    """Open what `nlreid.export.to_package` wrote.

    This runs the machine code in the file: open only packages that you made, or whose maker you trust as you do a program's.

    Args:
        path: The file, `*.pt2`.

    Raises:
        InputError: If it is no path.
        DataError: If the file is missing, is no package, does not say which clips it wants, or was made for another machine.
    """
    path, content, digest = contents_of(path, "a package")
    return package_model(content, path, digest)


def package_model(content: bytes, path: Path, digest: str = "") -> ExportedModel:
    """The network in the bytes of a package.

    Args:
        content: The bytes.
        path: The file, for messages and for what is embedded.
        digest: Its SHA-256.

    Raises:
        DataError: If it is none, or does not say which clips it wants.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):  # torch would take it for one of an older release, and log that
        raise DataError(f"{path}: no package of AOTInductor, which is a zip archive")
    try:
        program = torch._inductor.aoti_load_package(io.BytesIO(content))
    except Exception as error:  # whatever the loader of machine code raises
        raise DataError(f"{path}: torch cannot open it as a package ({shorten(str(error), 300)})") from error
    about = About.from_json(program.get_metadata().get(METADATA_KEY), path)

    def run(batch: Tensor) -> Sequence[Tensor]:
        with torch.inference_mode():
            return [value for value in program(batch) if value is not None]

    return ExportedModel(run, about, path, digest)
