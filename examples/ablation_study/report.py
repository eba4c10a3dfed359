"""From the lines of all runs to the tables of the docs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ablation_study.variants import TABLE_2, TABLE_3, Variant

METRICS = ("rank-1", "rank-5", "rank-10", "mAP")
Run = Mapping[str, Any]


def chosen_rate(runs: Sequence[Run], name: str) -> float:
    """The learning rate with the best mAP on the people of validation, among the runs of the first seed."""
    tuned = [run for run in runs if run["variant"] == name and run["seed"] == 0]
    return float(max(tuned, key=lambda run: run["validation"]["mAP"])["lr"])


def tables(runs: Sequence[Run]) -> str:
    """Both tables, as Markdown."""
    return "\n\n".join(_table(runs, variants) for variants in (TABLE_2, TABLE_3))


def _table(runs: Sequence[Run], variants: Mapping[str, Variant]) -> str:
    headings = ("", "learning rate", *METRICS, "mAP, more than the first row", "the same on validation", "minutes a run")
    lines = [f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|"]
    first = _chosen(runs, next(iter(variants)))
    for name, variant in variants.items():
        own = _chosen(runs, name)
        scores = [_spread([100 * run["test"][metric] for run in own.values()]) for metric in METRICS]
        more = (
            _spread([100 * (run[part]["mAP"] - first[seed][part]["mAP"]) for seed, run in own.items()])
            for part in ("test", "validation")
        )
        minutes = statistics.mean(run["seconds"] for run in own.values()) / 60
        lines.append(f"| {variant.title} | {chosen_rate(runs, name):g} | {' | '.join((*scores, *more))} | {minutes:.1f} |")
    return "\n".join(lines)


def _chosen(runs: Sequence[Run], name: str) -> dict[int, Run]:
    """The runs of a variant with its learning rate, by seed."""
    rate = chosen_rate(runs, name)
    return {run["seed"]: run for run in runs if run["variant"] == name and run["lr"] == rate}


def _spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation of a sample, in percent."""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"
