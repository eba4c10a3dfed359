"""The table of what every model does is generated, has every model, and says yes everywhere."""

import importlib.util
from pathlib import Path

import pytest

import nlreid

DOCS = Path(__file__).parents[2] / "docs"
NAMES = nlreid.list_models()
TINY = nlreid.list_models("test_*")


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


@pytest.mark.parametrize("name", TINY)
def test_tiny_models_do_what_it_says(generate, name):
    assert generate.row(name) == written()[name]


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(TINY)))
def test_models_do_what_it_says(generate, name):
    assert generate.row(name) == written()[name]


def test_what_fails_is_said(generate, monkeypatch):
    def fails(_model):
        raise ValueError("a | b\nc")

    monkeypatch.setitem(generate.CHECKS, "ONNX", fails)
    for name in ("compile", "torch.export", "backward"):
        monkeypatch.setitem(generate.CHECKS, name, lambda _model: None)
    assert generate.row("test_c2d") == "| `test_c2d` | yes | yes | yes | yes | no: ValueError: a / b c | yes |"
