"""The two ways to a checkpoint, with what the tests ask of both."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import checkpoint
import pytest
from huggingface_hub import constants

import nlreid
from nlreid.hub.convert import RECIPES
from nlreid.hub.fetching.fetch import fetch, fetch_hub
from nlreid.hub.reading.files import read_tensors


class HubRoute:
    """A checkpoint in a repository on the Hub."""

    name, variable = "hub", "HF_HUB_CACHE"
    what, body = f"hf-hub:{checkpoint.REPO}", "^/cdn/"  # how errors call it, and where its bytes come from

    def __init__(self, hub, monkeypatch):
        self.hub, self.monkeypatch = hub, monkeypatch
        self.content = checkpoint.on_the_hub()["model.safetensors"]
        hub.add(checkpoint.REPO, checkpoint.on_the_hub())

    @property
    def cache(self):
        return Path(constants.HF_HUB_CACHE)

    def move_cache(self, folder):
        self.monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
        self.monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))

    def get(self):
        return fetch_hub(self.what)

    def cached(self):
        return list(self.cache.glob("*/snapshots/*/model.safetensors"))


class UpstreamRoute:
    """A checkpoint at its publishers' server, with what is known about its bytes."""

    name, variable, body = "upstream", "NLREID_CACHE", "^/files/walker.pth$"

    def __init__(self, hub, monkeypatch, **known):
        self.hub, self.monkeypatch = hub, monkeypatch
        self.what = f"{hub.url}/files/walker.pth"
        self.content = hub.files["walker.pth"] = checkpoint.published()
        self.entry, self.check = checkpoint.entry_at(self.what, **known), checkpoint.check
        monkeypatch.setitem(RECIPES, "walking", checkpoint.recipe())

    @property
    def cache(self):
        return Path(os.environ["NLREID_CACHE"])

    @property
    def record(self):
        return self.cache / "walker.strollers.json"

    def publish(self, version):
        """Replace the file by another version, of the same size."""
        self.hub.files["walker.pth"] = checkpoint.published(version)

    def move_cache(self, folder):
        self.monkeypatch.setenv("NLREID_CACHE", str(folder))

    def get(self):
        return fetch(self.entry, self.check)

    def cached(self):
        return list(self.cache.glob("walker.strollers.safetensors"))

    def parts(self):
        return [part.stat().st_size for part in self.cache.glob("*.part")]

    def downloads(self):
        """Which ranges were asked for, and the answers' statuses."""
        return [(asked.range, asked.status) for asked in self.hub.asked("GET", self.body)]


def assert_right(path):
    found, expected = read_tensors(path), checkpoint.tensors()
    assert found.keys() == expected.keys()
    assert all((found[name] == tensor).all() for name, tensor in expected.items())


def first_number(fetched):
    """What tells versions of the published file apart."""
    return read_tensors(fetched.path)["backbone.conv1.weight"][0]


def assert_refused(route, error, *words):
    with pytest.raises(error) as caught:
        route.get()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


@contextmanager
def offline(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(constants, "HF_HUB_OFFLINE", True)
        yield


@contextmanager
def unwritable(folder, mode=0o555):
    """Nothing in a folder can be written; the superuser, whom no mode stops, is nobody for a while."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    for path in paths:
        path.chmod(mode if path.is_dir() else 0o444)
    superuser = os.geteuid() == 0
    try:
        if superuser:
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            (folder / "probe").touch()
        yield
    finally:
        if superuser:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def start(route):
    """Another process that fetches the same."""
    environment = os.environ | {
        "HF_ENDPOINT": route.hub.url,
        "HF_HUB_CACHE": constants.HF_HUB_CACHE,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN_PATH": constants.HF_TOKEN_PATH,
        "NLREID_PACKAGE": str(Path(nlreid.__file__).parent),
    }
    command = [sys.executable, checkpoint.__file__, route.name, route.what]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition):
    """Wait until it comes to something that only a look at the disk shows."""
    pause = threading.Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.01)
    raise TimeoutError("it did not come to that")
