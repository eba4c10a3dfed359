"""Tracklets as a data set of torch: an item is one clip with its label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index as as_index
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlreid.data.randomness import generator_for
from nlreid.data.samplers import Draw
from nlreid.data.tracklet import Tracklet
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


class TrackletDataset(Dataset[ClipItem]):
    """One random clip of each tracklet an epoch, for a `DataLoader`.

    >>> from nlreid.data.clips import random_window
    >>> from nlreid.data.training import TrainingTransform
    >>> transform = TrainingTransform((8, 4), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> pictures = torch.zeros(30, 12, 6, 3, dtype=torch.uint8).numpy()
    >>> people = [Tracklet("a", pictures, pid=7), Tracklet("b", pictures, pid=3)]
    >>> train = TrackletDataset(people, clips=random_window, transform=transform)
    >>> batch = next(iter(torch.utils.data.DataLoader(train, batch_size=2)))
    >>> batch.clip.shape, batch.label, batch.pid
    (torch.Size([2, 3, 8, 8, 4]), tensor([1, 0]), tensor([7, 3]))

    An item depends on the seed, the epoch, its index and the number of its draw (`nlreid.data.samplers.Draw`), and on
    nothing else: clips are the same with any number of workers, started in any way, and on any rank. Call `set_epoch`
    before the loop of each epoch, beside that of the sampler; without it every epoch has the same clips. The global
    random state is neither read nor changed. A sampler that draws an index twice gives `Draw`s, as `RandomIdentitySampler`
    does and `nlreid.data.samplers.numbered` for others, or it gets the same clip twice. Draws differ as much as the track
    allows: of one frame there are several pictures only through the transform.

    For evaluation with one clip a tracklet, `clips=evenly` and `transform=model.clip_spec.transform()`; `nlreid.embed`
    takes all clips of a tracklet.

    Args:
        tracklets: What to train on; each with a pid.
        clips: Which frames, `model.clip_spec.training_clips()`, or another rule of `nlreid.data.clips`.
        transform: What to make of them, `model.clip_spec.training_transform()`.
        labels: The label of each pid, for classes that come from elsewhere; by default 0..n-1 by rising pid.
        seed: Of clips and transforms, at least 0.

    Raises:
        InputError: If there is no tracklet, one has no pid or a pid that has no label, or an argument has another type.
    """

    def __init__(
        self,
        tracklets: Iterable[Tracklet],
        *,
        clips: ClipRule,
        transform: ClipTransform,
        labels: Mapping[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(tracklets, Iterable):
            raise InputError(f"tracklets are a list, or another iterable, of nlreid.Tracklet objects; got {tracklets!r:.80}")
        self.tracklets = tuple(tracklets)
        self.pids = tuple(_pid(tracklet) for tracklet in self.tracklets)
        self.labels = _labels(self.pids, labels)
        for name, value, module in (("clips", clips, "clips"), ("transform", transform, "training")):
            if not callable(value):
                raise InputError(f"{name} is a function, see nlreid.data.{module}; got {value!r}")
        self.clips, self.transform = clips, transform
        self.seed = whole_number("seed", seed, least=0)
        # in memory that workers share, so that workers that stay from epoch to epoch see it change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

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
        """How many outputs a classifier of the labels has: one more than the largest label."""
        return max(self.labels.values()) + 1

    def __len__(self) -> int:
        return len(self.tracklets)

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
        number = index.number if isinstance(index, Draw) else 0
        generator = generator_for(self.seed, self.epoch, place, number)
        tracklet, pid = self.tracklets[place], self.pids[place]
        frames = tracklet.pictures(self.clips(len(tracklet), generator=generator))
        camid = NO_CAMERA if tracklet.camid is None else tracklet.camid
        return ClipItem(self.transform(frames, generator=generator), self.labels[pid], pid, camid, place)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch.share_memory_()  # a copy has an epoch of its own, which its own workers share


def _pid(tracklet: Tracklet) -> int:
    if not isinstance(tracklet, Tracklet):
        raise InputError(f"a TrackletDataset is made of nlreid.Tracklet objects; got {tracklet!r:.80}")
    if tracklet.pid is None:
        raise InputError(f"tracklet {tracklet.name!r} has pid None; every tracklet needs an integer: leave out those without")
    return tracklet.pid


def _labels(pids: Sequence[int], given: Mapping[int, int] | None) -> dict[int, int]:
    if not pids:
        raise InputError("a TrackletDataset has at least one tracklet; got none")
    if given is None:
        return {pid: label for label, pid in enumerate(sorted(set(pids)))}
    if not isinstance(given, Mapping):
        raise InputError(f"labels is a mapping from pid to label; got {given!r:.80}")
    missing = {str(pid) for pid in pids if pid not in given}
    if missing:
        raise InputError(f"labels has no label for {len(missing)} of the tracklets' pids: {some_of(missing)}")
    return {pid: whole_number(f"the label of pid {pid}", label, least=0) for pid, label in given.items()}
