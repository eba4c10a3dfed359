"""The archive that a file of `torch.save` is: checked before torch opens it, which takes on trust what the archive says.

Archives are not compressed, so that none is larger than its file. In the pickle, storages are named with the count of their
numbers: torch 2.6 makes each as large as that, over a record that may be smaller, and reads memory that is not the file's.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Iterator, Mapping
from pickle import UnpicklingError
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile

from nlreid.errors import WeightsError, shorten

_BYTES = {
    **dict.fromkeys(("ComplexDouble",), 16),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Char", "Byte", "Bool", "Untyped", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
}
_VALUES = ("BINUNICODE", "GLOBAL", "BININT", "BININT1", "BININT2", "LONG1")
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")


def check_archive(file: BinaryIO) -> None:
    """Refuse an archive that `torch.save` did not write, or whose storages are larger than their records.

    Args:
        file: The file, wherever it stands.

    Raises:
        WeightsError: If it is another archive.
        UnpicklingError: If its storages are not what it says of them. A damaged one can raise other errors as well.
    """
    with ZipFile(file) as archive:
        records = _records(archive)
        problem = _problem(archive, records, os.fstat(file.fileno()).st_size)
        if problem:
            raise WeightsError(f"{file.name}: {problem}")
        name = next(name for name in archive.namelist() if name.partition("/")[2] == "data.pkl")
        content = archive.read(name)
    for key, size in _storages(content):
        if size != records.get(f"data/{key}"):
            raise UnpicklingError(f"it says of its storage '{shorten(str(key))}' another size than that has")


def _records(archive: ZipFile) -> dict[str, int]:
    """Sizes of the records, by name without the archive's own, which stands before each."""
    return {entry.filename.partition("/")[2]: entry.file_size for entry in archive.infolist()}


def _problem(archive: ZipFile, records: Mapping[str, int], size: int) -> str:
    entries = archive.infolist()
    if "constants.pkl" in records or any(name.startswith("code/") for name in records):
        return "a TorchScript program, not a file of weights: load it with torch.jit.load, and save its state_dict()"
    if any(entry.compress_type != ZIP_STORED for entry in entries) or sum(entry.file_size for entry in entries) > size:
        return "a compressed archive, and those of torch.save never are: if it holds a file of weights, unpack it first"
    if "data.pkl" not in records:
        return "an archive of zip, and not one of torch.save: if it holds a file of weights, unpack it first"
    if len({name.lower() for name in records}) < len(entries):  # torch finds them without regard to case
        return "a damaged archive: it has several records of one name"
    return ""


def _storages(content: bytes) -> Iterator[tuple[str, int]]:
    """Each storage that a pickle asks for: its key, and its size in bytes.

    `torch.save` names one by a tuple of five values, each of which stands there or was remembered; anything else is refused.
    """
    memo: dict[Any, Any] = {}
    values: list[Any] = []
    last: Any = None
    for code, argument, _ in pickletools.genops(content):
        if code.name == "BINPERSID":
            yield _storage(values)
        if code.name in _PUTS:
            memo[argument] = last  # what it was of any other kind is None, which no storage is made of
            continue
        last = argument if code.name in _VALUES else memo.get(argument) if code.name in _GETS else None
        if code.name == "MARK":
            values = []
        else:
            values.append(code.name if code.name == "TUPLE" else last)


def _storage(values: list[Any]) -> tuple[str, int]:
    if len(values) == 6:
        word, kind, key, place, count, end = values
        name = str(kind).rpartition(" ")[2].removesuffix("Storage")
        plain = isinstance(key, str) and isinstance(place, str) and type(count) is int
        if (word, end) == ("storage", "TUPLE") and plain and name in _BYTES:
            return key, count * _BYTES[name]
    raise UnpicklingError("it asks for a storage in a form that is not known")
