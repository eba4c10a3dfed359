"""The Hub client's errors in this library's words: what happened and what to do, in one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from huggingface_hub import constants, errors

from nlreid.errors import DownloadError, WeightsError, shorten

# httpx before version 2 of the client, httpx2 since
http: Any = import_module(errors.HTTPError.__module__.partition(".")[0])  # type: ignore[attr-defined]
_LOG_IN = "log in with 'hf auth login' or set HF_TOKEN"
_AGAIN = "wait a little and try again"
_OR_A_FILE = ", or fetch it elsewhere and give its path, or the folder that it is in as NLREID_WEIGHTS"
_MOVED = "look for a newer version of nlreid, or give the path of a copy"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Place:
    """Where files are put, for messages.

    Args:
        folder: The folder.
        variable: The environment variable that names another.
        of_the_hub: Whether the other side is the Hub, which knows logins, and not a publisher's server.
        fetching: Whether files come from there, and could come from elsewhere.
    """

    folder: Path
    variable: str
    of_the_hub: bool = False
    fetching: bool = True


def hub_cache(*, fetching: bool = True) -> Place:
    """The client's own cache."""
    return Place(Path(constants.HF_HUB_CACHE), "HF_HUB_CACHE", of_the_hub=True, fetching=fetching)


@contextmanager
def translated(what: str, place: Place, page: str = "") -> Generator[None]:
    """Calls of the client, whose errors become a `DownloadError`; only such calls belong inside.

    Args:
        what: What is fetched or written, for the message.
        place: Where files are put.
        page: Page of the repository, where terms of use can be accepted.

    Raises:
        DownloadError: If anything goes wrong; the client's own error is its cause. Ctrl-C goes through.
    """
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # the client raises its own, its HTTP library's, the system's, and bare ValueErrors
        raise DownloadError(f"{what}: {_explain(_root(error), place, page)}") from error


def _root(error: BaseException) -> BaseException:
    """The error behind one that only says that the cache could not help, either."""
    while type(error) in (errors.LocalEntryNotFoundError, ValueError, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _explain(error: BaseException, place: Place, page: str) -> str:
    # from the particular to the general: most of these classes are each other's relatives
    if isinstance(error, errors.HfHubHTTPError | http.HTTPStatusError):
        return _of_status(error, page, place.of_the_hub)
    if isinstance(error, errors.OfflineModeIsEnabled):
        advice = "run it once without that variable"
        return f"this needs a connection, and HF_HUB_OFFLINE forbids any; {advice}{_elsewhere(place)}"
    if isinstance(error, errors.FileMetadataError):
        return (
            "the server does not say which commit and which bytes it has, so nothing could be verified; "
            f"check HF_ENDPOINT (now {constants.ENDPOINT}), proxy and firewall"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return "not in the cache, and the server could not be asked; check the connection and try again"
    if isinstance(error, errors.HFValidationError):
        return f"not a name of the Hub ({_line(error)}); wanted is org/name"
    if isinstance(error, http.TooManyRedirects | http.UnsupportedProtocol | http.InvalidURL) or "location header" in str(error):
        return _of_address(error, place)
    if isinstance(error, http.HTTPError):
        return _of_connection(error, place)
    return _of_system(error, place)


def _of_status(error: BaseException, page: str, of_the_hub: bool) -> str:
    response = error.response  # type: ignore[attr-defined]
    status = f"{response.status_code} {shorten(response.reason_phrase)}"
    if isinstance(error, errors.GatedRepoError):
        return f"access is granted on request only ({status}); accept the terms at {page or response.url} and {_LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no such repository, or a private one ({status}); check the spelling, and for a private one {_LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"no such revision ({status}); wanted is a branch, a tag or a commit of 40 hex digits"
    if isinstance(error, errors.EntryNotFoundError):
        return f"no such file in the repository ({status}); check the spelling, and whether nlreid.push_to_hub wrote it"
    if isinstance(error, errors.DisabledRepoError):
        return f"the repository was disabled ({status}); ask its owners"
    return f"the server answered {status}; {_advice(response.status_code, of_the_hub)}"


def _advice(status: int, of_the_hub: bool) -> str:
    if status >= 500:
        return f"the trouble is its own: {_AGAIN}"
    if status in _ADVICE:
        return _ADVICE[status]
    if of_the_hub:
        return _HUB_ADVICE.get(status, f"check HF_ENDPOINT (now {constants.ENDPOINT})")
    return f"it does not give this file out any more: {_MOVED}"


_ADVICE = {
    407: "the proxy asks for a password: put it into HTTPS_PROXY",
    408: _AGAIN,
    429: f"it had too many requests: {_AGAIN}",
}
_HUB_ADVICE = {
    401: f"it does not know who asks, or does not accept the token: {_LOG_IN}",
    403: f"it gives no permission: {_LOG_IN}, as somebody who has it",
    412: "somebody else wrote at the same time: try again",
}


def _elsewhere(place: Place) -> str:
    return _OR_A_FILE if place.fetching else ""


def _of_address(error: BaseException, place: Place) -> str:
    wrong = f"the address leads in a circle, or to what is no address of the web ({_line(error)})"
    if place.of_the_hub:
        return f"{wrong}; check HF_ENDPOINT (now {constants.ENDPOINT}) and proxy{_elsewhere(place)}"
    return f"{wrong}; {_MOVED}"


def _of_connection(error: BaseException, place: Place) -> str:
    if isinstance(error, http.ConnectError | http.ProxyError | http.ConnectTimeout):
        where = f"network, proxy and HF_ENDPOINT (now {constants.ENDPOINT})" if place.of_the_hub else "network and proxy"
        return f"no connection ({_line(error)}); check {where}, and try again{_elsewhere(place)}"
    if isinstance(error, http.TimeoutException):
        return "the server stopped answering; try again, with a larger HF_HUB_DOWNLOAD_TIMEOUT (seconds) where it is slow"
    return f"the connection broke off ({_line(error)}); try again"


def _of_system(error: BaseException, place: Place) -> str:
    if "too large to be downloaded using the regular download method" in str(error):
        # which is the client's way to say so; its advice to install hf_xet helps no file of weights
        return f"the server announces more bytes than any file of weights has; check HF_ENDPOINT (now {constants.ENDPOINT})"
    if "xet" in str(error).lower():
        return f"the transfer through Xet failed ({_line(error)}); HF_HUB_DISABLE_XET=1 does without, as most mirrors do"
    number = _errno(error)
    if number in _FULL:
        return (
            f"no space left for it in {place.folder} ({os.strerror(number)}); free some, "
            f"or let {place.variable} name a folder elsewhere"
        )
    if number in _FORBIDDEN and _concerns(error, place.folder):
        return f"{place.folder} may not be written to; let {place.variable} name a folder that may"
    if "Consistency check failed" in str(error):
        return "the server sent fewer or more bytes than it had announced; try again"
    if number is not None:
        return f"the system refused ({_line(error)}); check the file that it names, and {place.folder}"
    return f"failed ({_line(error)}); try again"


def _concerns(error: BaseException, folder: Path) -> bool:
    """Whether an error of the system is about a folder, what is in it or what it is in; not, say, about the token's file."""
    if not isinstance(getattr(error, "filename", None), str):
        return True
    # Path.resolve() raises where links go in a circle
    named, folder = Path(os.path.realpath(error.filename)), Path(os.path.realpath(folder))  # type: ignore[attr-defined]
    return named.is_relative_to(folder) or folder.is_relative_to(named)


def _errno(error: BaseException) -> int | None:
    """The system's error number, also where code in Rust (safetensors, hf_xet) gives it as text only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    number = re.search(r"(?:\(os error |Os \{ code: )(\d+)", str(error))
    return int(number[1]) if number else None


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
