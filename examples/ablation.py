"""The paper's Tables 2 and 3 in small (arXiv 1807.05073): what clips, 3D convolution and non-local blocks add.

    python examples/ablation.py -o ablation_runs

Everything is drawn: people, cameras, actions. Every variant starts from the same network of single frames, inflated, unless its
row says otherwise, and is trained for the same number of steps; its learning rate is chosen on people of validation with the
first seed. The tables are on people and cameras of neither. Each finished run is a line of `ablation_runs/runs.jsonl`; the
same command goes on where it was interrupted. docs/ablation.md has the results.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ablation_study.people import Clips, Data, draw, draw_actions
from ablation_study.report import chosen_rate, tables
from ablation_study.training import score, train, train_actions
from ablation_study.variants import VARIANTS
from tqdm import tqdm

RATES = (1e-3, 3e-4)
START_RATE = 1e-3
IMAGE_P = 24  # identities of a batch of single frames
MORE_ACTORS = 100  # than identities
DECISIVE = ("steps", "image_steps", "action_steps", "identities")  # options that the runs of one table share


class Job(NamedTuple):
    """A run that is still to be made."""

    variant: str
    seed: int
    lr: float


def main() -> int:
    """Make the runs that are missing, then print the tables."""
    arguments = parse_arguments()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    other = other_options(folder, {name: getattr(arguments, name) for name in DECISIVE})
    if other:
        print(f"error: {other}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the pool's end, so that nobody is left working
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        seeds = range(arguments.seeds)
        _work(pool, partial(prepare, arguments), seeds, "people")
        run = partial(run_job, folder, arguments.steps)
        tuned = [Job(name, 0, lr) for lr in RATES for name in VARIANTS]
        _work(pool, run, _missing(folder, tuned), "learning rates")
        rest = [Job(name, seed, chosen_rate(read_runs(folder), name)) for seed in seeds for name in VARIANTS]
        _work(pool, run, _missing(folder, rest), "other seeds")
    print(tables(read_runs(folder)))
    return 0


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the runs; one that is there is gone on with"
    )
    parser.add_argument("--steps", type=int, default=300, help="of the optimiser, in each run")
    parser.add_argument("--image-steps", type=int, default=600, help="of the network of single frames that most start from")
    parser.add_argument("--action-steps", type=int, default=200, help="of the network of actions that one starts from")
    parser.add_argument("--seeds", type=int, default=3, help="of people, values and batches")
    parser.add_argument("--identities", type=int, default=300, help=f"people to train on, at least {IMAGE_P}")
    parser.add_argument("--processes", type=int, default=2, help="runs at once, each with one thread")
    arguments = parser.parse_args(argv)
    for name in (*DECISIVE, "seeds", "processes"):
        least = IMAGE_P if name == "identities" else 1
        if getattr(arguments, name) < least:
            parser.error(f"--{name.replace('_', '-')} is at least {least}; got {getattr(arguments, name)}")
    return arguments


def other_options(folder: Path, options: dict[str, int]) -> str | None:
    """What is wrong if a folder holds runs of other options, which must not stand in one table; else they are noted there."""
    path = folder / "options.json"
    if not path.exists():
        path.write_text(json.dumps(options) + "\n")
    before = json.loads(path.read_text())
    return None if before == options else f"{folder} holds runs of {before}, not of {options}; give another --output"


def _work(pool: Any, function: Any, jobs: Iterable[Any], what: str) -> None:
    jobs = list(jobs)
    for _ in tqdm(pool.imap_unordered(function, jobs), what, total=len(jobs), unit="run"):
        pass


def prepare(arguments: argparse.Namespace, seed: int) -> None:
    """Draw the people of a seed, and train the networks that others start from: on single frames, and on actions."""
    folder: Path = arguments.output
    path = folder / f"people_{seed}.pt"
    if not path.exists():
        data = draw(seed, identities=arguments.identities)
        plain = [tuple(data.train), *([tuple(part) for part in pair] for pair in (data.validation, data.test))]
        _save(plain, path)  # torch loads tensors in lists and tuples, and no classes of ours
    path = folder / f"action_{seed}.pt"
    if not path.exists():
        actions = draw_actions(seed, arguments.identities + MORE_ACTORS)
        backbone, accuracy = train_actions(VARIANTS["r3d"], actions, START_RATE, arguments.action_steps, seed)
        _save({"backbone": backbone, "accuracy": accuracy}, path)
    path = folder / f"image_{seed}.pt"
    if not path.exists():
        on_frames = replace(VARIANTS["image"], start="random")
        model = train(on_frames, _data(folder, seed).train, START_RATE, arguments.image_steps, seed, p=IMAGE_P)
        _save({"backbone": model.backbone.state_dict()}, path)


def run_job(folder: Path, steps: int, job: Job) -> None:
    """One run, from its people to its line."""
    data, variant = _data(folder, job.seed), VARIANTS[job.variant]
    begun = time.monotonic()
    model = train(variant, data.train, job.lr, steps, job.seed, _start(folder, job))
    seconds = time.monotonic() - begun
    scores = {"validation": score(model, data.validation), "test": score(model, data.test)}
    line = json.dumps({**job._asdict(), "steps": steps, "seconds": round(seconds, 1), **scores})
    with (folder / "runs.jsonl").open("a") as file:  # one short write: lines of several processes do not mix
        file.write(line + "\n")


def _start(folder: Path, job: Job) -> dict[str, torch.Tensor] | None:
    start = VARIANTS[job.variant].start
    return None if start == "random" else torch.load(folder / f"{start}_{job.seed}.pt", weights_only=True)["backbone"]


def _data(folder: Path, seed: int) -> Data:
    train_part, validation, test = torch.load(folder / f"people_{seed}.pt", weights_only=True)
    return Data(Clips(*train_part), *(tuple(Clips(*part) for part in pair) for pair in (validation, test)))


def _save(values: Any, path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    torch.save(values, unfinished)
    unfinished.replace(path)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """The finished runs."""
    path = folder / "runs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _missing(folder: Path, jobs: list[Job]) -> list[Job]:
    done = {Job(run["variant"], run["seed"], run["lr"]) for run in read_runs(folder)}
    return [job for job in jobs if job not in done]


if __name__ == "__main__":
    sys.exit(main())
