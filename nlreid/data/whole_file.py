"""Files that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from nlreid.data.disk import as_path, exists, is_file, is_folder, resolved
from nlreid.errors import DataError


def check_writable(path: str | Path) -> None:
    """Refuse a place where no file can be written, before the work whose result it is for.

    Raises:
        InputError: If it is no path.
        DataError: If the folder is missing or may not be written to, something other than a file has that name, or the name
            is not UTF-8: safetensors reads no such file.
    """
    path = as_path("path", path)
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: cannot be written: the path is not UTF-8, so it could not be read again; rename") from error
    folder = resolved(path).parent
    if not is_folder(folder):
        raise DataError(f"{path}: cannot be written: there is no folder {folder}; make it first")
    if exists(path) and not is_file(path):  # a folder cannot be replaced, a device must not be
        raise DataError(f"{path}: cannot be written: it exists and is no regular file; name another")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: cannot be written: no permission to write to {folder}")


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file; whatever goes wrong, Ctrl-C included, an older file of that name stays as it was.

    When it is written, it is on the disk, and a power cut does not take it away again.

    Raises:
        InputError: If `path` is none.
        DataError: If it cannot be written.
    """
    write_whole_in_parts(path, [content])


def write_whole_in_parts(path: str | Path, parts: Iterable[bytes]) -> None:
    """`write_whole` of a file that need not be in memory: its parts are taken as they are written, one after the other.

    Raises:
        InputError: If `path` is none.
        DataError: If it cannot be written.
    """
    try:
        _write(path, parts, _name)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def write_new(path: str | Path, content: bytes) -> bool:
    """Write a file that is not there yet; of several processes that try, one does.

    Returns:
        Whether it was written; if not, there is one.

    Raises:
        InputError: If `path` is none.
        DataError: If it cannot be written.
    """
    try:
        _write(path, [content], _name_new)
    except FileExistsError:
        return False
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    return True


def _write(path: str | Path, parts: Iterable[bytes], name: Callable[[Path, Path], object]) -> None:
    """Write under a temporary name that nobody else has, whatever machine he is on; `name` gives it the right one."""
    check_writable(path)
    target = resolved(Path(path))  # behind a link, the file that it points to is replaced, not the link
    temporary = target.with_name(f".nlreid-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name on an empty file
        name(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _keep_name(target.parent)


def _name(temporary: Path, target: Path) -> None:
    temporary.replace(target)


def _name_new(temporary: Path, target: Path) -> None:
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, where the next best is not wholly exclusive
        if exists(target):
            raise FileExistsError(target) from None
        temporary.replace(target)


def _keep_name(folder: Path) -> None:
    """Bring the names of a folder to the disk, where it can be done: the file is whole in any case."""
    with suppress(OSError):  # Windows opens no folder, some network file systems do not synchronise one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
