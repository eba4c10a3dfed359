"""No test reaches the network: sockets other than local ones are refused, and the Hub's client is told that it is offline."""

from __future__ import annotations

import os
import socket

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(_socket, address, *_):
        raise OSError(f"tests do not use the network; a connection to {address} was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
