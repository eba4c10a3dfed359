"""The file that embeddings are kept in: safetensors, with what is no number as JSON in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from nlreid.data.disk import as_path, is_file, reading
from nlreid.data.whole_file import write_whole
from nlreid.errors import DataError, some_of

FORMAT = 1
_TENSORS = ("features", "pids", "camids")
_ABOUT = {"format": int, "model": str, "tracks": list}


@dataclass(frozen=True)
class Contents:
    """What a file of embeddings holds.

    Args:
        tensors: `features` `(n, d)`, and `pids` and `camids` `(n,)` where they are known.
        model: What made them.
        tracks: What is known about each row, or nothing.
        part_of: The digest of the description of what they are a part of, see `nlreid.embedding.provenance`; nothing if they
            are whole.
    """

    tensors: Mapping[str, Tensor]
    model: str
    tracks: Sequence[Any]
    part_of: str = ""


def write_embeddings(path: str | Path, contents: Contents) -> None:
    """Write a file that is whole or not there.

    Args:
        path: The file; one of that name is replaced.
        contents: What it is to hold.

    Raises:
        InputError: If `path` is none.
        DataError: If the file cannot be written.
    """
    about = {"format": FORMAT, "model": contents.model, "tracks": list(contents.tracks)}
    if contents.part_of:
        about["part_of"] = contents.part_of
    # One metadata key: with more, the bytes of the file depend on the order in which a hash map gives them.
    metadata = {"nlreid": json.dumps(about, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in contents.tensors.items()}
    write_whole(path, safetensors.torch.save(plain, metadata))


def read_embeddings(path: str | Path) -> Contents:
    """Read what `write_embeddings` wrote; tensors stay in the file, mapped into memory as they are used.

    Raises:
        InputError: If `path` is none.
        DataError: If the file is missing, damaged, of a newer format, or no file of embeddings.
    """
    path = as_path("path", path)
    if not is_file(path):
        raise DataError(f"{path}: no such file; nlreid embed writes files of embeddings")
    with reading(path), path.open("rb"):
        pass  # of a file without permission, safetensors says that it is not there
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = _described(file.metadata())
            names = set(file.keys())
            if "features" not in names or not names.issubset(_TENSORS):
                raise ValueError(f"its tensors are {some_of(names, 5) or 'none'}; wanted are {', '.join(_TENSORS)}")
            tensors = {name: file.get_tensor(name) for name in _TENSORS if name in names}
    except (OSError, safetensors.SafetensorError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a file of embeddings, or a damaged one ({error})") from error
    return Contents(tensors, about["model"], about["tracks"], about["part_of"])


def _described(metadata: dict[str, str] | None) -> dict[str, Any]:
    about = json.loads((metadata or {}).get("nlreid", "null"))
    if not isinstance(about, dict):
        raise ValueError("its metadata does not describe embeddings")
    version = about.get("format")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format is {version!r}; known is {FORMAT}")
    if version > FORMAT:
        raise ValueError(f"its format {version} is newer than {FORMAT}, the newest known here; update nlreid")
    wanted = {**_ABOUT, "part_of": str}
    about = {"part_of": "", **about}
    if about.keys() != wanted.keys() or not all(isinstance(about[key], kind) for key, kind in wanted.items()):
        raise ValueError(f"its metadata is not what format {FORMAT} has: {', '.join(_ABOUT)}, and of a part part_of")
    return about
