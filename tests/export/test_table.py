"""The table of what every model does is generated, has every model, and says yes everywhere."""

import importlib.util
from pathlib import Path

import pytest

import nlreid

DOCS = Path(__file__).parents[2] / "docs"
NAMES = nlreid.list_models()
OFTEN = ("test_r3d_nl", "test_c2d_rnn")  # between them, every kind of layer
# of these blocks deeper networks have more: they wait for whoever writes the page anew
DEEPER = [*nlreid.list_models("r3d34*"), *nlreid.list_models("r3d101*")]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_exports", DOCS / "generate_exports.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written():
    lines = [line for line in (DOCS / "exports.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


def test_every_model_is_in_it_and_does_everything(generate):
    rows = written()
    assert list(rows) == NAMES
    yes = " | ".join("yes" for _ in generate.CHECKS)
    assert [line for name, line in rows.items() if line != f"| `{name}` | {yes} |"] == []


def test_its_head_is_the_generated_one(generate):
    """But for the versions of what it was made with."""
    ours, theirs = (text.split("\n") for text in ((DOCS / "exports.md").read_text("utf-8"), generate.head()))
    assert ours[:2] == theirs[:2]
    assert ours[3 : len(theirs) - 1] == theirs[3:-1]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in OFTEN else pytest.mark.sweep) for name in NAMES if name not in DEEPER],
)
def test_models_do_what_it_says(generate, name):
    assert generate.row(name) == written()[name]


def test_what_fails_is_said(generate, monkeypatch):
    def fails(_model):
        raise ValueError("a | b\nc")

    monkeypatch.setitem(generate.CHECKS, "ONNX", fails)
    for name in ("compile", "torch.export", "backward"):
        monkeypatch.setitem(generate.CHECKS, name, lambda _model: None)
    assert generate.row("test_c2d") == "| `test_c2d` | yes | yes | yes | yes | no: ValueError: a / b c | yes |"
