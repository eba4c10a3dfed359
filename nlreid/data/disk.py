"""What lies on a disk: each question is answered, or is an error that names the path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ELOOP
from pathlib import Path
from typing import NamedTuple

from nlreid.errors import DataError, InputError


class Contents(NamedTuple):
    """The names of what lies in a folder, in no order. A link is what it leads to.

    Args:
        files: Files.
        folders: Folders.
        others: What is neither: links that lead nowhere, devices.
    """

    files: list[str]
    folders: list[str]
    others: list[str]


def as_path(name: str, value: object) -> Path:
    """`value` as a path.

    Args:
        name: What the argument is called, for the message.
        value: What came.

    Raises:
        InputError: If it is neither text nor a path, or holds a null character, which no path can.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or "\0" in text:
        raise InputError(f"{name} is the path of a file or folder; got {value!r:.80}")
    return Path(text)


@contextmanager
def reading(path: Path, problem: str = "cannot be read") -> Iterator[None]:
    """Turn the errors of the operating system into one that names the path.

    Args:
        path: What is read.
        problem: What to say of it.

    Raises:
        DataError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: {problem} ({error.strerror or error})") from error


def exists(path: Path) -> bool:
    """Whether there is such a file or folder.

    Raises:
        DataError: If that cannot be known: a folder above it may not be entered, links lead in a circle, a name is too long.
    """
    with reading(path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def is_file(path: Path) -> bool:
    """Whether there is such a file.

    Raises:
        DataError: If that cannot be known, see `exists`.
    """
    return exists(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether there is such a folder.

    Raises:
        DataError: If that cannot be known, see `exists`.
    """
    return exists(path) and path.is_dir()


def resolved(path: Path) -> Path:
    """The path without links and `..`; it need not exist.

    Raises:
        DataError: If its links lead in a circle, or a folder above it may not be entered.
    """
    try:
        with reading(path):
            return path.resolve()
    except RuntimeError as error:  # of Python before 3.13
        raise DataError(f"{path}: cannot be read ({error})") from error


def contents(folder: Path) -> Contents:
    """What lies in a folder, listed once, without asking after each file.

    Raises:
        DataError: If it is not there, is no folder, cannot be listed, or what is in it cannot be opened.
    """
    found = Contents([], [], [])
    with reading(folder, "not a folder that can be read"):
        with os.scandir(folder) as entries:
            for entry in entries:
                _list_of(entry, found).append(entry.name)
        (folder / "..").stat()  # a folder may be listed and yet not be entered
    return found


def file_names(folder: Path) -> set[str]:
    """The names of the files in a folder; none if there is no such folder.

    Raises:
        DataError: If it is no folder or cannot be read.
    """
    return set(contents(folder).files) if exists(folder) else set()  # whoever knows what should be in it says what is missing


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        DataError: If the file is missing, cannot be read or is not UTF-8 text.
    """
    with reading(path):
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 text ({error.reason})") from error


def _list_of(entry: os.DirEntry[str], found: Contents) -> list[str]:
    with reading(Path(entry.path)):
        try:
            return found.files if entry.is_file() else found.folders if entry.is_dir() else found.others
        except OSError as error:
            if error.errno != ELOOP:
                raise
            return found.others  # a link in a circle leads nowhere
