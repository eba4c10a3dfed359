"""Every Python block of README and docs runs, in the order of its page, beside the files that the pages speak of."""

from pathlib import Path

import pytest
import torch
from docs.markdown import blocks, name_of, pages

# The blocks that do not run, by page and by their first line, and why. Everything else in ```python runs; what is not
# Python, or is not meant to be whole, is ```text.
_OTHERS = "another project's package, which has tests/trackers to itself"
NOT_RUN: dict[str, dict[str, str]] = {
    "how_to/trackers.md": {
        "from boxmot import BotSort  # or StrongSort, DeepOcSort, …: those that take a reid_model": _OTHERS,
        "from norfair import Detection, Tracker": _OTHERS,
    },
}

SPELLINGS = ("py", "python3", "pycon", "ipython")  # of Python, which the pages do not use


def python_blocks(page):
    return [block for block in blocks(page) if block.language == "python"]


def first_line(block):
    return block.text.partition("\n")[0]


def runs(block):
    return first_line(block) not in NOT_RUN.get(name_of(block.page), {})


def _pages():
    """Pages with Python blocks; those that need the extra [examples] run with the examples."""
    for page in pages():
        if python_blocks(page):
            faiss = any("import faiss" in block.text for block in python_blocks(page))
            yield pytest.param(page, id=name_of(page), marks=[pytest.mark.examples] if faiss else [])


@pytest.mark.parametrize("page", list(_pages()))
@pytest.mark.usefixtures("street")
def test_python_blocks_run(page):
    namespace: dict[str, object] = {"__name__": "__page__"}
    for block in filter(runs, python_blocks(page)):
        source = "\n" * (block.line - 1) + block.text  # a traceback names the line of the page
        exec(compile(source, str(page), "exec"), namespace)
    if page.name == "README.md":
        assert namespace["out"].embedding.shape == (2, 512)
        assert len(namespace["people"]) == 2
        assert torch.is_tensor(namespace["total"])
        assert Path("people.safetensors").is_file()


def test_what_does_not_run_is_there_and_is_python():
    written = {(name_of(page), first_line(block)) for page in pages() for block in python_blocks(page)}
    listed = {(page, line) for page, lines in NOT_RUN.items() for line in lines}
    assert not listed - written, "listed, and no longer on the page"
    for page in pages():
        for block in python_blocks(page):
            compile(block.text, f"{name_of(page)}:{block.line}", "exec")


def test_python_is_called_python():
    other = [f"{name_of(page)}:{block.line}" for page in pages() for block in blocks(page) if block.language in SPELLINGS]
    assert not other


@pytest.mark.parametrize(
    "line", ["import nlreid", "from nlreid.data import clips", ">>> nlreid.list_models()", "backbone = nlreid.inflate(x)"]
)
def test_no_whole_block_of_python_hides_in_a_block_without_a_language(line):
    nameless = [block for page in pages() for block in blocks(page) if not block.language]
    assert not [f"{name_of(block.page)}:{block.line}" for block in nameless if first_line(block).startswith(line)]
