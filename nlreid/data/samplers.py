"""Batches of P identities with K tracklets each, as the batch-hard triplet loss needs them (Hermans et al. 2017)."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch.utils.data import Sampler

from nlreid.errors import InputError, whole_number


class Draw(int):
    """An index of a data set, for which it can be used, that knows how often it was drawn before in this epoch.

    `nlreid.data.tracklet_dataset.TrackletDataset` makes another clip of each draw. A `DataLoader` hands it on as it is.

    >>> draw = Draw(5, number=1)
    >>> "abcdef"[draw], draw.number
    ('f', 1)

    Args:
        index: Of the data set.
        number: 0 when it is drawn for the first time, 1 for the second time, …
    """

    number: int

    def __new__(cls, index: int, number: int = 0) -> Draw:
        """An int with a number, which `pickle` and `copy` keep as they keep any attribute."""
        draw = super().__new__(cls, index)
        draw.number = number
        return draw


def numbered(indices: Iterable[int]) -> Iterator[Draw]:
    """The indices of one epoch, each with how often it came before: for samplers that draw with replacement.

    >>> [(int(draw), draw.number) for draw in numbered([7, 3, 7, 7])]
    [(7, 0), (3, 0), (7, 1), (7, 2)]
    """
    before: Counter[int] = Counter()
    for index in indices:
        yield Draw(index, before[index])
        before[index] += 1


class RandomIdentitySampler(Sampler[int]):
    """Draws every identity once an epoch, K tracklets of it at a time, P identities a batch.

    Yields single indices, K in a row of one identity, for `DataLoader(tracklets, batch_size=p * k, sampler=sampler)`.
    Call `set_epoch` before each epoch; without it every epoch is the same.

    - Of an identity with at least K tracklets, K different ones are drawn. One with fewer gives each of its tracklets
      once, and the rest of the K with replacement. Each index is a `Draw`, whose number tells the draws of one tracklet
      apart, on all ranks together: of the same clip twice the batch-hard triplet loss would take one for the nearest other.
    - The last batch is smaller where P does not divide the identities. An only identity in it, which would have no
      negatives, is joined by the first identity of the epoch, drawn anew.
    - With several processes, each rank takes every `world_size`-th identity of one common permutation. So that all
      have the same number of batches of the same sizes, the first identities of the epoch are drawn again at its end,
      fewer than `2 * world_size` of them. No two ranks, nor two places in a batch, have the same identity in one step.

    The same pids, seed and epoch give the same draw; the global random state is neither read nor changed.

    >>> sampler = RandomIdentitySampler([5, 5, 5, 8, 8, 9], p=2, k=2)
    >>> len(sampler)  # 3 identities, and one of them again to keep the last company
    8

    Args:
        pids: The identity of each tracklet of the training set, in the order of the data set.
        p: Identities a batch, at least 2, so that there are negatives.
        k: Tracklets an identity, at least 1; the triplet loss needs 2.
        seed: Of the draws, at least 0.
        rank: Which process this is, 0..world_size-1.
        world_size: How many processes train together; each has batches of `p * k`.

    Raises:
        InputError: If an argument is out of its range, a pid is no integer, or there are fewer than `p * world_size`
            identities.
    """

    def __init__(self, pids: Sequence[int], p: int = 32, k: int = 4, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        super().__init__()
        for name, value, least in (("p", p, 2), ("k", k, 1), ("seed", seed, 0), ("world_size", world_size, 1)):
            whole_number(name, value, least)
        if not 0 <= whole_number("rank", rank, least=0) < world_size:
            raise InputError(f"rank must be in 0..{world_size - 1} for world_size {world_size}; got {rank}")
        self._tracklets = _by_identity(pids)
        if len(self._tracklets) < p * world_size:
            raise InputError(
                f"batches of p={p} identities on world_size={world_size} processes need {p * world_size} identities; "
                f"the {len(pids)} tracklets have {len(self._tracklets)}; lower p or world_size"
            )
        self.p, self.k, self.seed, self.rank, self.world_size = p, k, seed, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the draw of the next iteration, the same epoch on every rank.

        Raises:
            InputError: If `epoch` is negative.
        """
        self.epoch = whole_number("epoch", epoch, least=0)

    def __len__(self) -> int:
        """How many indices this rank yields an epoch."""
        return self._identities_per_rank() * self.k

    def __iter__(self) -> Iterator[Draw]:
        """The indices of one epoch, of this rank."""
        generator = self._generator()
        order = torch.randperm(len(self._tracklets), generator=generator).tolist()
        order += order[: self._identities_per_rank() * self.world_size - len(order)]
        # every rank draws for all, so that what an identity gives does not depend on the number of ranks
        draws = list(numbered(chain(*(self._draw(self._tracklets[identity], generator) for identity in order))))
        places = range(self.rank, len(order), self.world_size)
        return chain(*(draws[place * self.k : (place + 1) * self.k] for place in places))

    def _identities_per_rank(self) -> int:
        share = math.ceil(len(self._tracklets) / self.world_size)
        return share + 1 if share % self.p == 1 else share

    def _generator(self) -> torch.Generator:
        # mixed, not added: seed 0 at epoch 1 is not seed 1 at epoch 0
        state = np.random.SeedSequence((self.seed, self.epoch)).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0]))

    def _draw(self, tracklets: list[int], generator: torch.Generator) -> list[int]:
        """K of the tracklets of one identity."""
        count = len(tracklets)
        places = torch.randperm(count, generator=generator)[: self.k].tolist()
        if count < self.k:
            places += torch.randint(count, (self.k - count,), generator=generator).tolist()
        return [tracklets[place] for place in places]


def _by_identity(pids: Sequence[int]) -> list[list[int]]:
    """The tracklets of each identity, identities in the order of their first tracklet."""
    tracklets: dict[int, list[int]] = {}
    for index, pid in enumerate(pids):
        try:
            identity = operator.index(pid)  # equal for Python, NumPy and tensor integers
        except TypeError as error:
            raise InputError(
                f"pids[{index}] is {pid!r}; every tracklet needs an integer identity: leave out those without"
            ) from error
        tracklets.setdefault(identity, []).append(index)
    return list(tracklets.values())
