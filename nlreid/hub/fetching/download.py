"""Files at plain URLs: downloaded whole, or from where an interrupted download of the same version of the file ended."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from hashlib import sha256
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import http_backoff  # type: ignore[attr-defined]

from nlreid.hub.fetching.client import Place, translated

_AS_IT_IS = {"Accept-Encoding": "identity"}  # compressed on the way, its parts could not be put together


@dataclass(frozen=True)
class _Version:
    """What a server says about the file at a URL, before it is asked for its bytes.

    Args:
        etag: Its strong ETag, which changes with every byte; empty if there is none.
        size: Bytes; `None` if it does not say.
    """

    etag: str
    size: int | None


def download(url: str, place: Place, stem: str, shown: str) -> Path:
    """Download a file; whoever asks must hold a lock on `stem`.

    No token is sent, whatever the user is logged in to. A part that an interrupted download left is continued where the server
    still has the same version of the file (its ETag is part of the name) and knows ranges; otherwise it is removed.

    Args:
        url: Where the file is.
        place: Where it is put.
        stem: What its name there begins with.
        shown: What is downloaded, beside the progress bar.

    Returns:
        The file, `<stem>.<version>.part`: whole, unverified; it remains until it is removed.

    Raises:
        DownloadError: If it cannot be fetched or written.
    """
    with translated(url, place):
        version = _ask(url)
        part = place.folder / f"{stem}.{sha256(version.etag.encode()).hexdigest()[:12]}.part"
        _remove_others(part, stem, version)
        with part.open("ab") as file:
            begin = file.tell()
            # the server sends everything, and http_get starts anew, where the file has changed since it was asked
            headers = _AS_IT_IS | ({"If-Range": version.etag} if begin else {})
            http_get(url, file, resume_size=begin, headers=headers, expected_size=version.size, displayed_filename=shown)
    return part


def remove_parts(place: Place, stem: str) -> None:
    """Remove whatever downloads of `stem` have left.

    Raises:
        DownloadError: If that is not possible.
    """
    with translated(stem, place):
        for part in place.folder.glob(f"{escape(stem)}.*.part"):
            part.unlink()


def _ask(url: str) -> _Version:
    """Ask for the headers only; a server that has no answer to that is asked for the file all the same."""
    answer = http_backoff("HEAD", url, max_retries=2, headers=_AS_IT_IS, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    if not answer.is_success:
        return _Version("", None)
    etag = answer.headers.get("ETag", "")
    size = answer.headers.get("Content-Length", "")
    return _Version("" if etag.startswith("W/") else etag, int(size) if size.isdigit() and int(size) else None)


def _remove_others(part: Path, stem: str, version: _Version) -> None:
    resumable = bool(version.etag) and version.size is not None
    for other in part.parent.glob(f"{escape(stem)}.*.part"):
        if other != part or not resumable or other.stat().st_size > (version.size or 0):
            other.unlink()
