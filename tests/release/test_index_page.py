import re

import pytest

from release.index_page import dead_targets, index_page

SOURCE = "https://example.org/we/nlreid/"


@pytest.mark.parametrize(
    ("readme", "with_address", "without"),
    [
        ("[page](docs/a.md#b)", "[page](https://example.org/we/nlreid/blob/v1.0.0/docs/a.md#b)", "page"),
        ("![Found](docs/a.png)", "![Found](https://example.org/we/nlreid/raw/v1.0.0/docs/a.png)", ""),
        ("[`a`](a.md), [b](b.md)", "[`a`]({0}a.md), [b]({0}b.md)", "`a`, b"),
        ('[page](a.md "A page")', "[page]({0}a.md)", "page"),
        ("[![x](y.png)](z.md)", "[![x](https://example.org/we/nlreid/raw/v1.0.0/y.png)]({0}z.md)", ""),
        ('<img src="a.png" width="9">', '<img src="https://example.org/we/nlreid/raw/v1.0.0/a.png" width="9">', ""),
        ("[paper](https://arxiv.org/abs/1807.05073)", "[paper](https://arxiv.org/abs/1807.05073)", None),
        ("[down](#weights)", "[down](#weights)", None),
        (
            "[![x](https://example.org/b.svg)](https://example.org)",
            "[![x](https://example.org/b.svg)](https://example.org)",
            None,
        ),
        ("```python\nx[0](docs)\n```\n", "```python\nx[0](docs)\n```\n", None),
        ("clips (b, 3, t, h, w), [1] and (2)", "clips (b, 3, t, h, w), [1] and (2)", None),
    ],
)
def test_relative_links_lead_to_the_source_or_are_text(readme, with_address, without):
    expected = with_address.format("https://example.org/we/nlreid/blob/v1.0.0/")
    assert index_page(readme, SOURCE, "v1.0.0") == expected
    assert index_page(readme, None, "v1.0.0") == (readme if without is None else without)


def test_a_link_in_html_that_leads_nowhere_is_an_error():
    with pytest.raises(ValueError, match=re.escape('href="docs/a.md" is relative')):
        index_page('<a href="docs/a.md">a</a>', None, "v1.0.0")


def test_dead_targets_are_found_in_what_is_rendered():
    html = '<h1 id="top">x</h1><a href="#top">1</a><a href="#gone">2</a><a href="a.md">3</a><img src="b.png"><a href="https://c">4</a>'
    assert dead_targets(html) == ["#gone", "a.md", "b.png"]
