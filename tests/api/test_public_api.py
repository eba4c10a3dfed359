"""The names at the top, with their signatures, are a promise: a change of them must be made in `public_api.txt` too.

python tests/api/test_public_api.py > tests/api/public_api.txt
"""

import inspect
import sys
from pathlib import Path

import nlreid


def listing() -> str:
    """A line for each public name: what it is and how it is called."""
    names = sorted(name for name, value in vars(nlreid).items() if not name.startswith("_") and not inspect.ismodule(value))
    lines = [f"{name}{_signature(getattr(nlreid, name))}" for name in names]
    return "\n".join([*lines, "__version__", ""])


def _signature(value: object) -> str:
    if isinstance(value, type) and issubclass(value, tuple):
        return f"({', '.join(value._fields)})"
    return str(inspect.signature(value)) if callable(value) else ""


def test_public_names_and_signatures_are_those_listed():
    assert listing() == Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8")


def test_everything_public_is_documented():
    undocumented = [name for name, value in vars(nlreid).items() if not name.startswith("_") and not inspect.getdoc(value)]
    assert not undocumented


if __name__ == "__main__":
    sys.stdout.write(listing())
