"""The paper's Table 2 on MARS (arXiv 1807.05073): train and score each row, and set our figures beside the paper's.

    python examples/reproduce_table_2.py /data/MARS -o table_2
    torchrun --nproc-per-node 8 -- examples/reproduce_table_2.py /data/MARS -o table_2
    python examples/reproduce_table_2.py /data/MARS -o table_2 --dry-run

Each row is a run of `examples/train.py`, in a folder of its own: `table_2/c2d50` and so on. The same command goes on where it
was interrupted; rows that are finished are kept. `table_2/table.md` is written anew after each row. What it needs, and how
long it takes: docs/how_to/reproduce_table_2.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from table_2.cost import Cost, cost_of, duration
from table_2.report import report
from table_2.rows import ROWS, TABLE_2, arguments_of
from train import Training
from training.arguments import Help, add_clip, add_loop, add_reading, add_recipe, add_run, fixed_options, settle_length
from training.data import read_split
from training.network import make_model
from training.running import Stop, Team, as_program, check_options, replacing
from training.series import is_finished, run_in_turn

TOLD = 10  # how often in a row the time that is left is said


def main() -> int:
    """Make the table, or say in one line why not."""
    arguments = parse_arguments()
    return as_program(arguments, partial(reproduce, arguments))


def parse_arguments(argv: Sequence[str] | None = None) -> Namespace:
    """The command line: that of `examples/train.py`, but for what the rows differ in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=Help)
    parser.add_argument("root", type=Path, help="where MARS lies: bbox_train, bbox_test, info")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of all rows; one that is there is resumed")
    rows = parser.add_argument_group("rows")
    names = list(ROWS)
    rows.add_argument("--rows", nargs="+", choices=names, default=TABLE_2, metavar="ROW", help=f"of {', '.join(names)}")
    rows.add_argument("--weights-2d", default="imagenet", help="what the 2D rows start from: as --pretrained of train.py")
    rows.add_argument("--weights-3d", default="kinetics", help="what the 3D rows start from")
    rows.add_argument("--tiny", action="store_true", help="networks of a few channels and random weights, to see it run")
    rows.add_argument("--dry-run", action="store_true", help="read the data set, say what would run, and run nothing")
    data = parser.add_argument_group("data")
    add_reading(data)
    add_clip(data)
    add_recipe(parser.add_argument_group("recipe"))
    run = parser.add_argument_group("run")
    add_loop(run)
    add_run(run)
    arguments = parser.parse_args(argv)
    settle_length(arguments)
    return arguments


def reproduce(arguments: Namespace, team: Team, stop: Stop) -> int:
    """All rows that are asked for, one after the other, and the table: the exit status."""
    folder: Path = arguments.output
    all_rows = {name: arguments_of(row, arguments) for name, row in ROWS.items()}
    runs = {name: own for name, own in all_rows.items() if name in arguments.rows}
    split = read_split(next(iter(runs.values())))  # an incomplete data set is refused before anything is begun
    costs = {name: cost_of(own, split.num_classes) for name, own in runs.items()}
    if team.rank == 0:
        print(f"{split.summary()}\n\n{plan(runs, costs)}", flush=True)
    if arguments.dry_run:
        return 0
    if team.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        begun = any(own.output.exists() for own in all_rows.values())
        check_options(folder / "options.json", shared_options(arguments), begun)
    team.in_turn(lambda: weights_are_there(runs, split.num_classes))

    def begin(own: Namespace) -> RowTraining:
        return RowTraining(own, team, stop, runs, costs)

    def write_table() -> None:
        shown = {name: own for name, own in all_rows.items() if name in (*TABLE_2, *runs) or is_finished(own.output)}
        with replacing(folder / "table.md") as file:
            file.write(report(shown, split, tiny=arguments.tiny).encode())

    status = run_in_turn(list(runs.values()), begin, team, stop, write_table)
    if status is None and team.rank == 0:
        print(f"{(folder / 'table.md').read_text()}\nwritten to {folder / 'table.md'}")
    return status or 0


def plan(runs: Mapping[str, Namespace], costs: Mapping[str, Cost]) -> str:
    """What there is to do, a line for each row."""
    lines = [f"{'row':20}{'starts from':16}{'G multiply-adds a clip':>24}{'clips':>12}{'operations':>13}  state"]
    for name, own in runs.items():
        cost, weights = costs[name], own.pretrained or "random"
        numbers = f"{cost.clip / 1e9:>24.2f}{cost.clips:>12,}{cost.operations:>13.1e}"
        lines.append(f"{name:20}{weights:16}{numbers}  {state(own.output)}")
    return "\n".join(lines)


def state(folder: Path) -> str:
    """How far the run of a row is."""
    if is_finished(folder):
        return "finished"
    return "begun" if (folder / "checkpoint.pt").exists() else "to do"


def shared_options(arguments: Namespace) -> dict[str, object]:
    """The options that all rows of a folder have, in plain values, lest a table compare what cannot be compared."""
    return {name: value for name, value in fixed_options(arguments).items() if name not in ("rows", "dry_run")}


def weights_are_there(runs: Mapping[str, Namespace], num_classes: int) -> bool:
    """Make the network of each row that has not begun: what is missing shall be missed now, and not after days."""
    for own in runs.values():
        if state(own.output) == "to do":
            make_model(own, num_classes)
    return True


class RowTraining(Training):
    """A row's training, which says how long an epoch takes and when all will be done.

    Args:
        arguments: Of this row.
        team: The processes that train together.
        stop: What may end it.
        runs: The arguments of all rows.
        costs: What they cost.
    """

    def __init__(
        self, arguments: Namespace, team: Team, stop: Stop, runs: Mapping[str, Namespace], costs: Mapping[str, Cost]
    ) -> None:
        super().__init__(arguments, team, stop)
        self.name = arguments.output.name
        later = list(runs)[list(runs).index(self.name) + 1 :]
        unfinished = sum(costs[name].operations for name in later if not is_finished(runs[name].output))
        self.later = unfinished / costs[self.name].operations  # rows as long as this one
        self.epochs: list[float] = []  # seconds of each whole one

    def run_epoch(self) -> bool:
        """As always, with a look at the clock."""
        begun, before = time.monotonic(), self.progress.step
        going_on = super().run_epoch()
        if self.progress.step - before == self.batches.in_epoch:  # else it was resumed, or cut short
            self.epochs.append(time.monotonic() - begun)
            every = max(1, self.steps // self.batches.in_epoch // TOLD)
            if self.progress.step < self.steps and (len(self.epochs) == 1 or self.progress.epoch % every == 0):
                self.tell()
        return going_on

    def tell(self) -> None:
        """Say how long an epoch takes, and about how long the rest: as if time went with operations."""
        epoch = median(self.epochs)
        whole = epoch * self.steps / self.batches.in_epoch
        row = whole * (1 - self.progress.step / self.steps)
        said = f"{self.name}: {duration(epoch)} an epoch; left are about {duration(row)}"
        rest = f", with the rows after it {duration(row + self.later * whole)}" if self.later else ""
        if self.team.rank == 0:
            self.bar.write(f"{said}{rest}, and the evaluations", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
