"""The README as the page of a package index, which has no files beside it: links lead to the source, or are plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_OUTSIDE = ("http://", "https://", "mailto:", "#")  # headings have anchors on an index's page
_FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<picture>!?)\[(?P<label>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
_HTML_PICTURE = re.compile(r"<img\b[^>]*\bsrc=\"(?!https?:)[^>]*>")
_ATTRIBUTE = re.compile(r"\b(?P<name>href|src)=\"(?P<target>[^\"]+)\"")


def index_page(readme: str, source: str | None, revision: str) -> str:
    """A README without relative links.

    Args:
        readme: Markdown.
        source: The address of the repository, `https://host/owner/name`, where it has one: files are then at `blob/revision/`
            and pictures at `raw/revision/` below it. Without, a link becomes its text and a picture is left out.
        revision: The tag or branch that links lead to.

    Raises:
        ValueError: If there is a relative link in HTML, and no address that it could lead to.
    """
    pieces = _FENCE.split(readme)  # what is between fences, and the fenced blocks, in turn
    pieces[::2] = [_without_relative(piece, source, revision) for piece in pieces[::2]]
    return "".join(pieces)


def _without_relative(text: str, source: str | None, revision: str) -> str:
    def link(found: re.Match[str]) -> str:
        label = _LINK.sub(link, found["label"])  # a picture that is a link
        target = found["target"]
        if target.startswith(_OUTSIDE):
            return f"{found['picture']}[{label}]({target})" if label or not found["label"] else ""
        if source is None:
            return "" if found["picture"] else label
        return f"{found['picture']}[{label}]({_address(source, revision, target, picture=bool(found['picture']))})"

    def attribute(found: re.Match[str]) -> str:
        target = found["target"]
        if target.startswith(_OUTSIDE):
            return found[0]
        if source is None:
            raise ValueError(f"README.md: {found[0]} is relative; in Markdown it could be left out where it leads nowhere")
        return f'{found["name"]}="{_address(source, revision, target, picture=found["name"] == "src")}"'

    text = _LINK.sub(link, text)
    return _ATTRIBUTE.sub(attribute, _HTML_PICTURE.sub("", text) if source is None else text)


def _address(source: str, revision: str, target: str, *, picture: bool) -> str:
    return f"{source.rstrip('/')}/{'raw' if picture else 'blob'}/{revision}/{target}"


def dead_targets(html: str) -> list[str]:
    """Links and pictures of a rendered page that lead nowhere on a page without files beside it."""
    page = _Page()
    page.feed(html)
    there = {f"#{anchor}" for anchor in page.anchors}
    return [t for t in page.targets if t not in there and not t.startswith(("http://", "https://", "mailto:"))]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: list[str] = []

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.targets += [value or "" for name, value in attributes if name in ("href", "src")]
        self.anchors += [value or "" for name, value in attributes if name == "id"]
