"""What is trained on and what is tested on, and the batches of an epoch."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from nlreid.data.clip_dataset import ClipDataset, ClipItem
from nlreid.data.datasets.synthetic import LookAlikes, SyntheticPeople
from nlreid.data.datasets.synthetic.clips import SyntheticClips
from nlreid.data.datasets.synthetic.training import training_figures
from nlreid.data.datasets.table import read_splits
from nlreid.data.samplers import Draw, RandomIdentitySampler
from nlreid.data.split import Split
from nlreid.data.tracklet_dataset import TrackletDataset
from nlreid.errors import DataError
from nlreid.models.spec import ClipSpec
from training.arguments import SYNTHETIC


def read_split(arguments: argparse.Namespace) -> Split:
    """The data set, of those with several splits one; of synthetic people those to test on."""
    if arguments.dataset == SYNTHETIC:
        return replace(synthetic_people(arguments), train_identities=0).split()
    try:
        (split,) = read_splits(arguments.dataset, arguments.root, split=arguments.split, partial=arguments.partial)
    except DataError as error:  # which tells how to call a function
        raise DataError(str(error).replace("pass partial=True", "give --partial")) from error
    return split


def count_identities(arguments: argparse.Namespace, split: Split) -> int:
    """How many people there are to train on."""
    return arguments.identities if arguments.dataset == SYNTHETIC else split.num_classes


def training_set(arguments: argparse.Namespace, split: Split, spec: ClipSpec) -> ClipDataset:
    """The clips to train on: a data set with `pids`, `num_classes` and `set_epoch`."""
    clips, transform = spec.training_clips(), spec.training_transform(arguments.erasing)
    if arguments.dataset != SYNTHETIC:
        return TrackletDataset(split.train, clips=clips, transform=transform, seed=arguments.seed)
    folder = arguments.figures or arguments.output / "figures"
    with tqdm(desc="drawing", unit="walk") as bar:
        figures, pids = training_figures(
            synthetic_people(arguments), folder=folder, compiled=arguments.compiled, progress=partial(_show, bar)
        )
    strength = arguments.strength
    return SyntheticClips(figures, pids, clips=clips, transform=transform, strength=strength, seed=arguments.seed)


def synthetic_people(arguments: argparse.Namespace) -> SyntheticPeople:
    """Those to train on, each walking as often as asked for, and others to test on."""
    return SyntheticPeople(
        seed=arguments.data_seed,
        identities=arguments.test_identities,
        train_identities=arguments.identities,
        train_cameras=arguments.tracklets,  # each walk is drawn for another viewpoint
        frames=arguments.rendered_frames,
        size=tuple(arguments.rendered_size),
        lookalikes=LookAlikes(share=arguments.lookalikes),
        strength=arguments.strength,
        rate=tuple(arguments.rate),
    )


def _show(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


class Batches:
    """The batches of an epoch, each a list of indices; of a resumed epoch those that are still to come.

    Args:
        sampler: P identities with K tracklets each, of this process.
        size: Clips of a batch of this process, P x K.
    """

    def __init__(self, sampler: RandomIdentitySampler, size: int) -> None:
        self.sampler, self.size, self.done = sampler, size, 0

    def begin(self, epoch: int, done: int) -> None:
        """Choose the epoch, and how many of its batches were had before."""
        self.sampler.set_epoch(epoch)
        self.done = done

    @property
    def in_epoch(self) -> int:
        """How many batches a whole epoch has."""
        return -(-len(self.sampler) // self.size)

    def __len__(self) -> int:
        return self.in_epoch - self.done

    def __iter__(self) -> Iterator[list[Draw]]:
        indices = list(self.sampler)
        for number in range(self.done, self.in_epoch):
            yield indices[number * self.size : (number + 1) * self.size]


def make_loader(train: ClipDataset, batches: Batches, workers: int, device: torch.device) -> DataLoader[ClipItem]:
    """A loader whose clips depend on seed, epoch and index alone, whoever reads them and wherever the epoch begins."""
    return DataLoader(
        train,
        batch_sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=device.type == "cuda",
        worker_init_fn=_worker_signals,
        generator=torch.Generator(),  # else each epoch would draw from the global one
    )


def _worker_signals(_: int) -> None:
    """Ctrl-C and termination reach workers, too, as part of the group: they go when the training is done with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
