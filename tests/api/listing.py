"""The public names with their signatures, as text: those at the top, those that README and docs name, and the command line."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nlreid
from nlreid.cli import build_parser

ROOT = Path(__file__).parents[2]
FOR_THE_DEVELOPERS = ("architecture.md", "changelog.md", "known_limits.md", "releasing.md")
_IMPORTED = re.compile(r"^(?:>>> )?\s*from (nlreid[\w.]*) import (?:\(([^)]*)\)|([\w, ]+))", re.MULTILINE)
_NAMED = re.compile(r"(?<!from )(?<![\w./:@-])nlreid(?:\.[A-Za-z_]\w*)+(?![\w/-]|\.\w)")


def mentioned() -> dict[str, object]:
    """What README and docs name, by its full name; modules among it.

    Raises:
        LookupError: If a page names what does not exist.
    """
    found = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if page.name not in FOR_THE_DEVELOPERS and "_build" not in page.parts:
            for name in sorted(names_in(page.read_text(encoding="utf-8"))):
                found[name] = _resolve(name, page)
    return found


def names_in(page: str) -> Iterator[str]:
    for module, several, plain in _IMPORTED.findall(page):
        for name in re.sub(r"#.*", "", several or plain).replace("\n", ",").split(","):
            if name.strip():
                yield f"{module}.{name.split(' as ')[0].strip()}"
    yield from _NAMED.findall(page)


def _resolve(name: str, page: Path) -> object:
    value: object = nlreid
    path = "nlreid"
    for part in name.split(".")[1:]:
        path = f"{path}.{part}"
        if not hasattr(value, part) and isinstance(value, ModuleType):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError as error:
                raise LookupError(f"{page.name} names {name}, which does not exist") from error
        if not hasattr(value, part):
            raise LookupError(f"{page.name} names {name}, which does not exist")
        value = getattr(value, part)
    return value


def listing() -> str:
    """The content of `public_api.txt`."""
    sections = {"nlreid": {"__version__", *_top()}}
    for name, value in mentioned().items():
        if not isinstance(value, ModuleType):
            module, attribute = _module_and_attribute(name)
            sections.setdefault(module, set()).add(attribute)
    lines = []
    for module in sorted(sections):
        lines += [f"# {module}", ""]
        for name in sorted(sections[module]):
            lines += _described(name, getattr(importlib.import_module(module), name))
        lines.append("")
    return "\n".join([*lines, "# the command line", "", *_commands(build_parser()), ""])


def _top() -> Iterator[str]:
    return (name for name, value in vars(nlreid).items() if not name.startswith("_") and not inspect.ismodule(value))


def _module_and_attribute(name: str) -> tuple[str, str]:
    """Where a name is from: the longest part that is a module, and the first name in it."""
    parts = name.split(".")
    module = next(".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1) if ".".join(parts[:n]) in sys.modules)
    return module, parts[module.count(".") + 1]


def _described(name: str, value: object) -> Iterator[str]:
    """A name's line, and for a class one for each of its methods, properties and fields with a default."""
    if not callable(value):
        yield f"{name}: {type(value).__name__}"
        return
    yield f"{name}{_signature(value)}"
    if isinstance(value, type):
        for member in sorted({member for cls in value.__mro__ if cls.__module__.startswith("nlreid.") for member in vars(cls)}):
            if not member.startswith("_"):
                yield f"    .{member}{_signature(getattr(value, member))}"


def _signature(value: object) -> str:
    if isinstance(value, type) and issubclass(value, tuple):
        return f"({', '.join(value._fields)})"
    if isinstance(value, type):
        maker = next(cls for cls in value.__mro__ if "__init__" in vars(cls))
        if getattr(value, "_is_protocol", False) or not maker.__module__.startswith("nlreid."):
            return "" if maker in (object, Exception, value) else f"(as {maker.__qualname__})"  # others' signatures change
    return str(inspect.signature(value)) if callable(value) else ""


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A line for each command, with its arguments; `[…]` may be left out."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, its in action.choices.items():
                yield f"{parser.prog} {command} {' '.join(map(_argument, its._actions))}"


def _argument(action: argparse.Action) -> str:
    written = "|".join(action.option_strings) or str(action.metavar or action.dest)
    if action.choices is not None:
        written += "={" + ",".join(map(str, action.choices)) + "}"
    return written if action.required else f"[{written}]"
