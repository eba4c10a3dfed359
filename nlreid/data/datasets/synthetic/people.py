"""Procedural people as a data set: identities and cameras drawn from a seed, nothing read, nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.cameras import HEIGHTS, draw_cameras
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.identity import Columns, LookAlikes, draw_identities
from nlreid.data.datasets.synthetic.scenes import draw_scenes
from nlreid.data.datasets.synthetic.tracks import draw_tracks
from nlreid.data.randomness import generator_for
from nlreid.data.split import Split
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError, real_number, whole_number

AT_ONCE = 32  # tracklets that are drawn and rendered together; of no influence on what others look like
_TEST, _TRAIN = 0, 1
_IDENTITIES, _CAMERAS, _SCENES, _TRACKS = range(4)  # what has a stream of random numbers of its own
_VIEWS = 4  # backgrounds of a camera

Progress = Callable[[int, int], None]  # tracklets done, of how many


@dataclass(frozen=True)
class SyntheticPeople:
    """A data set of people who are drawn: the same seed gives the same pictures.

    Each camera has its own elevation, colours, optics and backgrounds; each tracklet its own direction, light, distance and
    people who pass by. Identities and cameras of `train` are others than those of `query` and `gallery`.

    >>> people = SyntheticPeople(seed=3, identities=4, cameras=2, frames=2, size=(32, 16))
    >>> people.split()
    Split('synthetic people, seed 3', train: 0, query: 4, gallery: 4, notes: 0)

    Args:
        seed: Of everything, at least 0.
        identities: People to search for, each seen by every camera.
        cameras: Cameras to search with and in, at least 2; the queries are the tracklets of the first.
        tracklets: Of each person in each camera.
        frames: Of each tracklet.
        size: Height and width of the pictures, in pixels.
        train_identities: People to train on.
        train_cameras: Cameras to train on.
        lookalikes: How many people look like somebody else.
        strength: How much the colours of cameras differ, see `draw_cameras`.
        rate: Change of the gait's phase from frame to frame, in radians, least and greatest of the tracklets; 0.6 is about a
            video of 10 frames a second.

    Raises:
        InputError: If a number is out of its range.
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
        if not isinstance(self.size, tuple) or len(self.size) != 2:
            raise InputError(f"size is the height and the width of the pictures in pixels; got {self.size!r}")
        for side in self.size:
            whole_number("each side of size", side, least=8)
        if not 0 <= real_number("strength", self.strength) <= 1:
            raise InputError(f"strength is from 0 to 1; got {self.strength}")
        if not self.identities and not self.train_identities:
            raise InputError("there is nobody to draw: identities and train_identities are both 0")

    def split(self, *, compiled: bool = False, progress: Progress | None = None) -> Split:
        """Draw everybody.

        Args:
            compiled: Whether the rasteriser is compiled, see `Renderer`; worth it from some thousands of frames.
            progress: Called after every few tracklets with how many are done and how many there will be.

        Returns:
            `query`: the tracklets of the first camera; `gallery`: those of the other cameras; `train`. All pictures are in memory.
        """
        test = self._rows(_TEST, self.identities, self.cameras)
        train = self._rows(_TRAIN, self.train_identities, self.train_cameras)
        total, renderer = len(test) + len(train), Renderer(self.size, compiled=compiled)
        drawn = list[list[Tracklet]]()
        for part, rows, done in ((_TEST, test, 0), (_TRAIN, train, len(test))):
            tracklets = list[Tracklet]()
            for tracklet in self._tracklets(part, rows, renderer):
                tracklets.append(tracklet)
                if progress is not None and (len(tracklets) % AT_ONCE == 0 or len(tracklets) == len(rows)):
                    progress(done + len(tracklets), total)
            drawn.append(tracklets)
        query = tuple(tracklet for tracklet in drawn[0] if tracklet.camid == 1)
        gallery = tuple(tracklet for tracklet in drawn[0] if tracklet.camid != 1)
        return Split(f"synthetic people, seed {self.seed}", tuple(drawn[1]), query, gallery)

    def _rows(self, part: int, identities: int, cameras: int) -> list[tuple[int, int, int]]:
        """Person, camera and number of every tracklet of a part, counted from 0."""
        return [(i, c, k) for i in range(identities) for c in range(cameras) for k in range(self.tracklets)]

    def _tracklets(self, part: int, rows: Sequence[tuple[int, int, int]], renderer: Renderer) -> Iterator[Tracklet]:
        if not rows:
            return
        first_pid, first_camid = (1, 1) if part == _TEST else (1 + self.identities, 1 + self.cameras)
        people = self.people(part)
        cameras, scenes = self._cameras(part)
        for start in range(0, len(rows), AT_ONCE):
            group = rows[start : start + AT_ONCE]
            generator = generator_for(self.seed, _TRACKS, part, start)
            who, where = (torch.tensor([row[i] for row in group]) for i in range(2))
            a = {key: column[who] for key, column in people.items()}
            seen_by = _placed({key: column[where] for key, column in cameras.items()}, generator)
            figures = draw_figures(renderer, a, seen_by["pitch"], self.frames, self.rate, generator)
            view = where * _VIEWS + torch.randint(_VIEWS, (len(group),), generator=generator)
            others = figures[torch.randperm(len(group), generator=generator)]
            pictures = compose(figures, others, scenes[view], seen_by, generator).numpy()
            for (i, c, k), frames in zip(group, pictures, strict=True):
                pid, camid = first_pid + i, first_camid + c
                yield Tracklet(f"{pid:04}_c{camid}_{k}", frames, pid, camid, tuple(range(self.frames)))

    def people(self, part: int) -> Columns:
        """Attributes of the people to search for (0) or to train on (1), see `draw_identities`."""
        count = self.identities if part == _TEST else self.train_identities
        return draw_identities(count, generator_for(self.seed, _IDENTITIES, part), self.lookalikes)

    def _cameras(self, part: int) -> tuple[Columns, Tensor]:
        count = self.cameras if part == _TEST else self.train_cameras
        cameras = draw_cameras(count, generator_for(self.seed, _CAMERAS, part), self.strength)
        return cameras, draw_scenes(count * _VIEWS, generator_for(self.seed, _SCENES, part))


def draw_figures(
    renderer: Renderer,
    a: Columns,
    pitch: Tensor,
    frames: int,
    rate: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Tracks of people without a scene.

    Args:
        renderer: What draws them.
        a: Attributes of each track's person, `(n, ...)`.
        pitch: How far each track's camera looks down, in radians, `(n, 1)`.
        frames: Of a track.
        rate: See `draw_tracks`.
        generator: Where everything random is drawn from.

    Returns:
        uint8 red, green, blue and coverage, `(n, frames, 4, h, w)`.
    """
    track = draw_tracks(a, frames, pitch, generator, rate)
    each_frame = {key: column.repeat_interleave(frames, 0) for key, column in a.items()}
    figures = renderer.figures(each_frame, track, generator)
    return figures.view(len(pitch), frames, *figures.shape[1:])


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
