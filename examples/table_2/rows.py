"""The rows of the paper's Table 2 (arXiv 1807.05073): which networks, what they start from, and what the paper reports."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.arguments import parse_arguments


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Args:
        model: Its name in the zoo, which is also the row's.
        title: What the table calls it.
        start: Whether it starts from 2D weights or from those of a 3D network.
        tiny: The same of few channels, to see the command run.
        paper: What the paper reports, in per cent and as printed where it was found; empty where that could not be verified.
    """

    model: str
    title: str
    start: Literal["2d", "3d"]
    tiny: str
    paper: Mapping[str, str] = field(default_factory=dict)


_TABLE = (
    Row("c2d50", "2D, frame features averaged", "2d", "test_c2d"),
    Row("c2d50_max", "2D, their maximum", "2d", "test_c2d_max"),
    Row("c2d50_rnn", "2D, an RNN over them", "2d", "test_c2d_rnn"),
    Row("c2d50_attention", "2D, temporal attention", "2d", "test_c2d_attention"),
    Row("r3d50", "3D", "3d", "test_r3d"),
    # as two public lists of published results have it, which agree; the paper itself could not be opened
    Row("r3d50_nl", "3D with non-local blocks", "3d", "test_r3d_nl", {"rank-1": "84.3", "mAP": "77"}),
)
# the separable convolution of the paper's Fig. 3d read literally; no network trained on actions is published for it
_OTHER_READING = (
    Row("r3d50_separable", "3D, every convolution separable", "2d", "test_r3d_separable"),
    Row("r3d50_separable_nl", "the same with non-local blocks", "2d", "test_r3d_separable_nl"),
)
TABLE_2 = tuple(row.model for row in _TABLE)
ROWS = {row.model: row for row in (*_TABLE, *_OTHER_READING)}


def arguments_of(row: Row, shared: Namespace) -> Namespace:
    """What `examples/train.py` is called with for a row.

    Args:
        row: The row.
        shared: The command line, whose options all rows have.
    """
    folder: Path = shared.output / row.model
    arguments = parse_arguments(["mars", str(shared.root), "-o", str(folder)])
    names = vars(arguments).keys() & vars(shared).keys() - {"output"}
    vars(arguments).update({name: getattr(shared, name) for name in names})
    arguments.model = row.tiny if shared.tiny else row.model
    arguments.pretrained = None if shared.tiny else getattr(shared, f"weights_{row.start}")
    arguments.head = "bottleneck"  # the paper's, for all; weights could bring another
    return arguments
