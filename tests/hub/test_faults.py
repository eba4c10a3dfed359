"""Whatever goes wrong on the way, the outcome is the right weights or one clear error, and the next attempt is not spoilt."""

import hashlib
import pathlib
import tempfile
import threading
from pathlib import Path

import huggingface_hub.utils._http as client_http
import pytest
from checkpoint import REPO, entry_at, on_the_hub
from routes import HubRoute, UpstreamRoute, assert_refused, assert_right, offline, start, until, unwritable

from nlreid.errors import ChecksumError, DownloadError

# --- what a server can answer


def repo_missing(route):
    files = route.hub.repos.pop(REPO)
    assert_refused(route, DownloadError, REPO, "no such repository, or a private one (404 Not Found)", "check the spelling")
    route.hub.repos[REPO] = files


def file_missing(route):
    if route.name == "hub":
        del route.hub.repos[REPO]
        route.hub.add(REPO, {"config.json": on_the_hub()["config.json"]})
        assert_refused(route, DownloadError, REPO, "model.safetensors: no such file", "(404 Not Found)", "check the spelling")
        route.hub.add(REPO, on_the_hub())
    else:
        content = route.hub.files.pop("walker.pth")
        assert_refused(route, DownloadError, route.what, "404 Not Found", "give the path of a copy")
        route.hub.files["walker.pth"] = content


def gated(route):
    route.hub.fail("*", REPO, "gated")
    page = f"{route.hub.url}/{REPO}"
    assert_refused(route, DownloadError, REPO, "(403 Forbidden)", f"accept the terms at {page}", "hf auth login", "HF_TOKEN")


def answers(status, *on_the_hub, upstream):
    def fault(route):
        route.hub.fail("*", "resolve|cdn|files", status)
        assert_refused(route, DownloadError, route.what, *(on_the_hub if route.name == "hub" else (upstream,)))

    return fault


# --- what a connection can do


def refused_connection(route):
    client_http.close_session()
    with route.hub.refusing():
        assert_refused(
            route, DownloadError, route.what, "no connection", "ConnectError", "check network", "and try again", "give its path"
        )


def reset(route):
    for method, paths in (("HEAD", ""), ("GET", route.body)):
        route.hub.faults.clear()
        route.hub.fail(method, paths, "reset")
        assert_refused(route, DownloadError, route.what, "the connection broke off", "try again")


def truncated(route):
    route.hub.fail("GET", route.body, "truncate")
    assert_refused(route, DownloadError, route.what, "the connection broke off", "try again")
    assert route.cached() == []
    route.hub.faults[0].times = 1
    assert_right(route.get().path)  # the client has tried again by itself


# --- what bytes can be


def tampered(route):
    sha256 = hashlib.sha256(route.content).hexdigest()
    if route.name == "upstream":
        route.entry = entry_at(route.what, sha256=sha256)
    route.hub.fail("GET", route.body, "tamper")
    assert_refused(route, ChecksumError, route.what, "its sha256 is", f"not {sha256}, twice", "try another network")
    assert len(route.hub.asked("GET", route.body)) == 2
    assert [path for path in route.cache.rglob("*") if path.is_file() and path.stat().st_size == len(route.content)] == []
    assert [path.name for path in route.cache.rglob("*") if path.is_symlink()] == ["config.json"] * (route.name == "hub")
    route.hub.faults[0].times = 1
    assert_right(route.get().path)  # repaired


def poisoned(route):
    right = route.get().path.read_bytes()
    for spoilt in (right[:-1] + b"!", right[:-1], b""):
        route.cached()[0].write_bytes(spoilt)
        assert route.get().path.read_bytes() == right
    route.cached()[0].write_bytes(right[:-1] + b"!")
    with offline(route.monkeypatch):
        assert_refused(route, ChecksumError, "walker", "damaged", "HF_HUB_OFFLINE forbids any")


# --- what a disk can do


def no_space(route):
    opened = pathlib.Path.open

    def on_a_full_disk(path, mode="r", *arguments, **more):
        downloads = path.name.endswith((".incomplete", ".part")) and mode in ("wb", "ab")
        return opened(Path("/dev/full"), "wb") if downloads else opened(path, mode, *arguments, **more)

    with route.monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "open", on_a_full_disk)
        assert_refused(route, DownloadError, route.what, "no space left", str(route.cache), f"let {route.variable} name")
    assert route.cached() == []


def read_only(route):
    with tempfile.TemporaryDirectory() as name:  # the folders of pytest are closed to anybody else
        Path(name).chmod(0o755)
        filled, empty = Path(name, "filled"), Path(name, "empty")
        filled.mkdir()
        empty.mkdir()
        route.move_cache(filled)
        right = route.get().path.read_bytes()
        with unwritable(filled):
            assert route.get().path.read_bytes() == right
        route.move_cache(empty)
        with unwritable(empty):
            assert_refused(route, DownloadError, f"{empty} may not be written to", f"let {route.variable} name")
        assert_right(route.get().path)


# --- what processes can do


def killed(route):
    half, over = threading.Event(), threading.Event()
    route.hub.fail("GET", route.body, "stall", then=lambda: (half.set(), over.wait(60)))
    with start(route) as child:
        try:
            assert half.wait(60), child.communicate()
            if route.name == "upstream":
                until(lambda: sum(route.parts()) > 20_000)
        finally:
            child.kill()
            child.communicate()
            over.set()
    assert child.returncode < 0
    assert route.cached() == []
    route.hub.faults.clear()
    route.hub.log.clear()
    parts = route.parts() if route.name == "upstream" else []
    assert_right(route.get().path)
    if parts:  # the Hub's client begins anew
        assert route.downloads() == [(f"bytes={parts[0]}-", 206)]


def two_processes(route):
    asks = ("HEAD", r"model\.safetensors$") if route.name == "hub" else ("GET", "^/ready$")
    route.hub.fail("GET", route.body, "hold", then=lambda: route.hub.wait_for(*asks, 2))  # neither is done before both began
    with start(route) as first, start(route) as second:
        for child in (first, second):
            out, errors = child.communicate(timeout=120)
            assert child.returncode == 0, errors
            assert_right(Path(out))
    assert len(route.hub.asked("GET", route.body)) == 1


FAULTS = {
    "404 repo": repo_missing,
    "404 file": file_missing,
    "gated": gated,
    "401": answers(401, "answered 401 Unauthorized", "hf auth login", upstream="give the path of a copy"),
    "429": answers(429, "429 Too Many Requests", "wait a little and try again", upstream="wait a little and try again"),
    "500": answers(500, "500 Internal Server Error", "wait a little and try again", upstream="the trouble is its own: wait"),
    "refused connection": refused_connection,
    "reset": reset,
    "truncated body": truncated,
    "same-size tampered body": tampered,
    "poisoned cache": poisoned,
    "no space left": no_space,
    "read-only cache": read_only,
    "killed in the middle of a download": killed,
    "two processes at once": two_processes,
}
ONLY_ON_THE_HUB = ("404 repo", "gated")


@pytest.mark.parametrize("name", FAULTS)
def test_fault(hub, monkeypatch, name):
    play(HubRoute(hub, monkeypatch), name)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ONLY_ON_THE_HUB])
def test_upstream_fault(hub, monkeypatch, name):
    play(UpstreamRoute(hub, monkeypatch), name)


def play(route, name):
    FAULTS[name](route)
    route.hub.faults.clear()
    assert_right(route.get().path)
