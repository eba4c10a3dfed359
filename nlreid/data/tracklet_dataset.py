"""Tracklets as a data set of torch: an item is one clip with its label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from nlreid.data.clip_dataset import NO_CAMERA, ClipDataset, ClipRule, ClipTransform
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError


class TrackletDataset(ClipDataset):
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
        pids = [_pid(tracklet) for tracklet in self.tracklets]
        super().__init__(pids, clips=clips, transform=transform, labels=labels, seed=seed)

    def _clip(self, place: int, generator: torch.Generator) -> tuple[Tensor, int]:
        tracklet = self.tracklets[place]
        frames = tracklet.pictures(self.clips(len(tracklet), generator=generator))
        return self.transform(frames, generator=generator), NO_CAMERA if tracklet.camid is None else tracklet.camid


def _pid(tracklet: Tracklet) -> int:
    if not isinstance(tracklet, Tracklet):
        raise InputError(f"a TrackletDataset is made of nlreid.Tracklet objects; got {tracklet!r:.80}")
    if tracklet.pid is None:
        raise InputError(f"tracklet {tracklet.name!r} has pid None; every tracklet needs an integer: leave out those without")
    return tracklet.pid
