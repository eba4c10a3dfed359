"""Public names with their signatures, and the command line, are a promise: a change of them is made in `public_api.txt` too.

python tests/api/test_public_api.py > tests/api/public_api.txt
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import inspect

import pytest
from listing import listing, mentioned, names_in

import nlreid

LISTED = Path(__file__).with_name("public_api.txt")


def test_public_names_and_signatures_are_those_listed():
    new, listed = listing().splitlines(), LISTED.read_text(encoding="utf-8").splitlines()
    changed = [f"- {line}" for line in listed if line not in new] + [f"+ {line}" for line in new if line not in listed]
    assert new == listed, "\n".join(["if the change is meant, run the command at the top of this file:", *changed])


def test_everything_public_is_documented():
    top = {f"nlreid.{name}": value for name, value in vars(nlreid).items() if not name.startswith("_")}
    undocumented = [name for name, value in {**top, **mentioned()}.items() if not inspect.getdoc(value)]
    assert not undocumented


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("from nlreid.data.clips import evenly, dense", ["nlreid.data.clips.evenly", "nlreid.data.clips.dense"]),
        ("from nlreid.a import (\n    b,  # why, as said\n    c as d,\n)", ["nlreid.a.b", "nlreid.a.c"]),
        (">>> from nlreid.a import b\n", ["nlreid.a.b"]),
        ("`nlreid.evaluation.nearest(…)` and nlreid.embed.", ["nlreid.evaluation.nearest", "nlreid.embed"]),
        (".. autofunction:: nlreid.hub.fetch", ["nlreid.hub.fetch"]),
        ("nlreid/layers/conv3d.py, other.nlreid.x, pip install nlreid", []),
    ],
)
def test_names_are_found_in_pages(page, names):
    assert sorted(names_in(page)) == sorted(names)


if __name__ == "__main__":
    sys.stdout.write(listing())
