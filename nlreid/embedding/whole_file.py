"""Files that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from nlreid.errors import DataError


def check_writable(path: str | Path) -> None:
    """Refuse a place where no file can be written, before the work whose result it is for.

    Raises:
        DataError: If the folder is missing or may not be written to, or something other than a file has that name.
    """
    path = Path(path)
    folder = path.resolve().parent
    if not folder.is_dir():
        raise DataError(f"{path}: cannot be written: there is no folder {folder}; make it first")
    if path.exists() and not path.is_file():  # a folder cannot be replaced, a device must not be
        raise DataError(f"{path}: cannot be written: it exists and is no regular file; name another")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: cannot be written: no permission to write to {folder}")


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file; whatever goes wrong, Ctrl-C included, an older file of that name stays as it was.

    Raises:
        DataError: If it cannot be written.
    """
    check_writable(path)
    target = Path(path).resolve()  # behind a link, the file that it points to is replaced, not the link
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
