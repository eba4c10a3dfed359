"""Synthetic people to train on: drawn once, and put into another scene, before another camera, each time they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index as as_index

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlreid.data.datasets.synthetic.cameras import draw_cameras
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.scenes import draw_scenes
from nlreid.data.randomness import below, generator_for
from nlreid.data.samplers import Draw
from nlreid.data.tracklet_dataset import NO_CAMERA, ClipItem, ClipRule, ClipTransform
from nlreid.errors import InputError, whole_number

_SCENES = 384  # backgrounds that figures are put before


class SyntheticClips(Dataset[ClipItem]):
    """One random clip of each tracklet an epoch, for a `DataLoader`, as `TrackletDataset` gives of pictures.

    The people walk as they were drawn; background, passers-by, what stands in the way and the camera are new in every clip, so
    that nothing but the people tells who they are. An item depends on the seed, the epoch, its index and the number of its
    draw alone.

    Args:
        figures: uint8 red, green, blue and coverage, `(n, t, 4, h, w)`, see `nlreid.data.datasets.synthetic.figures`; may be mapped
            from a file.
        pids: Whose each tracklet is.
        clips: Which frames, as in `TrackletDataset`.
        transform: What to make of them, as in `TrackletDataset`.
        strength: How much the colours of cameras differ, see `draw_cameras`.
        seed: Of everything, at least 0.

    Raises:
        InputError: If `figures` has another shape or type, or another length than `pids`.
    """

    def __init__(
        self,
        figures: Tensor,
        pids: Sequence[int],
        *,
        clips: ClipRule,
        transform: ClipTransform,
        strength: float = 0.35,
        seed: int = 0,
    ) -> None:
        if not isinstance(figures, Tensor) or figures.dtype != torch.uint8 or figures.ndim != 5 or figures.shape[2] != 4:
            raise InputError(
                f"figures are uint8 (n, t, 4, h, w); got {getattr(figures, 'dtype', type(figures).__name__)} "
                f"{tuple(getattr(figures, 'shape', ()))}"
            )
        if len(figures) != len(pids) or not len(pids):
            raise InputError(f"pids has one entry for each of the figures; got {len(pids)} for {len(figures)}")
        self.figures, self.clips, self.transform, self.strength = figures, clips, transform, strength
        self.pids = tuple(pids)
        self.labels: Mapping[int, int] = {pid: label for label, pid in enumerate(sorted(set(self.pids)))}
        self.seed = whole_number("seed", seed, least=0)
        self.scenes = draw_scenes(_SCENES, generator_for(self.seed, 0))
        # in memory that workers share, so that workers that stay from epoch to epoch see it change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def num_classes(self) -> int:
        """How many people there are."""
        return len(self.labels)

    @property
    def epoch(self) -> int:
        """The epoch that items are of."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the clips of the next epoch, also in workers that are already there."""
        self._epoch.fill_(whole_number("epoch", epoch, least=0))

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, index: int) -> ClipItem:
        """The clip of one tracklet in this epoch.

        Raises:
            IndexError: If there is no such tracklet.
        """
        place = range(len(self))[as_index(index)]
        generator = generator_for(self.seed, 1, self.epoch, place, index.number if isinstance(index, Draw) else 0)
        chosen = list(self.clips(self.figures.shape[1], generator=generator))
        other, scene = below(len(self), generator), below(len(self.scenes), generator)
        people, passing = self.figures[place][None, chosen], self.figures[other][None, chosen]
        camera = draw_cameras(1, generator, self.strength)
        frames = compose(people, passing, self.scenes[scene : scene + 1], camera, generator)[0]
        pid = self.pids[place]
        return ClipItem(self.transform(list(frames), generator=generator), self.labels[pid], pid, NO_CAMERA, place)
