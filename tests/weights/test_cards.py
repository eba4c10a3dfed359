"""Cards and pages say what the manifest says: their tables are generated, and what a person wrote beside them is there."""

import importlib.util
import re
from pathlib import Path

import pytest

from nlreid.hub.table.manifest import manifest

WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_cards", WEIGHTS / "generate_cards.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_checkpoint_has_a_card_and_every_card_a_checkpoint():
    assert {path.name for path in (WEIGHTS / "cards").iterdir()} == {f"{name}.md" for name in manifest()}


def test_the_tables_are_those_of_the_manifest(generate):
    pages = generate.regenerated()
    assert len(pages) == len(manifest()) + 2
    for path, text in pages.items():
        assert path.read_text("utf-8") == text, f"{path}: run python weights/generate_cards.py"


@pytest.mark.parametrize("name", manifest())
def test_a_person_wrote_what_else_is_known(generate, name):
    before, _, rest = (WEIGHTS / "cards" / f"{name}.md").read_text("utf-8").partition(generate.BEGIN)
    table, _, written = rest.partition(generate.END)
    assert before.strip() == f"# {name}"
    assert len(written.split()) > 40
    assert all(line.count("|") == 3 for line in table.strip().splitlines())
    entry = manifest()[name]
    assert entry.url in table
    assert entry.licence.id in table
    if not entry.checksums.sha256:
        assert "unknown" in table
    assert f"num_classes={entry.num_classes or ''}" in written.replace("\n", " ")
    if entry.training is not None:
        assert all(f"| {value} |" in table for value in (entry.training.seed, entry.training.hardware, entry.training.time))
        assert f"`{entry.training.command}`" in table


def test_a_page_without_its_place_for_the_table_is_refused(generate, tmp_path):
    (tmp_path / "page.md").write_text("# Page\n")
    with pytest.raises(ValueError, match="wants"):
        generate.with_generated(tmp_path / "page.md", "table")


def test_a_new_entry_gets_a_card(generate, tmp_path):
    text = generate.with_generated(tmp_path / "r3d50.new.md", "| a | b |")
    assert text.startswith("# r3d50.new\n")
    assert "| a | b |" in text


def test_links_lead_somewhere():
    page = (WEIGHTS / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page)
    assert len(targets) >= len(manifest())
    for target in targets:
        assert (WEIGHTS / target).exists(), target
