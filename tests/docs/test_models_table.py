"""The table of models is generated: what it says of a model is what the model is, and its speeds are the measured ones."""

import importlib.util
import re
from pathlib import Path

import pytest

import nlreid

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_models", ROOT / "docs" / "generate_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(generate):
    return generate.page()


def without_version(page):
    return re.sub(r"with timm \S+\.", "with timm.", page, count=1)


def test_the_page_is_what_the_generator_writes(made):
    written = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert without_version(written) == without_version(made), "python docs/generate_models.py writes it anew"


def test_every_model_is_on_it_but_those_for_tests(made):
    rows = re.findall(r"^\| `(\w+)` ", made, flags=re.MULTILINE)
    assert rows == [name for name in nlreid.models.MODELS if not name.startswith("test_")]


def test_readme_has_the_short_form_where_it_has_the_markers(generate):
    readme = (ROOT / "README.md").read_text("utf-8")
    if generate.BEGIN in readme:
        assert generate.with_short(readme) == readme, "python docs/generate_models.py --readme writes it anew"
    else:
        with pytest.raises(ValueError, match="wants"):
            generate.with_short(readme)


def test_what_stands_around_the_markers_stays(generate):
    before, after = f"one\n{generate.BEGIN}", f"{generate.END}\ntwo\n"
    made = generate.with_short(f"{before} old {after}")
    assert made.startswith(before)
    assert made.endswith(after)
    assert " old " not in made


def test_parameters_and_operations_are_those_of_the_network(generate):
    model = nlreid.create_model("r3d18_half_nl")
    row = generate.row("r3d18_half_nl", ({"r3d18_half_nl": 12.34}, {"r3d18_half_nl": 56.78}))
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert row["parameters, M"] == f"{millions:.1f}"
    assert (row["embedding"], row["non-local"], row["clips/s"]) == ("256", "2", "12.3 / 56.8")
    assert generate.row("r3d18_half_nl", ({"r3d18_half_nl": 12.34}, {}))["clips/s"] == ""


PAGE = """
### Machine

| what | how much |
|---|---|
| processor | one |
| threads | 2 |

### Inference in float32, clips of 256 x 128, on the CPU

| model | clips | frames | optimised, ms |
|-------|------:|-------:|--------------:|
| a     |     1 |      8 |       1,250.0 |
| a     |     4 |      8 |       2,000.0 |
| b     |     1 |     16 |          10.0 |

### Inference in bfloat16
"""


def test_speeds_are_read_from_the_page_of_measurements(generate):
    assert generate.measured(PAGE, *generate.FLOAT32) == {"a": 0.8}
    assert generate.machine(PAGE) == "one, on 2 threads"
    with pytest.raises(ValueError, match="no heading 'Else'"):
        generate.measured(PAGE, "Else", "x")
    with pytest.raises(ValueError, match="no column"):
        generate.measured(PAGE, "Inference in float32", "x")
