"""What the documentation adds to Sphinx: backticks of docstrings, links out of docs/, equations. Needs the extra [docs]."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the extra [docs]")
nodes = import_module("docutils.nodes")

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS / "_extensions"))

docstrings, outside, mathml = map(import_module, ("docstrings", "outside", "mathml"))


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("of `nlreid.embed`.", "of :py:obj:`nlreid.embed`."),
        ("`(b, 3, t, h, w)`, float", "``(b, 3, t, h, w)``, float"),
        ('`"soft"` or `None`', '``"soft"`` or :py:obj:`None`'),
        ("`list_models()`", ":py:obj:`list_models() <list_models>`"),
        ("`Tracklet`s", ":py:obj:`Tracklet`\\ s"),
        ("``already``, :py:obj:`written`", "``already``, :py:obj:`written`"),
        ("`two\nlines`", "``two\nlines``"),
        ("one\n\n    >>> f('`x`')\n    '`x`'\n\n`y`", "one\n\n    >>> f('`x`')\n    '`x`'\n\n:py:obj:`y`"),
    ],
)
def test_names_in_backticks_become_references_and_the_rest_code(written, wanted):
    assert docstrings.with_roles(written) == wanted


@pytest.mark.parametrize(
    ("noted", "wanted"),
    [
        (
            "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.uint8]] | None",
            "~numpy.typing.NDArray[~numpy.uint8] | None",
        ),
        (
            "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.floating[~typing.Any]]]",
            "~numpy.typing.NDArray[~numpy.floating[~typing.Any]]",
        ),
        ("~torch.Tensor", "~torch.Tensor"),
    ],
)
def test_types_of_arrays_are_short(noted, wanted):
    assert docstrings.with_short_arrays(noted) == wanted


@pytest.mark.parametrize(
    ("page", "written", "wanted"),
    [
        ("index", "[a](weights.md#here)", "[a](weights.md#here)"),
        ("index", "[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        ("weights", "[`a`](../weights/README.md#here)", "[`a`](_weights/README.md#here)"),
        ("how_to/x", "[a](../../weights/cards/b.md)", "[a](../_weights/cards/b.md)"),
        ("how_to/x", "[a](../../examples/train.py)", "[a](../../examples/train.py)"),
        ("performance", "[a](../tests/benchmarks) and [b](../README.md)", "a and b"),
        ("index", "![a](../README.md)", "![a](../README.md)"),
    ],
)
def test_links_out_of_the_folder_lead_to_what_is_built(page, written, wanted):
    assert outside.with_links_inside(written, DOCS / page, DOCS) == wanted


def test_cards_become_pages_and_those_that_are_gone_go(tmp_path):
    docs, cards = tmp_path / "docs", tmp_path / "weights" / "cards"
    cards.mkdir(parents=True)
    gone = docs / outside.COPIES / "cards" / "gone.md"
    gone.parent.mkdir(parents=True)
    gone.touch()
    (tmp_path / "weights" / "README.md").write_text("[a](../docs/weights.md)", "utf-8")
    (cards / "new.md").write_text("[a](../../docs/weights.md) [b](../README.md)", "utf-8")
    outside.copy_cards(docs)
    assert not gone.exists()
    assert (gone.parent / "new.md").read_text("utf-8") == "[a](../../weights.md) [b](../README.md)"
    overview = (docs / outside.COPIES / "README.md").read_text("utf-8")
    assert overview.startswith("[a](../weights.md)")
    assert "cards/*" in overview


@pytest.mark.parametrize(
    ("tex", "pattern"),
    [
        (r"\theta_1, \dots, \theta_n", "<mi>θ</mi>.*…"),
        (r"\log p", "log</mi>.*<mspace"),
        (r"\begin{cases} 1 & a \\[2pt] 2 & b \end{cases}", "(?!.*pt).*<mtr>.*<mn>1</mn>.*</mtr>\\s*<mtr>.*<mn>2</mn>"),
    ],
)
def test_equations_become_mathml(tex, pattern):
    assert re.match(rf"<math .*{pattern}", mathml.mathml(nodes.math(text=tex), as_block=False), flags=re.DOTALL)


def test_an_equation_that_cannot_be_read_is_a_warning(monkeypatch):
    warned = []
    monkeypatch.setattr(mathml, "logger", type("Log", (), {"warning": staticmethod(lambda *args, **_: warned.append(args))}))
    assert mathml.mathml(nodes.math(text=r"\nosuchcommand"), as_block=False) == ""
    assert len(warned) == 1
