"""The library's own cache: where it lies, one process at a time in a place of it, files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from nlreid.hub.fetching.client import Place, translated
from nlreid.hub.fetching.folders import named_folder

VARIABLE = "NLREID_CACHE"


def cache() -> Place:
    """The folder of the environment variable NLREID_CACHE, else `nlreid` in the user's folder for caches (XDG_CACHE_HOME).

    Raises:
        DownloadError: If there can be no such folder.
    """
    if own := os.environ.get(VARIABLE):
        return Place(named_folder(VARIABLE, own), VARIABLE)
    shared = os.environ.get("XDG_CACHE_HOME")
    folder = named_folder("XDG_CACHE_HOME", shared, VARIABLE) if shared else named_folder("HOME", "~/.cache", VARIABLE)
    return Place(folder / "nlreid", VARIABLE)


@contextmanager
def locked(name: str) -> Generator[Place]:
    """The cache, with a name in it for this process alone; other processes that ask for the name wait.

    Args:
        name: What is worked on.

    Raises:
        DownloadError: If the cache cannot be written.
    """
    place = cache()
    with ExitStack() as held:
        with translated(name, place):
            place.folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(WeakFileLock(place.folder / f"{name}.lock"))
        yield place


@contextmanager
def written_whole(path: Path) -> Generator[Path]:
    """A temporary name to write a file under, which becomes `path` at the end, unless something went wrong.

    Whoever writes holds the lock: the temporary name is always the same, so that a killed process leaves one at most.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.chmod(path.parent.stat().st_mode & 0o666)  # a cache can be shared, and safetensors writes for the owner alone
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the new name must not reach the disk before the content
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
