"""Whether a file's bytes are those that were published: SHA-256, SHA-1, git's SHA-1 of a blob, size."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from nlreid.errors import WeightsError
from nlreid.hub.table.manifest import Checksums

_WORDS = {"sha256": "sha256", "sha256_prefix": "sha256", "sha1": "sha1", "git": "sha1 as a git blob", "size": "size"}


class Verified(NamedTuple):
    """What was found.

    Args:
        sha256: The file's SHA-256.
        size: Its size in bytes.
        wrong: What is not as it should be; empty if nothing.
    """

    sha256: str
    size: int
    wrong: str


def wanted_of(checksums: Checksums) -> dict[str, str | int]:
    """What is known of `checksums`, for `verify`."""
    return {kind: value for kind, value in asdict(checksums).items() if value is not None}


def wanted_of_etag(etag: str) -> dict[str, str | int] | None:
    """What a Hub file's ETag, which is also the name of its blob in the client's cache, says of its bytes.

    >>> wanted_of_etag("0123456789abcdef0123456789abcdef01234567")
    {'git': '0123456789abcdef0123456789abcdef01234567'}

    Returns:
        For `verify`; `None` if it is neither the SHA-256 of a large file nor the git hash of a small one.
    """
    kind = {64: "sha256", 40: "git"}.get(len(etag))
    return {kind: etag} if kind and re.fullmatch("[0-9a-f]+", etag) else None


def verify(path: Path, wanted: Mapping[str, str | int]) -> Verified:
    """Compare a file with what is known about it.

    Args:
        path: The file.
        wanted: By kind: `sha256`, `sha256_prefix`, `sha1`, `git` (SHA-1 of `blob <size>`, a zero byte and the content), `size`.

    Raises:
        WeightsError: If the file cannot be read.
    """
    found = _measure(path, wanted)
    wrong = [
        f"its {_WORDS[kind]} is {found[kind]}, not {value}"
        for kind, value in wanted.items()
        if str(found[kind]) != str(value).lower()
    ]
    return Verified(str(found["sha256"]), int(found["size"]), " and ".join(wrong))


def _measure(path: Path, wanted: Mapping[str, str | int]) -> dict[str, str | int]:
    hashes = {"sha256": hashlib.sha256()}
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            hashes |= {"sha1": hashlib.sha1()} if "sha1" in wanted else {}
            hashes |= {"git": hashlib.sha1(b"blob %d\0" % size)} if "git" in wanted else {}
            while chunk := file.read(1 << 20):
                for entry in hashes.values():
                    entry.update(chunk)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    found: dict[str, str | int] = {kind: entry.hexdigest() for kind, entry in hashes.items()}
    prefix = hashes["sha256"].hexdigest()[: len(str(wanted.get("sha256_prefix", "")))]
    return found | {"sha256_prefix": prefix, "size": size}
