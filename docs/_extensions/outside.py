"""What pages link to outside of docs/: the cards of the checkpoints become pages, files can be downloaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

COPIES = "_weights"  # of weights/README.md and the cards; git ignores it
_LINK = re.compile(r"(?<!!)\[(?P<text>[^][]*)\]\((?P<target>(?!\w+:)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_CARDS = """
```{toctree}
:hidden:
:glob:
cards/*
```
"""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("builder-inited", lambda app: copy_cards(Path(app.srcdir)))
    app.connect("source-read", change_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_cards(docs: Path) -> None:
    """Put the pages of weights/ below docs/, where Sphinx finds them; what has not changed is not written again."""
    source, copies = docs.parent / "weights", docs / COPIES
    wanted = {copies / path.relative_to(source): path for path in (source / "README.md", *sorted(source.glob("cards/*.md")))}
    for path in set(copies.rglob("*.md")) - wanted.keys():
        path.unlink()
    for path, original in wanted.items():
        text = original.read_text("utf-8") + (_CARDS if original.name == "README.md" else "")
        text = text.replace("](../docs/", "](../").replace("](../../docs/", "](../../")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")


def change_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead the links of one page that leave docs/ to what the built pages have."""
    if not docname.startswith(COPIES):
        docs = Path(app.srcdir)
        source[0] = with_links_inside(source[0], docs / docname, docs)


def with_links_inside(text: str, page: Path, docs: Path) -> str:
    """A page whose links out of docs/ lead to cards that are pages, or to files for download; of others the words stay."""
    return _LINK.sub(lambda link: _inside(link, page.parent, docs), text)


def _inside(link: re.Match[str], folder: Path, docs: Path) -> str:
    target = Path(os.path.normpath(folder / link["target"]))
    if target.is_relative_to(docs):
        return link[0]
    if target.suffix == ".md" and target.is_relative_to(docs.parent / "weights"):
        page = docs / COPIES / target.relative_to(docs.parent / "weights")
        return f"[{link['text']}]({Path(os.path.relpath(page, folder)).as_posix()}{link['anchor'] or ''})"
    is_download = target.is_file() and target.suffix != ".md"
    return link[0] if is_download else link["text"]
