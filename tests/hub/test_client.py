"""Whatever the client raises becomes one line of this library's, with the client's error as its cause."""

import errno
import os
import socket
from importlib import import_module
from pathlib import Path

import pytest
from huggingface_hub import constants, errors

from nlreid.errors import ChecksumError, DownloadError
from nlreid.hub.fetching.client import Place, hub_cache, translated

http = import_module(errors.HTTPError.__module__.partition(".")[0])
PAGE = "https://hub.example/people/walker"


def answer(status, kind=errors.HfHubHTTPError):
    request = http.Request("GET", "https://hub.example/file")
    return kind(f"{status} Client Error.\n\nDetails\nand more", response=http.Response(status, request=request))


def caused(error, cause):
    error.__cause__ = cause
    return error


def line_for(error, of_the_hub=True):
    place = Place(Path("/folder"), "THE_CACHE", of_the_hub)
    with pytest.raises(DownloadError) as caught, translated("walker", place, PAGE):
        raise error
    assert caught.value.__cause__ is error
    line = str(caught.value)
    assert line.startswith("walker: ")
    assert "\n" not in line
    return line


CASES = [
    (
        answer(401, errors.RepositoryNotFoundError),
        "no such repository, or a private one (401 Unauthorized); check the spelling",
    ),
    (answer(403, errors.GatedRepoError), f"on request only (403 Forbidden); accept the terms at {PAGE} and log in"),
    (answer(404, errors.RevisionNotFoundError), "no such revision (404 Not Found); wanted is a branch, a tag or a commit"),
    (answer(404, errors.RemoteEntryNotFoundError), "no such file in the repository (404 Not Found); check the spelling"),
    (answer(403, errors.DisabledRepoError), "the repository was disabled (403 Forbidden); ask its owners"),
    (answer(400, errors.BadRequestError), "answered 400 Bad Request; check HF_ENDPOINT"),
    (
        answer(401),
        "answered 401 Unauthorized; it does not know who asks, or does not accept the token: log in with 'hf auth login'",
    ),
    (answer(403), "answered 403 Forbidden; it gives no permission: log in"),
    (answer(412), "answered 412 Precondition Failed; somebody else wrote at the same time: try again"),
    (answer(429), "answered 429 Too Many Requests; it had too many requests: wait a little and try again"),
    (answer(503), "answered 503 Service Unavailable; the trouble is its own: wait a little and try again"),
    (answer(599), "answered 599 ; the trouble is its own"),
    (errors.OfflineModeIsEnabled("no"), "HF_HUB_OFFLINE forbids any; run it once without that variable"),
    (errors.FileMetadataError("no"), "does not say which commit and which bytes it has"),
    (errors.LocalEntryNotFoundError("no"), "not in the cache, and the server could not be asked; check the connection"),
    (errors.HFValidationError("Repo id\nmust"), "not a name of the Hub (HFValidationError: Repo id must); wanted is org/name"),
    (caused(errors.LocalEntryNotFoundError("no"), answer(500)), "answered 500 Internal Server Error"),
    (
        caused(ValueError("no"), caused(errors.LocalEntryNotFoundError("no"), errors.OfflineModeIsEnabled("no"))),
        "HF_HUB_OFFLINE",
    ),
    (http.ConnectError("[Errno 111]"), "no connection (ConnectError: [Errno 111]); check network, proxy and HF_ENDPOINT (now "),
    (http.ProxyError("no"), "no connection (ProxyError: no); check network, proxy"),
    (http.ConnectTimeout("no"), "no connection (ConnectTimeout: no); check network, proxy"),
    (http.TooManyRedirects("no"), "the address leads in a circle, or to what is no address of the web (TooManyRedirects: no)"),
    (http.UnsupportedProtocol("ftp"), "no address of the web (UnsupportedProtocol: ftp); check HF_ENDPOINT (now "),
    (http.InvalidURL("no"), "no address of the web (InvalidURL: no); check HF_ENDPOINT (now "),
    (
        ValueError("too large to be downloaded using the regular download method. Install `hf_xet`"),
        "announces more bytes than any",
    ),
    (http.ReadTimeout("no"), "the server stopped answering; try again, with a larger HF_HUB_DOWNLOAD_TIMEOUT"),
    (http.ReadError("no"), "the connection broke off (ReadError: no); try again"),
    (http.RemoteProtocolError("no"), "the connection broke off (RemoteProtocolError: no); try again"),
    (
        OSError(errno.ENOSPC, "full"),
        "no space left for it in /folder (No space left on device); free some, or let THE_CACHE name",
    ),
    (OSError(errno.EDQUOT, "full"), "no space left for it in /folder (Disk quota exceeded)"),
    (Exception("I/O error: full (os error 28)"), "no space left for it in /folder"),
    (Exception('IoError(Os { code: 28, kind: StorageFull, message: "full" })'), "no space left for it in /folder"),
    (OSError(errno.EROFS, "no", "/folder/blobs/x"), "/folder may not be written to; let THE_CACHE name a folder that may"),
    (OSError(errno.EACCES, "no", "/"), "/folder may not be written to"),  # which would have to be made in it
    (OSError(errno.EACCES, "no", "/home/token"), "the system refused (PermissionError: [Errno 13] no: '/home/token'); check"),
    (OSError(errno.EIO, "bad disk"), "the system refused (OSError: [Errno 5] bad disk); check the file"),
    (OSError("Consistency check failed: file should\nbe"), "sent fewer or more bytes than it had announced; try again"),
    (RuntimeError("strange\nthings"), "failed (RuntimeError: strange things); try again"),
]


@pytest.mark.parametrize(("error", "words"), CASES, ids=lambda value: type(value).__name__)
def test_the_line(error, words):
    assert words in line_for(error)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_publishers_do_not_know_logins(status):
    line = line_for(answer(status), of_the_hub=False)
    assert "it does not give this file out any more: look for a newer version of nlreid, or give the path of a copy" in line


def test_ctrl_c_and_own_errors_go_through():
    for error in (KeyboardInterrupt(), ChecksumError("ours")):
        with pytest.raises(type(error)) as caught, translated("walker", hub_cache()):
            raise error
        assert caught.value is error


def test_the_place_is_the_one_that_the_client_uses(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/elsewhere")
    assert hub_cache() == Place(Path("/elsewhere"), "HF_HUB_CACHE", of_the_hub=True)


def test_no_test_reaches_further_than_this_machine():
    with pytest.raises(OSError, match="tests do not use the network"):
        socket.create_connection(("192.0.2.1", 80))
    assert os.environ["HF_HUB_OFFLINE"] == "1"
