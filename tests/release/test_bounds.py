import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from release.bounds import of_extras, oldest

pytest.importorskip("tomllib", reason="what makes a release needs Python 3.11")
ROOT = Path(__file__).parents[2]
PROJECT = """
[build-system]
requires = ["setuptools>=77.0.3"]
[project]
name = "walker"
dependencies = [{dependencies}]
[project.optional-dependencies]
video = ["av>=14.2"]
all = ["walker[video, more]"]
more = ["h5py >= 3.12, <4"]
"""


def _oldest(tmp_path, dependencies, *extras):
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT.format(dependencies=dependencies), encoding="utf-8")
    return oldest(path, extras)


@pytest.mark.parametrize(
    ("dependencies", "extras", "pins"),
    [
        ('"torch>=2.6"', (), ["torch==2.6"]),
        ('"huggingface_hub>=1.31,<3", "numpy < 3, >=1.26.1"', (), ["huggingface_hub==1.31", "numpy==1.26.1"]),
        ('"timm[extra]>=1.0.20"', ("video",), ["timm==1.0.20", "av==14.2"]),
        ('"av>=14.2"', ("all",), ["av==14.2", "h5py==3.12"]),
    ],
)
def test_lower_bounds_become_pins(tmp_path, dependencies, extras, pins):
    assert _oldest(tmp_path, dependencies, *extras) == ["setuptools==77.0.3", *pins]


@pytest.mark.parametrize(
    ("dependencies", "extras", "message"),
    [
        ('"torch"', (), "'torch' has no lower bound"),
        ('"torch<3"', (), "'torch<3' has no lower bound"),
        ("\"torch>=2.6; python_version > '3.10'\"", (), "is no name with bounds"),
        ('"torch>=2.6"', ("vidoe",), "no extra 'vidoe'; pyproject.toml has video, all, more"),
    ],
)
def test_what_has_no_oldest_release_is_an_error(tmp_path, dependencies, extras, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        _oldest(tmp_path, dependencies, *extras)


def test_every_requirement_of_the_project_has_a_lower_bound():
    extras = ("test", "examples")
    pinned = {pin.split("==")[0] for pin in oldest(ROOT / "pyproject.toml", extras)}
    needed = {re.match(r"[\w-]+", line)[0] for line in requires("nlreid") if "extra ==" not in line}
    assert needed == {"torch", "timm", "huggingface_hub", "safetensors", "einops", "numpy"}
    assert needed | {"av", "scipy", "h5py", "pytest", "setuptools"} <= pinned


def test_extras_are_given_as_they_stand(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(dependencies='"torch>=2.6"'), encoding="utf-8")
    assert of_extras(tmp_path / "pyproject.toml", ["all"]) == ["av>=14.2", "h5py >= 3.12, <4"]


@pytest.mark.parametrize(("command", "function"), [("oldest", oldest), ("extras", of_extras)])
def test_the_commands_print_them(command, function):
    run = [sys.executable, str(ROOT / "tests/release"), command, "test"]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == function(ROOT / "pyproject.toml", ["test"])
