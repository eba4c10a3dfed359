"""Train a network on a data set by the paper's recipe (arXiv 1807.05073, Sec. 4.2): a plain loop, to copy and change.

    python examples/train.py mars /data/MARS --model r3d50_nl --pretrained kinetics -o out
    torchrun --nproc-per-node 8 -- examples/train.py mars /data/MARS --model r3d50_nl --pretrained kinetics -o out

The same command goes on where it was interrupted, by Ctrl-C, a kill or a power cut. In the folder `out`: `options.json`,
`log.jsonl` (a line for each epoch), `checkpoint.pt` while it lasts, and at the end `model`, which
`nlreid.create_model(…, pretrained="out/model")` loads. With `--split all`, of data sets with ten splits, `split_0` to `split_9`
have all that, and `scores.json` the mean of their scores. docs/training.md says more.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from training.arguments import ALL, fixed_options, parse_arguments
from training.data import Batches, count_identities, make_loader, read_split, training_set
from training.network import choose_precision, lay_out, make_model, publish, score
from training.recipe import make_loss, make_optimiser, set_rate, share_of
from training.running import Stop, Team, as_program, check_options, load_checkpoint, save_checkpoint, write_log
from training.series import each_split, run_in_turn, write_mean

import nlreid
from nlreid.data.samplers import RandomIdentitySampler
from nlreid.errors import InputError
from nlreid.publish.card import ModelCard

SUMS = ("loss", "cross_entropy", "triplet", "accuracy")


def main() -> int:
    """Train, or say in one line why not."""
    arguments = parse_arguments()
    return as_program(arguments, partial(train, arguments))


def train(arguments: argparse.Namespace, team: Team, stop: Stop) -> int:
    """One run, or one for each split and then their mean: the exit status."""
    if arguments.split != ALL:
        return Training(arguments, team, stop).run()
    runs = each_split(arguments)
    status = run_in_turn(runs, lambda own: Training(own, team, stop), team, stop)
    if status is None and team.rank == 0:
        print(write_mean(arguments.output, runs))
    return status or 0


class Training:
    """A run: everything that the loop needs, made in the order in which one thing needs another."""

    def __init__(self, arguments: argparse.Namespace, team: Team, stop: Stop) -> None:
        self.arguments, self.team, self.stop = arguments, team, stop
        self.output: Path = arguments.output
        if team.rank == 0:
            self.output.mkdir(parents=True, exist_ok=True)
            ModelCard(arguments.licence)  # before the long work: a licence that does not exist is an error
            begun = any((self.output / name).exists() for name in ("checkpoint.pt", "log.jsonl", "model"))
            check_options(self.output / "options.json", fixed_options(arguments), begun)
        self.split = read_split(arguments)
        p = share_of(arguments.p, team.count)

        torch.manual_seed(arguments.seed)  # of the weights that nothing is loaded into
        self.model = make_model(arguments, count_identities(arguments, self.split)).to(team.device)
        self.autocast = choose_precision(arguments.precision, self.model)
        # a third faster in bfloat16 on a CPU, slower in float32
        last = team.device.type == "cpu" and self.autocast == torch.bfloat16
        self.layout = torch.channels_last_3d if last else torch.contiguous_format
        lay_out(self.model, self.layout)
        self.network = team.wrap(self.model)
        self.loss = make_loss(arguments)
        self.optimiser = make_optimiser(arguments, self.model)
        self.scaler = torch.amp.GradScaler(team.device.type, enabled=self.autocast == torch.float16)

        self.train = team.in_turn(lambda: training_set(arguments, self.split, self.model.clip_spec))
        sampler = RandomIdentitySampler(self.train.pids, p, arguments.k, arguments.seed, team.rank, team.count)
        self.batches = Batches(sampler, p * arguments.k)
        self.loader = make_loader(self.train, self.batches, arguments.workers, team.device)
        self.steps: int = arguments.steps or arguments.epochs * self.batches.in_epoch

    def run(self) -> int:
        """Train to the end, or until something stops it; then evaluate and save the network."""
        if (self.output / "model").is_dir():
            print(f"{self.output / 'model'} is there already: this run is finished")
            return 0
        self.progress = load_checkpoint(self.output / "checkpoint.pt", len(self.train), **self.parts())
        self.stop.at_once = False
        self.clock = time.monotonic() - self.progress.seconds
        self.saved = time.monotonic()
        with tqdm(total=self.steps, initial=self.progress.step, unit="step", disable=self.team.rank > 0) as self.bar:
            while self.progress.step < self.steps or self.progress.batch:
                if not self.run_epoch():
                    return 128 + self.stop.signal if self.stop.signal else 0
        if self.team.rank == 0:
            self.finish()
        return 0

    def run_epoch(self) -> bool:
        """One pass over the identities, or the rest of one; False where the run shall stop."""
        progress, device = self.progress, self.team.device
        self.train.set_epoch(progress.epoch)
        self.batches.begin(progress.epoch, progress.batch)
        sums = torch.tensor(progress.sums or [0.0] * len(SUMS), device=device)
        self.network.train()
        for batch in self.loader:
            if progress.step == self.steps:
                break
            clip = batch.clip.to(device, memory_format=self.layout, non_blocking=True)
            sums += self.take_step(clip, batch.label.to(device, non_blocking=True))
            progress.step += 1
            progress.batch += 1
            self.show(sums)
            if self.team.any(self.stop.wanted()):
                self.save(sums)
                if self.team.rank == 0:
                    print(f"stopped behind step {progress.step} of {self.steps}; the same command goes on", file=sys.stderr)
                return False
            if time.monotonic() - self.saved > 60 * self.arguments.save_every:
                self.save(sums)
        self.end_epoch(sums)
        return True

    def take_step(self, clip: Tensor, label: Tensor) -> Tensor:
        """One step of the optimiser; the losses and the accuracy of its batch, `(4,)`."""
        step = self.progress.step
        # dropout depends on seed, step and rank alone: a resumed run draws what it would have drawn
        torch.manual_seed(int(np.random.SeedSequence((self.arguments.seed, step, self.team.rank)).generate_state(1)[0]))
        set_rate(self.arguments, self.optimiser, step, self.steps)
        with torch.autocast(clip.device.type, self.autocast) if self.autocast else nullcontext():
            output = self.network(clip)
        parts = self.loss(output, label)
        self.optimiser.zero_grad()
        self.scaler.scale(parts.total).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        accuracy = (output.logits.argmax(1) == label).float().mean()
        return self.team.mean(torch.stack([*parts, accuracy]).detach())

    def show(self, sums: Tensor) -> None:
        """The progress bar, with the means of the epoch so far whenever it is drawn."""
        if self.bar.update() and self.progress.batch:  # values are fetched only then: on a GPU, fetching waits
            means = dict(zip(SUMS, (sums / self.progress.batch).tolist(), strict=True))
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()}, refresh=False)

    def end_epoch(self, sums: Tensor) -> None:
        """Write a line of the log, with scores where an evaluation is due."""
        progress = self.progress
        values = (sums / progress.batch).tolist()
        row = {"epoch": progress.epoch, "step": progress.step, "seconds": round(time.monotonic() - self.clock)}
        row |= {"lr": self.optimiser.param_groups[0]["lr"]} | {n: round(v, 6) for n, v in zip(SUMS, values, strict=True)}
        if not np.isfinite(values[0]):
            raise InputError(f"the loss of epoch {progress.epoch} is {values[0]}: lower --lr, or give --precision float32")
        done = progress.step == self.steps
        due = self.arguments.evaluate_every and (progress.epoch + 1) % self.arguments.evaluate_every == 0
        if done or due:
            self.save(sums)  # first, so that what is interrupted is not lost
        if due and not done and self.team.rank == 0:
            row |= self.evaluate(self.autocast)
        progress.log.append(row)
        progress.epoch, progress.batch, progress.sums = progress.epoch + 1, 0, []
        if self.team.rank == 0:
            write_log(self.output / "log.jsonl", progress.log)

    def evaluate(self, autocast: torch.dtype | None) -> dict[str, float]:
        """Scores on the test part; Ctrl-C ends it at once, since everything is saved."""
        self.stop.at_once = True
        scores = score(self.model, self.split, partial(nlreid.embed, autocast=autocast))
        self.stop.at_once = False
        return {name: round(value, 5) for name, value in scores.items()}

    def parts(self) -> dict[str, object]:
        """What has a state."""
        return {"model": self.model, "optimiser": self.optimiser, "scaler": self.scaler}

    def save(self, sums: Tensor) -> None:
        """Keep the state, behind a step."""
        self.progress.sums = sums.tolist()
        self.progress.seconds = time.monotonic() - self.clock
        self.saved = time.monotonic()
        if self.team.rank == 0:
            save_checkpoint(self.output / "checkpoint.pt", self.progress, **self.parts())

    def finish(self) -> None:
        """Evaluate in float32, as everybody who loads the network will, and save it with a card."""
        scores = self.evaluate(None)
        log = self.progress.log
        log[-1] |= scores
        write_log(self.output / "log.jsonl", log)
        publish(self.model, self.output / "model", self.arguments, self.split, log[-1])
        (self.output / "checkpoint.pt").unlink(missing_ok=True)
        print(f"{self.output / 'model'}: " + (", ".join(f"{n} {v:.3f}" for n, v in scores.items()) or "nothing to score it on"))


if __name__ == "__main__":
    sys.exit(main())
