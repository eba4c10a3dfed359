"""Synthetic people to train on: drawn once, and put into another scene, before another camera, each time they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from nlreid.data.clip_dataset import NO_CAMERA, ClipDataset, ClipRule, ClipTransform
from nlreid.data.datasets.synthetic.cameras import checked_strength, draw_cameras
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.scenes import draw_scenes
from nlreid.data.randomness import below, generator_for
from nlreid.data.threads import one_thread
from nlreid.errors import InputError, whole_number

_SCENES, _ITEMS = 0, 1  # what has a stream of random numbers of its own


class SyntheticClips(ClipDataset):
    """One random clip of each tracklet an epoch, for a `DataLoader`, as `TrackletDataset` gives of pictures.

    The people walk as they were drawn; background, passers-by, what stands in the way and the camera are new in every clip, so
    that nothing but the people tells who they are. An item depends on the seed, the epoch, its index and the number of its
    draw alone, as those of `TrackletDataset` do; its camera has no number, so `camid` is -1.

    Args:
        figures: uint8 red, green, blue and coverage, `(n, t, 4, h, w)`, from `training_figures`; may be mapped from a file.
        pids: Whose each tracklet is, n of them.
        clips: Which frames, as in `TrackletDataset`.
        transform: What to make of them, as in `TrackletDataset`.
        strength: How much the colours of cameras differ, see `draw_cameras`.
        scenes: How many backgrounds there are; clips show parts of them.
        seed: Of everything, at least 0.

    Raises:
        InputError: If `figures` has another shape or type, or another length than `pids`, or a number is out of its range.
    """

    _stream: ClassVar[tuple[int, ...]] = (_ITEMS,)

    def __init__(
        self,
        figures: Tensor,
        pids: Sequence[int],
        *,
        clips: ClipRule,
        transform: ClipTransform,
        strength: float = 0.35,
        scenes: int = 384,
        seed: int = 0,
    ) -> None:
        _check_figures(figures)
        super().__init__(
            [whole_number("each of pids", pid, least=0) for pid in pids], clips=clips, transform=transform, seed=seed
        )
        if len(figures) != len(self):
            raise InputError(f"pids has one entry for each of the figures; got {len(self)} for {len(figures)}")
        self.figures, self.strength = figures, checked_strength(strength)
        self.scenes = draw_scenes(whole_number("scenes", scenes), generator_for(self.seed, _SCENES))

    def _clip(self, place: int, generator: Generator) -> tuple[Tensor, int]:
        chosen = list(self.clips(self.figures.shape[1], generator=generator))
        other, scene = below(len(self), generator), below(len(self.scenes), generator)
        people, passing = self.figures[place][None, chosen], self.figures[other][None, chosen]
        camera = draw_cameras(1, generator, self.strength)
        with one_thread():  # as in a worker
            frames = compose(people, passing, self.scenes[scene : scene + 1], camera, generator)[0]
        return self.transform(list(frames), generator=generator), NO_CAMERA


def _check_figures(figures: object) -> None:
    if not isinstance(figures, Tensor) or figures.dtype != torch.uint8 or figures.ndim != 5 or figures.shape[2] != 4:
        came = f"{figures.dtype} {tuple(figures.shape)}" if isinstance(figures, Tensor) else type(figures).__name__
        raise InputError(f"figures are a uint8 tensor (n, t, 4, h, w), from training_figures; got {came}")
    if figures.device.type != "cpu" or not figures.numel():
        raise InputError(f"figures lie in memory, with no empty axis; got {tuple(figures.shape)} on {figures.device}")
