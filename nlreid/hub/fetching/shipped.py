"""The checkpoints that are a part of the library: files beside the table of weights."""

from __future__ import annotations

from pathlib import Path

from nlreid.errors import ChecksumError, WeightsError
from nlreid.hub.fetching.verify import verify, wanted_of
from nlreid.hub.table.manifest import Entry, weights_folder

REPAIR = "install the same version of nlreid again, with pip's --force-reinstall"


def shipped_file(entry: Entry) -> tuple[Path, str]:
    """The file of an entry that is shipped, verified, and its SHA-256.

    Raises:
        ChecksumError: If its bytes are not those that were shipped.
        WeightsError: If it is not there, or cannot be read.
    """
    path = weights_folder() / f"{entry.name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"{path}: not there; {entry.name} is a part of nlreid, and this installation lacks it: {REPAIR}")
    found = verify(path, wanted_of(entry.checksums))
    if found.wrong:
        raise ChecksumError(f"{path}: {found.wrong}; it was changed or damaged after it was installed: {REPAIR}")
    return path, found.sha256
