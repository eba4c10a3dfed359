"""What `import nlreid` costs a user: no package that is not a dependency is imported before it is needed."""

import importlib
import subprocess
import sys

import pytest

import nlreid

SCRIPT = """
import sys
import timm
before = set(sys.modules)
import nlreid
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""


def test_the_extras_and_what_is_heavy_are_imported_where_they_are_needed():
    brought = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.split()
    assert "nlreid" in brought
    # timm has imported the others; what torchvision and the Hub's client import late is small
    assert set(brought) <= {"nlreid", "einops", "numpy", "torchvision", "huggingface_hub"}


@pytest.mark.parametrize("name", ["export", "trackers", "visualize"])
def test_packages_that_few_need_are_there_when_they_are_asked_for(name, monkeypatch):
    """Users write `nlreid.export.to_onnx` after `import nlreid`, as the pages name it."""
    package = importlib.import_module(f"nlreid.{name}")
    monkeypatch.delattr(nlreid, name)
    assert getattr(nlreid, name) is package


def test_other_names_are_none():
    with pytest.raises(AttributeError, match="module 'nlreid' has no attribute 'exports'"):
        nlreid.exports  # noqa: B018
