"""The table of networks is generated: what it says of a network is what the code does with it."""

import importlib.util
from pathlib import Path

import pytest
import timm

DOCS = Path(__file__).parents[2] / "docs"


def rows(text):
    return {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}


@pytest.mark.sweep
def test_the_table_says_what_the_code_does():
    spec = importlib.util.spec_from_file_location("generate_networks", DOCS / "generate_networks.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    written, now = (DOCS / "networks.md").read_text("utf-8"), generate.table()
    if f"timm {timm.__version__}." in written:
        assert written == now
    else:  # another timm has other networks; those in both must agree
        old, new = rows(written), rows(now)
        assert len(old.keys() & new.keys()) > 150
        assert all(old[name] == new[name] for name in old.keys() & new.keys())
