"""No test reaches the network: only this machine is connected to, and the Hub's client is told that it is offline.

The fixture `hub` is a Hub on loopback for a test, with the real client turned to it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))  # the Hub on loopback serves the tests of several folders

import huggingface_hub.file_download as client_files
import huggingface_hub.utils._http as client_http
from hub_server import HubServer
from huggingface_hub import constants, hf_api


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _only_loopback(getattr(socket.socket, name)))


def _only_loopback(connect):
    def guarded(own, address):
        if own.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            return connect(own, address)
        raise OSError(f"tests do not use the network; a connection to {address} was asked for")

    return guarded


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def one_thread():
    """So small a network is not faster on several, and far slower where they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub on loopback that the client talks to, with empty caches, and without the user's token and other variables."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "NLREID_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NLREID_CACHE", str(tmp_path / "nlreid"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with HubServer() as server:
        settings = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_TOKEN_PATH": str(tmp_path / "token"),
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(hf_api.api, "endpoint", server.url)
        for module in (client_files, client_http):  # it waits between attempts
            monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None}))
        client_http.close_session()
        yield server
        client_http.close_session()
