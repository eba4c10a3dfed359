"""The API reference has every public name, once, and every name that a page imports."""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest
from docs.markdown import blocks, name_of, pages

import nlreid
from nlreid import errors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
LISTED = Path(__file__).parents[1] / "api" / "public_api.txt"
NOT_FOR_PROGRAMS = ("cli", "__main__")  # the command line


@cache
def documented():
    """The names that the reference describes, with the object that each is."""
    text = "\n".join(page.read_text("utf-8") for page in sorted(REFERENCE.glob("*.md")))
    names = re.findall(r"^\.\. (?:autoclass|autofunction|autodata|autoexception|py:data):: (\S+)", text, flags=re.MULTILINE)
    assert len(set(names)) == len(names), "described more than once"
    return {name: _object(name) for name in names}


def _object(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def is_documented(value):
    return any(value is each for each in documented().values())


def rooms():
    """The packages of the library that have public names, with those."""
    for found in pkgutil.iter_modules(nlreid.__path__):
        if found.ispkg and found.name not in NOT_FOR_PROGRAMS:
            room = importlib.import_module(f"nlreid.{found.name}")
            yield from (
                pytest.param(value, id=f"{room.__name__}.{name}")
                for name, value in vars(room).items()
                if not name.startswith("_") and not inspect.ismodule(value)
            )


def public(listing):
    """The names of the list of public names, with their modules: those that begin a line, below `# module`."""
    module = ""
    for line in listing.splitlines():
        if line.startswith("# "):
            module = line.removeprefix("# ")
        elif (name := re.match(r"\w+", line)) and module.startswith("nlreid"):
            yield f"{module}.{name[0]}"


PUBLIC = list(public(LISTED.read_text("utf-8")))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name):
    assert name in documented() or is_documented(_object(name))


def test_the_names_at_the_top_have_their_table_and_are_called_as_users_call_them():
    top = {name for name in PUBLIC if name.count(".") == 1 and name != "nlreid.__version__"}
    table = re.findall(r"^   (nlreid\.\w+)$", (REFERENCE / "index.md").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(table) == sorted(top)
    assert len(top) > 15
    assert top <= documented().keys()


def test_public_names_are_read_from_their_list():
    listing = "# nlreid\n\na(x: 'int') -> 'b'\n    .c\n__version__: str\n\n# nlreid.d\n\ne\n\n# the command line\n\nnlreid f\n"
    assert list(public(listing)) == ["nlreid.a", "nlreid.__version__", "nlreid.d.e"]


@pytest.mark.parametrize("value", list(rooms()))
def test_every_name_of_a_room_is_in_the_reference(value):
    assert is_documented(value)


def test_every_error_is_in_the_reference():
    wanted = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.NLReIDError)}
    assert wanted == {value for name, value in documented().items() if name.startswith("nlreid.errors.")}


def _imported():
    """What the Python blocks of the pages import from the library."""
    for page in pages():
        for block in blocks(page):
            if block.language == "python":
                for node in ast.walk(ast.parse(block.text)):
                    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nlreid":
                        for name in node.names:
                            yield pytest.param(f"{node.module}.{name.name}", id=f"{name_of(page)}: {node.module}.{name.name}")


@pytest.mark.parametrize("name", list(_imported()))
def test_what_a_page_imports_is_in_the_reference(name):
    value = _object(name)
    assert inspect.ismodule(value) or is_documented(value)
