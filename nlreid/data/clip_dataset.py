"""What data sets of clips share: items by seed, epoch, index and draw alone, labels, and an epoch that workers see change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import index as as_index
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlreid.data.randomness import generator_for
from nlreid.data.samplers import Draw
from nlreid.errors import InputError, some_of, whole_number

NO_CAMERA = -1

_LAST_EPOCH = 2**63 - 1  # workers share it as an int64


class ClipItem(NamedTuple):
    """One clip of one tracklet. A `DataLoader` makes a `ClipItem` of tensors of b of them.

    Args:
        clip: float32, `(3, t, h, w)`.
        label: The class of the person, for the loss.
        pid: The person's identity in the data set.
        camid: The camera's number; -1 where it is not known.
        index: The place of the tracklet in the data set.
    """

    clip: Tensor
    label: int
    pid: int
    camid: int
    index: int  # type: ignore[assignment]  # hides the method of tuple, which nobody needs here


class ClipRule(Protocol):
    """Which frames make a clip: a function of `nlreid.data.clips` that gives one clip, or `functools.partial` of it."""

    def __call__(self, length: int, /, *, generator: torch.Generator) -> Sequence[int]:
        """The places of the frames, of `length` that there are."""


class ClipTransform(Protocol):
    """What turns frames into a clip: `TrainingTransform`, `EvaluationTransform`, or another that can be called like them."""

    def __call__(self, frames: list[Tensor], /, generator: torch.Generator) -> Tensor:
        """The clip, of uint8 RGB pictures `(h, w, 3)` that may differ in size."""


class ClipDataset(Dataset[ClipItem], ABC):
    """One random clip of each tracklet an epoch. What the pictures of a tracklet are, a subclass says.

    Args:
        pids: Whose each tracklet is.
        clips: Which frames.
        transform: What to make of them.
        labels: The label of each pid; by default 0..n-1 by rising pid.
        seed: Of everything that is drawn, at least 0.

    Raises:
        InputError: If there is no tracklet, a pid has no label, or an argument has another type.
    """

    _stream: ClassVar[tuple[int, ...]] = ()  # of the seed's random numbers, where a subclass draws others, too

    def __init__(
        self,
        pids: Sequence[int],
        *,
        clips: ClipRule,
        transform: ClipTransform,
        labels: Mapping[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        self.pids = tuple(pids)
        if not self.pids:
            raise InputError(f"a {type(self).__name__} has at least one tracklet; got none")
        self.labels = _labels(self.pids, labels)
        for name, value, module in (("clips", clips, "clips"), ("transform", transform, "training")):
            if not callable(value):
                raise InputError(f"{name} is a function, see nlreid.data.{module}; got {value!r}")
        self.clips, self.transform = clips, transform
        self.seed = whole_number("seed", seed, least=0)
        # in memory that workers share, so that workers that stay from epoch to epoch see it change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @abstractmethod
    def _clip(self, place: int, generator: torch.Generator) -> tuple[Tensor, int]:
        """A clip of a tracklet, float32 `(3, t, h, w)`, and the number of its camera; all that is random from the generator."""

    @property
    def epoch(self) -> int:
        """The epoch that items are of."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the clips of the next epoch, also in workers that are already there.

        Call it before the `DataLoader` is iterated over, which begins to read at once.

        Raises:
            InputError: If `epoch` is no whole number from 0 to 2**63 - 1.
        """
        number = whole_number("epoch", epoch, least=0)
        if number > _LAST_EPOCH:
            raise InputError(f"epoch is a whole number from 0 to {_LAST_EPOCH}; got {number}")
        self._epoch.fill_(number)

    @property
    def num_classes(self) -> int:
        """How many outputs a classifier of the labels has, one more than the largest label."""
        return max(self.labels.values()) + 1

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, index: int) -> ClipItem:
        """The clip of one tracklet in this epoch; of a plain index it is that of its first draw.

        Raises:
            IndexError: If there is no such tracklet.
            InputError: If the index is no whole number; `torch.utils.data.Subset` is a part of a data set.
            DataError: If a picture cannot be read; it names the file, also when a worker read it.
        """
        try:
            place = range(len(self))[as_index(index)]  # -1 is the last, with the clip of the last
        except TypeError as error:
            raise InputError(
                f"the index of a tracklet is a whole number; got {index!r:.80}; of several make a torch.utils.data.Subset"
            ) from error
        number, pid = index.number if isinstance(index, Draw) else 0, self.pids[place]
        clip, camid = self._clip(place, generator_for(self.seed, *self._stream, self.epoch, place, number))
        return ClipItem(clip, self.labels[pid], pid, camid, place)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch.share_memory_()  # a copy has an epoch of its own, which its own workers share


def _labels(pids: Sequence[int], given: Mapping[int, int] | None) -> dict[int, int]:
    if given is None:
        return {pid: label for label, pid in enumerate(sorted(set(pids)))}
    if not isinstance(given, Mapping):
        raise InputError(f"labels is a mapping from pid to label; got {given!r:.80}")
    missing = {str(pid) for pid in pids if pid not in given}
    if missing:
        raise InputError(f"labels has no label for {len(missing)} of the tracklets' pids: {some_of(missing)}")
    return {pid: whole_number(f"the label of pid {pid}", label, least=0) for pid, label in given.items()}
