"""Equations as MathML, which browsers draw by themselves: no script is fetched, so that pages can be read without a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
_AS_DOCUTILS_HAS_IT = (
    (re.compile(r"\\dots(?![a-z])"), r"\\ldots"),  # it knows dots by their place alone
    (re.compile(r"\\\\\[[^]]*\]"), r"\\\\"),  # no extra space between rows
    (re.compile(r"\\(log|ln|exp)(?=\s+[\w\\])"), r"\\\1\\,"),  # a space between a function and what it is of
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write an equation within a line."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation of its own, with its number where it has a label."""
    writer.body.append(writer.starttag(node, "div", "", CLASS="math"))
    if node.get("number"):
        writer.body.append(f'<span class="eqno">({get_node_equation_number(writer, node)})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(f"{mathml(node, as_block=True)}</div>\n")
    raise nodes.SkipNode


def mathml(node: nodes.Element, *, as_block: bool) -> str:
    """An equation as MathML; one that cannot be read is a warning, which -W makes an error."""
    tex = node.astext()
    for pattern, replacement in _AS_DOCUTILS_HAS_IT:
        tex = pattern.sub(replacement, tex)
    try:
        return str(tex2mathml(tex, as_block=as_block))
    except MathError as error:
        logger.warning("equation %r: %s", tex, error, location=node)
        return ""
