import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the checkpoint of the tests is shared by the test files here

from nlreid.hub.fetching import transfer


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE", 0)  # it waits between attempts
