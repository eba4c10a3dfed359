"""From finished rows to the table, as Markdown."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping

from training.arguments import fixed_options, parse_arguments
from training.network import METRICS, TRAPEZOID
from training.series import final_scores, is_finished

import nlreid
from nlreid.data.split import Split
from table_2.rows import ROWS

FIGURES = (*METRICS[:-1], TRAPEZOID)
PAPER = ("rank-1", "mAP")
PER_ROW = ("model", "pretrained", "head")


def report(runs: Mapping[str, Namespace], split: Split, *, tiny: bool) -> str:
    """The table and what it was made with; a row that is not finished says so.

    Args:
        runs: The arguments of each row's training, by the row's name.
        split: What was trained and scored on.
        tiny: Whether these are networks of few channels, in the place of the paper's.
    """
    headings = ("network", "starts from", *FIGURES, *(f"paper: {name}" for name in PAPER))
    lines = ["# The paper's Table 2 on MARS", "", _line(headings), _line(["---"] * len(headings))]
    lines += [_row(name, arguments) for name, arguments in runs.items()]
    lines += [
        "",
        "Per cent. mAP is the mean of the precisions at the right answers; by trapezoids is how the official code of MARS "
        "computes it. Which of them the paper has is not known, nor its cells that are empty here.",
        "",
        f"{split.name}: {len(split.train):,} tracklets of {split.num_classes:,} persons to train on, {len(split.query):,} "
        f"queries, {len(split.gallery):,} tracklets in the gallery. nlreid {nlreid.__version__}.",
        *(f"- {note}" for note in split.notes),
        "",
        f"Options: {_options(next(iter(runs.values())))}.",
    ]
    if tiny:
        lines += ["", "**Networks of a few channels, in the place of the paper's: these figures say nothing about it.**"]
    return "\n".join(lines) + "\n"


def _row(name: str, arguments: Namespace) -> str:
    row, folder = ROWS[name], arguments.output
    scores = final_scores(folder) if is_finished(folder) else {}
    ours = [f"{100 * scores[figure]:.1f}" if figure in scores else "not run" for figure in FIGURES]
    return _line([f"`{arguments.model}`: {row.title}", arguments.pretrained or "random", *ours, *map(row.paper.get, PAPER)])


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} |"


def _options(arguments: Namespace) -> str:
    """Those that differ from what `examples/train.py` has."""
    defaults = fixed_options(parse_arguments(["mars", "MARS", "-o", "out"]))
    own = fixed_options(arguments)
    other = [f"{name}={own[name]}" for name in own if name not in PER_ROW and own[name] != defaults[name]]
    return ", ".join(other) or "those that `examples/train.py` has"
