"""Names and shapes of tensors are a promise, since weights are kept by them: a change is made in `state_dicts.txt` too.

python tests/api/test_state_dicts.py > tests/api/state_dicts.txt
"""

import hashlib
import sys
from pathlib import Path

from nlreid.layers.heads import HEADS
from nlreid.models.assembly import shapes_of
from nlreid.models.zoo import MODELS

LISTED = Path(__file__).with_name("state_dicts.txt")
IN_FULL = "test_r3d_nl"


def listing() -> str:
    """A line for each model, a small one's tensors, and those of each head."""
    lines = ["# tensors of each model without a head, and the start of the SHA-256 of their names and shapes", ""]
    for name, spec in sorted(MODELS.items()):
        tensors = list(_tensors(shapes_of(spec)))
        digest = hashlib.sha256("\n".join(tensors).encode()).hexdigest()
        lines.append(f"{name} {len(tensors)} {digest[:16]}")
    lines += ["", f"# {IN_FULL}", "", *_tensors(shapes_of(MODELS[IN_FULL]))]
    for head in sorted(HEADS):
        shapes = shapes_of(MODELS[IN_FULL], head, num_classes=3)
        lines += ["", f"# head={head!r}, three classes", "", *(line for line in _tensors(shapes) if line.startswith("head."))]
    return "\n".join([*lines, ""])


def _tensors(shapes):
    return sorted(f"{name} {' x '.join(map(str, tensor.shape))}".rstrip() for name, tensor in shapes.items())


def test_names_and_shapes_of_tensors_are_those_listed():
    new, listed = listing().splitlines(), LISTED.read_text(encoding="utf-8").splitlines()
    changed = [f"- {line}" for line in listed if line not in new] + [f"+ {line}" for line in new if line not in listed]
    assert new == listed, "\n".join(["published weights would not load; if that is meant, see docs/releasing.md:", *changed])


if __name__ == "__main__":
    sys.stdout.write(listing())
