"""What is remembered of an upstream file beside its converted form, so that a later change of either is noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from nlreid.errors import ChecksumError
from nlreid.hub.fetching.cache import written_whole


@dataclass(frozen=True)
class Record:
    """What a download was, and what became of it.

    Args:
        url: The published file.
        sha256: Of the published file.
        size: Of the published file, in bytes.
        converted: SHA-256 of the converted file.
        made_by: The converter and what it wrote beside the tensors, as a hash: another one makes the file anew.
        date: When, in UTC.
    """

    url: str
    sha256: str
    size: int
    converted: str
    made_by: str
    date: str


_KINDS = {"str": str, "int": int}


def read_record(path: Path) -> Record | None:
    """Read a record; `None` if there is none.

    Raises:
        ChecksumError: If it is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    kinds = {entry.name: _KINDS[str(entry.type)] for entry in fields(Record)}
    if not isinstance(content, Mapping) or {name: type(value) for name, value in content.items()} != kinds:
        raise _damaged(path, "fields are missing, unknown or of another type")
    return Record(**content)


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", "utf-8")


def _damaged(path: Path, why: str) -> ChecksumError:
    return ChecksumError(
        f"{path}: the record of a download's checksum is damaged ({' '.join(why.split())}); delete it if you trust what the "
        "publisher's server has now: the file is then fetched and recorded anew"
    )
