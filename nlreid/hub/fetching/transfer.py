"""The bytes of one version of a file at a URL, also where the connection breaks off: two versions are never put together.

The client's own way to go on after a break (`huggingface_hub.file_download.http_get`) does not ask whether the file is still
the same (RFC 9110, sections 13.1.5 and 14.4), so it cannot be used where no hash tells afterwards.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants
from huggingface_hub.utils import hf_raise_for_status, http_stream_backoff  # type: ignore[attr-defined]

from nlreid.errors import DownloadError, shorten
from nlreid.hub.fetching.client import http

logger = logging.getLogger(__name__)

AS_IT_IS = {"Accept-Encoding": "identity"}  # compressed on the way, its parts could not be put together
_BROKEN = (http.ConnectError, http.TimeoutException, http.ReadError, http.RemoteProtocolError)
_TRIES = 5  # without a byte more than before
_PAUSE = 1.0  # seconds, where a try brought nothing
_LARGEST = 50 * 10**9  # bytes; what is larger is not the file, and would fill the disk


class Version(NamedTuple):
    """What a server says about the file at a URL.

    Args:
        etag: Its strong ETag, which changes with every byte; empty if there is none.
        size: Bytes; `None` if it does not say.
    """

    etag: str
    size: int | None


def version_of(headers: Mapping[str, str]) -> Version:
    """What the headers of an answer say; nothing where a server compresses unasked: they are then about other bytes."""
    if _is_compressed(headers):
        return Version("", None)
    etag, size = headers.get("ETag", ""), headers.get("Content-Length", "")
    is_strong = re.fullmatch(r'"[\x21\x23-\x7e]+"', etag)
    return Version(etag if is_strong else "", int(size) if re.fullmatch("0*[1-9][0-9]{0,20}", size) else None)


def _is_compressed(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity") != "identity"


class Transfer:
    """A download into a part, whose name says which version of the file its bytes are of.

    Args:
        url: Where the file is.
        folder: Where the part is put.
        stem: What its name begins with.
        version: What the server says that it has.
        bar: Progress bar.
    """

    def __init__(self, url: str, folder: Path, stem: str, version: Version, bar: Any) -> None:
        self.url, self.folder, self.stem, self.version, self.bar = url, folder, stem, version, bar

    @property
    def part(self) -> Path:
        """The file for the bytes of this version."""
        return self.folder / f"{self.stem}.{sha256(self.version.etag.encode()).hexdigest()[:12]}.part"

    def run(self) -> None:
        """Receive the whole file.

        Raises:
            DownloadError: If the server announces more than any file of weights has.
            Exception: Of the client, if the connection breaks off again and again, or the server refuses.
        """
        failures = furthest = 0
        while True:
            begin = self._begin()
            if begin and begin == self.version.size:
                return self._show(begin)
            try:
                return self._receive(begin)
            except _BROKEN as error:
                reached = self._size()
                failures, furthest = (0, reached) if reached > max(begin, furthest) else (failures + 1, furthest)
                if failures > _TRIES:
                    raise
                logger.warning("%s: %s: %s; going on where it broke off", self.url, type(error).__name__, shorten(str(error)))
                time.sleep(_PAUSE if failures else 0)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _begin(self) -> int:
        """How much there is to be continued; what cannot be continued is removed."""
        etag, size = self.version
        begin = self._size() if etag and size is not None else 0
        if size is not None and begin > size:
            begin = 0
        self._remove_others(keep=begin > 0)
        return begin

    def _remove_others(self, keep: bool) -> None:
        for other in self.folder.glob(f"{escape(self.stem)}.*.part"):
            if other != self.part or not keep:
                other.unlink()

    def _receive(self, begin: int) -> None:
        headers = AS_IT_IS | ({"Range": f"bytes={begin}-", "If-Range": self.version.etag} if begin else {})
        timeout, again = constants.HF_HUB_DOWNLOAD_TIMEOUT, (408, 429)
        with http_stream_backoff(
            "GET", self.url, headers=headers, timeout=timeout, retry_on_exceptions=(), retry_on_status_codes=again
        ) as answer:
            if answer.status_code == 206 or (begin and answer.status_code == 416):
                self._check_continues(answer, begin)
            hf_raise_for_status(answer)
            if answer.status_code != 206:
                begin = 0
                self._take_version(answer)
            self._write(answer, begin)
        self._check_size()

    def _check_continues(self, answer: Any, begin: int) -> None:
        """Servers that do not know If-Range send a part of whatever they have now; nothing is then kept."""
        span, etag = answer.headers.get("Content-Range", ""), answer.headers.get("ETag")
        wanted = rf"bytes {begin}-[0-9]+/{self.version.size}"
        if not begin or not re.fullmatch(wanted, span) or etag != self.version.etag or _is_compressed(answer.headers):
            self.part.unlink(missing_ok=True)
            raise http.RemoteProtocolError("the server sent a part that does not continue what it sent before")

    def _take_version(self, answer: Any) -> None:
        """What is sent whole can be another version than was asked about, and its bytes belong under another name."""
        sent = version_of(answer.headers)
        if sent.size is None and sent.etag == self.version.etag and not _is_compressed(answer.headers):
            sent = self.version  # a length that was announced before holds where none is now
        if sent.size is not None and sent.size > _LARGEST:
            raise DownloadError(
                f"{self.url}: the server announces {sent.size} bytes, which no file of weights has, so it has something else "
                "there now; look for a newer version of nlreid, or give the path of a copy"
            )
        self.version = sent
        self._remove_others(keep=False)

    def _write(self, answer: Any, begin: int) -> None:
        self._show(begin)
        with self.part.open("ab") as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
                self.bar.update(len(chunk))

    def _check_size(self) -> None:
        there, size = self._size(), self.version.size
        if size is not None and there != size:
            raise http.RemoteProtocolError(f"the server sent {there} bytes and had announced {size}")

    def _show(self, received: int) -> None:
        self.bar.update(received - self.bar.n)
