"""Files of Hub repositories, in the client's cache, verified each time that they are asked for."""

from __future__ import annotations

import logging
import os
import re
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

from nlreid.errors import ChecksumError, DownloadError, WeightsError, shorten
from nlreid.hub.fetching.cache import cache
from nlreid.hub.fetching.client import hub_cache, translated
from nlreid.hub.fetching.verify import Verified, verify, wanted_of_etag

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepositoryFile:
    """A file of a repository on the Hub.

    Args:
        repo: `org/name`.
        file: Its name in the repository.
        revision: A commit, branch or tag; `None` is the main branch.
        sha256: What its bytes must have, where that is known from elsewhere.
    """

    repo: str
    file: str
    revision: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        return f"hf-hub:{self.repo}{'@' + self.revision if self.revision else ''} {self.file}"


@dataclass(frozen=True)
class Obtained:
    """A verified file on this disk.

    Args:
        path: The file.
        sha256: Of its bytes.
        commit: The commit that it is of.
    """

    path: Path
    sha256: str
    commit: str


def obtain(wanted: RepositoryFile) -> Obtained:
    """Get a file of a repository; of a commit that is in the cache already, without a request.

    The client does not verify what it downloads, let alone what lies in its cache. Here both are, against the name of the blob,
    which is the file's SHA-256 (large files) or its git hash (small ones). Bytes that are wrong are fetched anew, once.

    Args:
        wanted: Which file.

    Raises:
        DownloadError: If it can be had neither from the Hub nor from the cache.
        ChecksumError: If its bytes are wrong and stay so; they do not stay in the cache.
    """
    path = _download(wanted)
    pinned = replace(wanted, revision=_commit(wanted, path))
    found = _verify(pinned, path)
    if found.wrong:
        logger.warning("%s: %s; fetching it anew", pinned, found.wrong)
        path, found = _repair(pinned, path, found.wrong)
    return Obtained(path, found.sha256, str(pinned.revision))


def _download(wanted: RepositoryFile, force: bool = False) -> Path:
    with _asking(wanted):
        path = hf_hub_download(
            wanted.repo,
            wanted.file,
            revision=wanted.revision,
            force_download=force,
            library_name="nlreid",
            library_version=version("nlreid"),
        )
    return Path(path)


def _commit(wanted: RepositoryFile, path: Path) -> str:
    """The commit that the client took the file for, which is what the server said: never another than was asked for."""
    commit = path.parents[wanted.file.count("/")].name
    asked, advice = wanted.revision or "", f"check HF_ENDPOINT (now {constants.ENDPOINT})"
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise DownloadError(f"{wanted}: the server names no commit of 40 hex digits but '{shorten(commit)}'; {advice}")
    if re.fullmatch("[0-9a-fA-F]{40}", asked) and asked.lower() != commit:
        raise DownloadError(f"{wanted}: the server has a file of another commit, {commit}, and not of this one; {advice}")
    return commit


def _repair(pinned: RepositoryFile, path: Path, wrong: str) -> tuple[Path, Verified]:
    _discard(pinned, path)
    try:
        path = _download(pinned, force=True)
        _commit(pinned, path)
        found = _verify(pinned, path)
    except DownloadError as error:
        raise ChecksumError(
            f"{pinned}: what lay in the cache was damaged ({wrong}), and could not be fetched anew: {error}"
        ) from error
    if found.wrong:
        _discard(pinned, path)
        raise ChecksumError(
            f"{pinned}: {found.wrong}, twice; something changes it on its way from {constants.ENDPOINT}: "
            "try another network or another HF_ENDPOINT, and tell its publishers"
        )
    return path, found


def _discard(pinned: RepositoryFile, path: Path) -> None:
    with suppress(OSError):  # where the cache cannot be written it stays, and is refused by every later load
        # without links the file itself: the client would leave it, told to download or not
        Path(os.path.realpath(path)).unlink(missing_ok=True)
        path.unlink(missing_ok=True)  # the link, which would point nowhere
        _note(pinned).unlink(missing_ok=True)  # it could be what is damaged


def _verify(pinned: RepositoryFile, path: Path) -> Verified:
    if pinned.sha256 is not None:
        return verify(path, {"sha256": pinned.sha256})
    etag = path.readlink().name if path.is_symlink() else _etag(pinned)  # the first hop; behind it can be a shared store
    wanted = wanted_of_etag(etag)
    if wanted is None:
        raise WeightsError(
            f"{pinned}: {constants.ENDPOINT} gives the ETag '{shorten(etag)}', no hash, so its bytes cannot be verified; "
            "use another HF_ENDPOINT, or download it and give its path"
        )
    return verify(path, wanted)


def _etag(pinned: RepositoryFile) -> str:
    """The ETag of a file in a cache without symbolic links: as noted before, so that it loads offline, or as the Hub says."""
    note = _note(pinned)
    with suppress(OSError):  # what cannot be read is asked for
        noted = note.read_text("utf-8", "replace")
        if wanted_of_etag(noted):
            return noted
    with _asking(pinned):
        url = hf_hub_url(pinned.repo, pinned.file, revision=pinned.revision)
        etag = get_hf_file_metadata(url, library_name="nlreid", library_version=version("nlreid")).etag or ""
    with suppress(OSError):  # without a place for the note, the server is asked each time
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(etag, "utf-8")
    return etag


def _note(pinned: RepositoryFile) -> Path:
    return cache().folder / "hub" / pinned.repo / str(pinned.revision) / f"{pinned.file}.etag"


def _asking(wanted: RepositoryFile) -> AbstractContextManager[None]:
    return translated(str(wanted), hub_cache(), page=f"{constants.ENDPOINT}/{wanted.repo}")
