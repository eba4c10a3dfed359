"""Several runs, one after the other: those that are done are kept, and the same command goes on with the first that is not."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Protocol

from nlreid.data.datasets.table import DATASETS
from training.network import FIGURES
from training.running import Stop, Team, replacing


class Run(Protocol):
    """What `train.Training` is."""

    def run(self) -> int:
        """Train to the end, or until something stops it: the exit status."""


def run_in_turn(
    runs: Sequence[Namespace],
    begin: Callable[[Namespace], Run],
    team: Team,
    stop: Stop,
    done: Callable[[], None] = lambda: None,
) -> int | None:
    """Make each of the runs that are not finished.

    Args:
        runs: The arguments of each, with folders of their own.
        begin: Makes a run of its arguments.
        team: The processes that train together.
        stop: What may end them.
        done: Called by the first process whenever one more is finished.

    Returns:
        The exit status of the run that was stopped, or None where all are finished.
    """
    for number, arguments in enumerate(runs, start=1):
        if not is_finished(arguments.output):
            if team.rank == 0:
                print(f"{arguments.output}, {number} of {len(runs)}", file=sys.stderr)
            stop.at_once = True  # nothing would be lost until its first step
            status = begin(arguments).run()
            # the others ask the first, which is still evaluating and saving when they come out
            if not team.any(team.rank == 0 and is_finished(arguments.output)):
                return status
        if team.rank == 0:
            done()
    return None


def is_finished(folder: Path) -> bool:
    """Whether the run of a folder has come to its end."""
    return (folder / "model").is_dir()


def final_scores(folder: Path) -> dict[str, float]:
    """The scores of a finished run, as fractions of 1; those that its data set has."""
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    return {name: last[name] for name in FIGURES if name in last}


def each_split(arguments: Namespace) -> list[Namespace]:
    """The runs of `--split all`: one for each split, in a folder of its own."""
    splits = range(DATASETS[arguments.dataset].splits)
    return [Namespace(**{**vars(arguments), "split": n, "output": arguments.output / f"split_{n}"}) for n in splits]


def write_mean(folder: Path, runs: Sequence[Namespace]) -> str:
    """Write `scores.json`, the scores of each split with their mean and standard deviation (n - 1); the mean as text."""
    scores = {run.output.name: final_scores(run.output) for run in runs}
    shared = [name for name in FIGURES if all(name in own for own in scores.values())]
    columns = {name: [own[name] for own in scores.values()] for name in shared}
    spreads = {name: {"mean": mean(values), "std": stdev(values)} for name, values in columns.items()}
    with replacing(folder / "scores.json") as file:
        file.write((json.dumps({"splits": scores, "mean": spreads}, indent=1) + "\n").encode())
    lines = (f"{name:15} {100 * own['mean']:6.2f} +- {100 * own['std']:.2f}" for name, own in spreads.items())
    return "\n".join([f"{folder / 'scores.json'}: mean of {len(runs)} splits, per cent", *lines])
