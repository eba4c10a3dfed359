"""Links and pictures of the pages lead somewhere inside the project, to the very heading; other sites are not asked."""

import re
from urllib.parse import unquote

import pytest
from docs.markdown import ROOT, anchors, links, name_of, pages, slug_of

PAGES = [*pages(), ROOT / "CHANGELOG.md", ROOT / "weights" / "README.md", *sorted((ROOT / "weights" / "cards").glob("*.md"))]


def broken(page):
    """The links of a page that lead nowhere."""
    for link in links(page):
        if re.match(r"[a-z][a-z0-9+.-]*:", link, flags=re.IGNORECASE):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{link}: no such file"
        elif anchor and (target.suffix != ".md" or anchor not in anchors(target)):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_project_lead_somewhere(page):
    assert not list(broken(page))


def test_the_pages_have_links_and_pictures():
    count = {name_of(page): len(links(page)) for page in PAGES}
    assert count["README.md"] > 10
    assert "pictures/demo.png" in links(ROOT / "docs" / "index.md")


def test_pages_that_code_names_are_there():
    sources = [
        path
        for folder in ("nlreid", "examples", "weights", "docs", "tests/benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    named = {
        (path.relative_to(ROOT).as_posix(), page)
        for path in (*sources, *ROOT.glob("examples/*.sh"), ROOT / ".ci" / "run", ROOT / "pyproject.toml")
        for page in re.findall(r"(?<![\w/])docs/[\w/]+\.md", path.read_text("utf-8"))
    }
    assert ("nlreid/models/network.py", "docs/performance.md") in named
    assert not [each for each in named if not (ROOT / each[1]).is_file()]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](b.md)", ["b.md: no such file"]),
        ("![a](b.png)", ["b.png: no such file"]),
        ("[![a](b.png)](c.md)", ["c.md: no such file"]),
        ('<img src="b.png">', ["b.png: no such file"]),
        ("[a]\n\n[a]: b.md", ["b.md: no such file"]),
        ("# A heading\n[a](#a-heading) [b](#another)", ["#another: no such heading"]),
        ("# A heading\n# A heading\n[a](#a-heading-1) [b](#a-heading-2)", ["#a-heading-2: no such heading"]),
        ("(here)=\n# A\n[a](#here) [b](page.md#here) [c](page.md#there)", ["page.md#there: no such heading"]),
        ("[a](https://example.org/x.md) `[b](c.md)`\n```text\n[d](e.md)\n```", []),
    ],
)
def test_what_leads_nowhere_is_found(tmp_path, monkeypatch, text, wrong):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    assert list(broken(page)) == wrong


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("What holds after inflation", "what-holds-after-inflation"),
        ("Layers: `nlreid.layers`", "layers-nlreidlayers"),
        ("Figure 6", "figure-6"),
        ("1. Install", "1-install"),
        ("MARS → iLIDS", "mars--ilids"),
    ],
)
def test_headings_have_the_anchors_that_github_gives_them(title, slug):
    assert slug_of(title) == slug
