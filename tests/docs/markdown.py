"""README and docs as tests look at them: the fenced blocks, links and headings of a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BUILT = ("_build", "_weights")  # what a build of the documentation leaves below docs/

_FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)")
_CODE = re.compile(r"(`+)(?:(?!\1).|\n(?!\s*\n))+?\1(?!`)")
_LINK = re.compile(r"\[(?:[^][]|\[[^][]*\]\([^()]*\))*\]\((?P<target>[^()\s]+(?:\([^()]*\))?)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*")
_LABEL = re.compile(r"\((?P<label>[\w-]+)\)=|<a (?:id|name)=\"(?P<html>[^\"]+)\"")


class Block(NamedTuple):
    """A fenced block: where its text begins, the word that says what it is, and the text."""

    page: Path
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """README and the pages of docs, subfolders included."""
    docs = ROOT / "docs"
    return [ROOT / "README.md", *(page for page in sorted(docs.rglob("*.md")) if page.relative_to(docs).parts[0] not in BUILT)]


def name_of(page: Path) -> str:
    """What a page is called in the tests: its path from the root, that of docs left out."""
    return page.relative_to(ROOT).as_posix().removeprefix("docs/")


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, those in lists included."""
    return tuple(_parts(page)[1])


@cache
def prose(page: Path) -> str:
    """A page without its blocks and without code within lines."""
    return _CODE.sub("", _parts(page)[0])


def links(page: Path) -> list[str]:
    """What the links and pictures of a page lead to, other sites included."""
    text = prose(page)
    named = re.findall(r"^\[[^]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    html = re.findall(r"<(?:img|a)\s[^>]*(?:src|href)=\"([^\"]+)\"", text)
    return [*(match["target"] for match in _LINK.finditer(text)), *named, *html]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What `#…` can name on a page: headings, as GitHub and MyST spell them, and labels."""
    found: list[str] = []
    for line in _parts(page)[0].splitlines():
        if heading := _HEADING.fullmatch(line):
            slug = slug_of(heading["title"])
            same = sum(each == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", each) is not None for each in found)
            found.append(f"{slug}-{same}" if same else slug)
        found += [label["label"] or label["html"] for label in _LABEL.finditer(line)]
    return frozenset(found)


def slug_of(title: str) -> str:
    """The anchor of a heading: small letters, digits and hyphens.

    >>> slug_of("API: `nlreid.layers`, and [others](x.md)")
    'api-nlreidlayers-and-others'
    """
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
    return re.sub(r"[^\w\- ]", "", text.strip().lower().replace(" ", "-"))


@cache
def _parts(page: Path) -> tuple[str, list[Block]]:
    """The text around the blocks, and the blocks."""
    around: list[str] = []
    found: list[Block] = []
    lines: Iterator[tuple[int, str]] = enumerate(page.read_text("utf-8").splitlines(), start=1)
    for number, line in lines:
        opening = _FENCE.fullmatch(line)
        if opening is None:
            around.append(line)
            continue
        content = []
        for _, inner in lines:
            if re.fullmatch(rf"\s*{re.escape(opening['fence'])}{opening['fence'][0]}*\s*", inner):
                break
            content.append(inner.removeprefix(opening["indent"]))
        else:
            raise AssertionError(f"{name_of(page)}, line {number}: a block that does not end")
        found.append(Block(page, number + 1, _language(opening["info"]), "\n".join(content) + "\n"))
    return "\n".join(around), found


def _language(info: str) -> str:
    """What a block is: of `{code-block} python` it is `python`."""
    words = info.split()
    directive = bool(words) and words[0] in ("{code-block}", "{code}", "{sourcecode}")
    return " ".join(words[1:2] if directive else words[:1])
