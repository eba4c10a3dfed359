"""Writing checkpoints: a safetensors file that describes itself, and folders whose files appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path

import safetensors.torch
from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.table.config import METADATA_KEY, Config


def write_tensors(path: Path, tensors: Mapping[str, Tensor], config: Config) -> None:
    """Write a safetensors file with the config in its metadata; the same tensors and config give the same bytes.

    Args:
        path: The file.
        tensors: By name, wherever they lie and however they are laid out in memory.
        config: What they are.
    """
    safetensors.torch.save_file(apart(tensors), path, {METADATA_KEY: config.to_json()})


@contextmanager
def whole_folder(folder: Path) -> Generator[Path, None, None]:
    """A temporary folder whose files are moved into `folder` at the end, unless something goes wrong before.

    Files of the same names are replaced; others are left alone. A folder that was not there appears whole, with all of them. It
    is a sibling of `folder` or, where that exists and might be a disk of its own, within it.

    Raises:
        WeightsError: If something cannot be written; `folder` is then as it was.
    """
    try:
        parent = folder if folder.is_dir() else folder.parent
        temporary = parent / f".{folder.name}.{secrets.token_hex(4)}"
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _make_durable(temporary)
            _move(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise WeightsError(f"{folder}: cannot be written ({reason}); free space there, or name another folder") from error


def _make_durable(folder: Path) -> None:
    """The new names must not reach the disk before the contents."""
    for path in folder.iterdir():
        path.chmod(folder.stat().st_mode & 0o666)  # as every new file; safetensors makes its own for the owner alone
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _move(temporary: Path, folder: Path) -> None:
    if not folder.is_dir():
        temporary.rename(folder)
        return
    waiting = sorted(temporary.iterdir())
    for path in waiting:
        if (folder / path.name).is_dir():
            raise IsADirectoryError(EISDIR, f"{path.name} is a folder there")
    try:
        while waiting:
            waiting[-1].replace(folder / waiting[-1].name)
            waiting.pop()
    except KeyboardInterrupt:  # between two files: the set is finished first, so that old and new are not mixed
        for path in waiting:
            if path.exists():
                path.replace(folder / path.name)
        raise


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, dense, none in another's memory: the format has no place for that."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        result[name] = own.clone() if place in seen or own.untyped_storage().nbytes() > own.nbytes else own
        seen.add(place)
    return result
