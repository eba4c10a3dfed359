"""Procedural people as a data set: identities and cameras drawn from a seed, nothing read, nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.cameras import HEIGHTS, checked_strength, draw_cameras
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.figures import Renderer, checked_size
from nlreid.data.datasets.synthetic.identity import Columns, LookAlikes, draw_identities
from nlreid.data.datasets.synthetic.scenes import draw_scenes
from nlreid.data.randomness import generator_for
from nlreid.data.split import Split
from nlreid.data.threads import one_thread
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError, real_number, whole_number

AT_ONCE = 32  # tracklets that are drawn together, from one generator; who passes by is one of them
TEST, TRAIN = 0, 1  # parts of a data set
_IDENTITIES, _CAMERAS, _SCENES, _TRACKS = range(4)  # what has a stream of random numbers of its own
_VIEWS = 4  # backgrounds of a camera

Progress = Callable[[int, int], None]  # tracklets done, of how many


@dataclass(frozen=True)
class SyntheticPeople:
    """A data set of people who are drawn: the same seed and numbers give the same pictures.

    Each camera has its own elevation, colours, optics and backgrounds; each tracklet its own direction, light, distance and
    people who pass by. Identities and cameras of `train` are others than those of `query` and `gallery`, and the pictures of
    one part do not depend on how large the other is. Within a part, another number of anything makes other people.

    With another version of torch, another processor or a GPU, sums may be rounded otherwise, and a few pixels differ. While
    it draws, torch computes on one thread.

    >>> people = SyntheticPeople(seed=3, identities=4, cameras=2, frames=2, size=(32, 16))
    >>> people.split()
    Split('synthetic people, seed 3', train: 0, query: 4, gallery: 4, notes: 0)

    Args:
        seed: Of everything, at least 0.
        identities: People to search for, each seen by every camera.
        cameras: Cameras to search with and in, at least 2; the queries are the tracklets of the first.
        tracklets: Of each person in each camera.
        frames: Of each tracklet.
        size: Height and width of the pictures, in pixels, each at least 8.
        train_identities: People to train on.
        train_cameras: Cameras to train on.
        lookalikes: How many people look like somebody else.
        strength: How much the colours of cameras differ, see `draw_cameras`.
        rate: Change of the gait's phase from frame to frame, in radians, least and greatest of the tracklets; 0.6 is about a
            video of 10 frames a second.

    Raises:
        InputError: If an argument is out of its range or has another type.
    """

    seed: int = 0
    identities: int = 50
    cameras: int = 2
    tracklets: int = 1
    frames: int = 16
    size: tuple[int, int] = (128, 64)
    train_identities: int = 0
    train_cameras: int = 6
    lookalikes: LookAlikes = field(default_factory=LookAlikes)
    strength: float = 0.35
    rate: tuple[float, float] = (0.55, 0.65)

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("identities", 0), ("cameras", 2), ("tracklets", 1), ("frames", 1)):
            whole_number(name, getattr(self, name), least=least)
        for name, least in (("train_identities", 0), ("train_cameras", 1)):
            whole_number(name, getattr(self, name), least=least)
        if not self.identities and not self.train_identities:
            raise InputError("there is nobody to draw: identities and train_identities are both 0")
        checked_size(self.size)
        checked_strength(self.strength)
        if not isinstance(self.lookalikes, LookAlikes):
            raise InputError(f"lookalikes are LookAlikes(family, share, twins); got {self.lookalikes!r:.80}")
        if not isinstance(self.rate, tuple) or len(self.rate) != 2:
            raise InputError(f"rate is the least and the greatest change of phase in radians, a tuple; got {self.rate!r:.80}")
        least_rate, greatest = (real_number("each of rate", value) for value in self.rate)
        if not 0 <= least_rate <= greatest:
            raise InputError(f"rate rises from the least to the greatest change of phase, at least 0; got {self.rate}")

    def split(self, *, device: torch.device | str = "cpu", compiled: bool = False, progress: Progress | None = None) -> Split:
        """Draw everybody.

        Args:
            device: Where pixels are computed, see `Renderer`.
            compiled: Whether the rasteriser is compiled, see `Renderer`; worth it from some thousands of frames.
            progress: Called after every few tracklets with how many are done and how many there will be.

        Returns:
            `query`: the tracklets of the first camera; `gallery`: those of the others; `train`. All pictures are in memory.

        Raises:
            InputError: If there is no such device.
        """
        renderer = Renderer(self.size, device=device, compiled=compiled)
        rows = {part: self._rows(part) for part in (TEST, TRAIN)}
        total, drawn = sum(map(len, rows.values())), {part: list[Tracklet]() for part in rows}
        with one_thread():
            for part in rows:
                for group in self._groups(part, rows[part], renderer):
                    drawn[part] += group
                    if progress is not None:
                        progress(sum(map(len, drawn.values())), total)
        query = tuple(tracklet for tracklet in drawn[TEST] if tracklet.camid == 1)
        gallery = tuple(tracklet for tracklet in drawn[TEST] if tracklet.camid != 1)
        return Split(f"synthetic people, seed {self.seed}", tuple(drawn[TRAIN]), query, gallery)

    def attributes(self, part: int) -> Columns:
        """Attributes of the people of a part, `TEST` or `TRAIN`, see `draw_identities`."""
        return draw_identities(self._counts(part)[0], generator_for(self.seed, _IDENTITIES, part), self.lookalikes)

    def first_labels(self, part: int) -> tuple[int, int]:
        """The least pid and the least camid of a part; the others follow."""
        return (1, 1) if part == TEST else (1 + self.identities, 1 + self.cameras)

    def _counts(self, part: int) -> tuple[int, int]:
        """How many people and cameras a part has."""
        return (self.identities, self.cameras) if part == TEST else (self.train_identities, self.train_cameras)

    def _rows(self, part: int) -> list[tuple[int, int, int]]:
        """Person, camera and number of every tracklet of a part, counted from 0."""
        identities, cameras = self._counts(part)
        return [(i, c, k) for i in range(identities) for c in range(cameras) for k in range(self.tracklets)]

    def _cameras(self, part: int) -> tuple[Columns, Tensor]:
        """Its cameras, and their backgrounds, `_VIEWS` of each."""
        count = self._counts(part)[1]
        cameras = draw_cameras(count, generator_for(self.seed, _CAMERAS, part), self.strength)
        return cameras, draw_scenes(count * _VIEWS, generator_for(self.seed, _SCENES, part))

    def _groups(self, part: int, rows: list[tuple[int, int, int]], renderer: Renderer) -> Iterator[list[Tracklet]]:
        """The tracklets of a part, a few at a time."""
        if not rows:
            return
        people, (cameras, scenes), (pid, camid) = self.attributes(part), self._cameras(part), self.first_labels(part)
        for start in range(0, len(rows), AT_ONCE):
            group, generator = rows[start : start + AT_ONCE], generator_for(self.seed, _TRACKS, part, start)
            who, where = (torch.tensor([row[i] for row in group]) for i in range(2))
            seen_by = _placed({key: column[where] for key, column in cameras.items()}, generator)
            a = {key: column[who] for key, column in people.items()}
            figures = renderer.tracks(a, seen_by["pitch"], self.frames, generator, self.rate)
            view = where * _VIEWS + torch.randint(_VIEWS, (len(group),), generator=generator)
            others = figures[torch.randperm(len(group), generator=generator)]
            pictures = compose(figures, others, scenes[view], seen_by, generator).cpu().numpy()
            yield [
                Tracklet(f"{pid + i:04}_c{camid + c}_{k}", frames, pid + i, camid + c, tuple(range(self.frames)))
                for (i, c, k), frames in zip(group, pictures, strict=True)
            ]


def _placed(cameras: Columns, generator: torch.Generator) -> Columns:
    """The cameras of tracklets, each at a distance of its own and in a light that is a little different."""
    draws = Draws(len(cameras["pitch"]), generator)
    step = torch.tensor(HEIGHTS)
    nearest = (cameras["height"] - step).abs().argmin(1) + torch.randint(-1, 2, (draws.count,), generator=generator)
    return cameras | {
        "pitch": (cameras["pitch"] + draws.normal(0.04)).clamp_min(0),
        "gain": cameras["gain"] * torch.exp(draws.normal(0.03)),
        "height": step[nearest.clamp(0, len(HEIGHTS) - 1)][:, None].float(),
    }
