"""Docstrings as Sphinx wants them: in the code a name stands in single backticks, as in Markdown.

What may be the name of a Python object becomes a cross-reference if the reference has it, and code if it does not; everything
else in backticks is code.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext import autosummary
from sphinx.ext.autodoc.typehints import record_typehints
from sphinx.util.nodes import make_refnode

_SPAN = re.compile(r"(?<![`:\\])`([^`]+)`(?!`)(?=(\w)?)")
_ARRAY = re.compile(
    r"~?numpy\.ndarray\[~?tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?numpy\.dtype\[((?:[^][]|\[[^][]*\])*)\]\]",
)
_NAME = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(\(\))?")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx; docstrings are changed before napoleon takes their sections apart."""
    autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Sec.", "Fig.")  # no ends of a sentence
    app.connect("autodoc-process-docstring", change_docstring, priority=400)
    app.connect("autodoc-process-signature", read_types, priority=600)
    app.connect("missing-reference", find_elsewhere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def change_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Rewrite the backticks of one docstring, in place; its doctests stay as they are."""
    del app, what, name, obj, options
    lines[:] = with_roles("\n".join(lines)).split("\n")


def with_roles(text: str) -> str:
    r"""A docstring with its single backticks as reStructuredText has them.

    >>> with_roles("of `nlreid.embed`, as `(b, 3)`")
    'of :py:obj:`nlreid.embed`, as ``(b, 3)``'
    """
    parts = re.split(r"(^ *>>> (?:.+\n?)+)", text, flags=re.MULTILINE)
    parts[::2] = [_SPAN.sub(_role, part) for part in parts[::2]]
    return "".join(parts)


def _role(match: re.Match[str]) -> str:
    code, glued = match.groups()
    name = _NAME.fullmatch(code)
    role = f"``{code}``" if name is None else f":py:obj:`{code} <{name[1]}>`" if name[2] else f":py:obj:`{code}`"
    return role + ("\\ " if glued else "")  # as in `Tracklet`s


def read_types(app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str, returns: str) -> None:
    """Note the types of a signature as people write them.

    autodoc notes those of a class's arguments without what they stand for, and those of arrays in full.
    """
    if what == "class" and obj.__init__ is not object.__init__:
        record_typehints(app, what, name, obj.__init__, options, args, returns)
    noted = app.env.temp_data.get("annotations", {}).get(name, {})
    noted.update({argument: with_short_arrays(kind) for argument, kind in noted.items()})


def with_short_arrays(kind: str) -> str:
    """A type with the arrays in it as `NDArray`."""
    return _ARRAY.sub(r"~numpy.typing.NDArray[\1]", kind)


def find_elsewhere(app: Sphinx, env: BuildEnvironment, node: nodes.Element, contnode: nodes.TextElement) -> nodes.Node | None:
    """Of a name in backticks that its own module does not have: the one class of that name in the reference, else code.

    Types of signatures must be found, or be listed.
    """
    if node["reftype"] != "obj" or node["refdomain"] != "py":
        return None
    target = node["reftarget"]
    if target.rpartition(".")[2][0].isupper():
        objects = env.domains["py"].find_obj(env, "", "", target, "obj", 1)  # 1: whatever the name of a module before it
        found = [(name, entry) for name, entry in objects if not entry.aliased]
        if len(found) == 1:
            name, entry = found[0]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)
    return contnode
