"""Files at plain URLs: downloaded whole, or from where an interrupted download of the same version of the file ended."""

from __future__ import annotations

from glob import escape
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.utils import http_backoff, tqdm  # type: ignore[attr-defined]

from nlreid.hub.fetching.client import Place, translated
from nlreid.hub.fetching.transfer import AS_IT_IS, Transfer, Version, version_of


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
        with tqdm(desc=shown[-40:], unit="B", unit_scale=True, total=version.size, disable=None) as bar:  # type: ignore[no-untyped-call]
            transfer = Transfer(url, place.folder, stem, version, bar)
            transfer.run()
    return transfer.part


def remove_parts(place: Place, stem: str) -> None:
    """Remove whatever downloads of `stem` have left.

    Raises:
        DownloadError: If that is not possible.
    """
    with translated(stem, place):
        for part in place.folder.glob(f"{escape(stem)}.*.part"):
            part.unlink()


def _ask(url: str) -> Version:
    """Ask for the headers only; a server that has no answer to that is asked for the file all the same."""
    answer = http_backoff("HEAD", url, max_retries=2, headers=AS_IT_IS, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    return version_of(answer.headers) if answer.is_success else Version("", None)
