"""The training of `train.py` on Hugging Face Accelerate, which brings the processes, the precision and the states.

    python examples/train_accelerate.py mars /data/MARS --model r3d50_nl --pretrained kinetics -o out
    accelerate launch --num_processes 8 --mixed_precision bf16 examples/train_accelerate.py mars /data/MARS … -o out

Three things are not what loops with Accelerate usually do. The loader is not prepared: `RandomIdentitySampler` gives each
process identities of its own already. The loss gathers: it looks for the hardest positives and negatives in the batches of
all processes. And the learning rate is a function of the step, so that no scheduler has to know how many processes there are.

The state is kept behind every epoch, and the same command goes on from there. docs/training.md says more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import broadcast, set_seed
from torch import Tensor
from tqdm import tqdm
from training import arguments as options
from training.data import Batches, count_identities, make_loader, read_split, training_set
from training.network import make_model, publish, score, share_norms, wrong_convolutions
from training.recipe import make_loss, make_optimiser, set_rate, share_of
from training.running import check_options, in_a_line, write_log
from training.states import all_states, check_state, keep_state, newest_state

import nlreid
from nlreid.data.clip_dataset import ClipItem
from nlreid.data.samplers import RandomIdentitySampler
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import InputError
from nlreid.publish.card import ModelCard

SUMS = ("loss", "cross_entropy", "triplet", "accuracy")


def main() -> int:
    """Train, or say in one line why not."""
    arguments = parse_arguments()
    return in_a_line(partial(train, arguments), f"the last epoch in {arguments.output}")


def train(arguments: argparse.Namespace) -> int:
    """One run with all processes: the exit status."""
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=12))  # for who waits until the people are drawn
    accelerator = Accelerator(cpu=arguments.cpu, kwargs_handlers=[patience])
    try:
        Training(arguments, accelerator).run()
    finally:
        accelerator.end_training()
    return 0


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line: that of `train.py`, but for what Accelerate decides."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=options.Help)
    data = options.add_data(parser)
    data.add_argument("--split", type=options.number(int, 0), default=0, help="of data sets with ten splits, which")
    options.add_model(parser.add_argument_group("model"))
    options.add_recipe(parser.add_argument_group("recipe"))
    run = parser.add_argument_group("run")
    options.add_run(run)
    run.add_argument("--cpu", action="store_true", help="leave GPUs alone")
    run.add_argument("--save-every", type=options.number(int, 1), default=1, metavar="EPOCHS", help="how often it is kept")
    arguments = parser.parse_args(argv)
    options.check_data(parser, arguments)
    options.settle_length(arguments)
    return arguments


class Progress:
    """How far a run is: its next epoch, its steps and seconds so far, and a line of the log for each epoch before."""

    def __init__(self, tracklets: int) -> None:
        self.tracklets, self.epoch, self.step, self.seconds, self.log = tracklets, 0, 0, 0.0, []

    def state_dict(self) -> dict[str, Any]:
        """What Accelerate keeps."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, if the data set is what it was."""
        if state["tracklets"] != self.tracklets:
            raise InputError(
                f"the state was kept by a run on {state['tracklets']} tracklets, and now there are {self.tracklets}; "
                "put the data set back as it was, or begin anew with another -o"
            )
        vars(self).update(state)


class Training:
    """A run: everything that the loop needs, made in the order in which one thing needs another."""

    def __init__(self, arguments: argparse.Namespace, accelerator: Accelerator) -> None:
        self.arguments, self.accelerator = arguments, accelerator
        self.first, processes = accelerator.is_main_process, accelerator.num_processes
        self.output: Path = arguments.output
        if self.first:
            self.output.mkdir(parents=True, exist_ok=True)
            ModelCard(arguments.licence)  # before the long work: a licence that does not exist is an error
            engine = {"num_processes": processes, "mixed_precision": accelerator.mixed_precision}
            begun = newest_state(self.output) is not None or (self.output / "model").exists()
            check_options(self.output / "options.json", options.fixed_options(arguments) | engine, begun)
        self.split = read_split(arguments)
        p = share_of(arguments.p, processes)

        torch.manual_seed(arguments.seed)  # of the weights that nothing is loaded into
        model = make_model(arguments, count_identities(arguments, self.split))
        check_precision(model, accelerator)
        if accelerator.device.type == "cuda" and processes > 1:
            share_norms(model)
        self.loss = make_loss(arguments)
        self.network, self.optimiser = accelerator.prepare(model, make_optimiser(arguments, model))

        with accelerator.main_process_first():  # what the first writes, the others find
            self.train = training_set(arguments, self.split, model.clip_spec)
        place = (accelerator.process_index, processes)
        self.batches = Batches(RandomIdentitySampler(self.train.pids, p, arguments.k, arguments.seed, *place), p * arguments.k)
        self.loader = make_loader(self.train, self.batches, arguments.workers, accelerator.device)
        self.steps: int = arguments.steps or arguments.epochs * self.batches.in_epoch
        self.progress = Progress(len(self.train))
        accelerator.register_for_checkpointing(self.progress)

    def run(self) -> None:
        """Train to the end, from the last state if there is one; then score the network and save it."""
        if (self.output / "model").is_dir():
            self.accelerator.print(f"{self.output / 'model'} is there already: this run is finished")
            return
        set_seed(self.arguments.seed, device_specific=True)  # of dropout; the states of all generators are kept with the rest
        state = newest_state(self.output)
        if state:
            check_state(state)
            self.accelerator.load_state(str(state))
        self.clock = time.monotonic() - self.progress.seconds
        with tqdm(total=self.steps, initial=self.progress.step, unit="step", disable=not self.first) as self.bar:
            while self.progress.step < self.steps:
                self.run_epoch()
        self.finish()

    def run_epoch(self) -> None:
        """One pass over the identities; then a line of the log and, where it is due, a state."""
        progress = self.progress
        self.train.set_epoch(progress.epoch)
        self.batches.begin(progress.epoch, 0)
        self.network.train()
        sums, before = torch.zeros(len(SUMS), device=self.accelerator.device), progress.step
        for batch in self.loader:
            if progress.step == self.steps:
                break
            sums += self.take_step(batch)
            progress.step += 1
            self.bar.update()
        means = self.accelerator.reduce(sums, "mean") / (progress.step - before)
        self.note(dict(zip(SUMS, (round(value, 6) for value in means.tolist()), strict=True)))
        if progress.step == self.steps or progress.epoch % self.arguments.save_every == 0:
            accelerator = self.accelerator
            keep_state(self.output, progress.epoch, accelerator.save_state, self.first, accelerator.wait_for_everyone)
        if self.first:
            write_log(self.output / "log.jsonl", progress.log)

    def take_step(self, batch: ClipItem) -> Tensor:
        """One step of the optimiser; the losses and the accuracy of its batch, `(4,)`."""
        set_rate(self.arguments, self.optimiser, self.progress.step, self.steps)
        clip, label = (value.to(self.accelerator.device, non_blocking=True) for value in (batch.clip, batch.label))
        output = self.network(clip)
        parts = self.loss(output, label)
        self.optimiser.zero_grad()
        self.accelerator.backward(parts.total)
        self.optimiser.step()
        accuracy = (output.logits.argmax(1) == label).float().mean()
        return torch.stack([*parts, accuracy]).detach()

    def note(self, means: Mapping[str, float]) -> None:
        """Close an epoch."""
        progress = self.progress
        if not np.isfinite(means["loss"]):
            raise InputError(f"the loss of epoch {progress.epoch} is {means['loss']}: lower --lr, or use --mixed_precision no")
        progress.seconds = time.monotonic() - self.clock
        row = {"epoch": progress.epoch, "step": progress.step, "seconds": round(progress.seconds)}
        progress.log.append({**row, "lr": self.optimiser.param_groups[0]["lr"], **means})
        progress.epoch += 1

    def finish(self) -> None:
        """Score the network, each process embedding a share of the test part, and save it with a card."""
        model = self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
        broadcast(list(model.buffers()))  # the running averages of norms that are not shared: those of the first are kept
        embedded = self.output / "embedded"  # what an interrupted evaluation goes on from
        scores = score(model, self.split, partial(embed_in_parts, folder=embedded, share=True), share=True)
        if not self.first:
            return
        last = self.progress.log[-1]
        last |= {name: round(value, 5) for name, value in scores.items()}
        write_log(self.output / "log.jsonl", self.progress.log)
        publish(model, self.output / "model", self.arguments, self.split, last, script="train_accelerate.py")
        for folder in (*all_states(self.output), embedded):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{self.output / 'model'}: " + (", ".join(f"{n} {v:.3f}" for n, v in scores.items()) or "nothing to score it on"))


def check_precision(model: nlreid.VideoReID, accelerator: Accelerator) -> None:
    """Refuse a precision in which this machine computes the network wrong."""
    if accelerator.device.type != "cpu" or accelerator.mixed_precision != "bf16":
        return
    wrong = wrong_convolutions(model, torch.bfloat16)
    if wrong:
        raise InputError(
            f"this machine gets {len(wrong)} convolutions wrong in bfloat16, such as {wrong[0]}; use --mixed_precision no"
        )


if __name__ == "__main__":
    sys.exit(main())
