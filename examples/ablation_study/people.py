"""What is trained on and scored on: people many of whom look like another, in cameras and clothes that training never saw."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ablation_study.variants import FRAMES, SIZE
from nlreid.data.clips import random_window
from nlreid.data.datasets.synthetic import LookAlikes, SyntheticPeople
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.identity import draw_identities
from nlreid.data.datasets.synthetic.tracks import draw_tracks
from nlreid.data.randomness import generator_for
from nlreid.data.tracklet import Tracklet

LOOKALIKES = LookAlikes(family=3, share=0.7, twins=0.6)
TRAIN_FRAMES = 12
ACTIONS = ("stand", "stroll", "walk", "hurry", "backwards", "hurry backwards", "tiptoe", "march")
# of each action: factor of the cadence, which is negative for who walks backwards, of the stride, and of the arms' swing
_GAITS = torch.tensor(
    [[0, 0, 0], [0.5, 0.8, 0.8], [1, 1, 1], [1.5, 1.2, 1.2], [-1, 1, 1], [-1.5, 1.2, 1.2], [1.5, 0.4, 0.5], [1, 1, 2.0]]
)


class Clips(NamedTuple):
    """Pictures in memory.

    Args:
        frames: uint8 RGB, `(n, t, h, w, 3)`.
        pid: Whose they are, `(n,)`; of actions, which.
        camid: By which camera, `(n,)`.
    """

    frames: Tensor
    pid: Tensor
    camid: Tensor


class Data(NamedTuple):
    """Everything of one seed; no person and no camera is in two parts, and no query's answer is of its own camera."""

    train: Clips
    validation: tuple[Clips, Clips]
    test: tuple[Clips, Clips]


def draw(seed: int, *, identities: int) -> Data:
    """The people of a seed: as many to train on as asked for, a third to choose learning rates on, half to score on."""
    shared = {"size": SIZE, "lookalikes": LOOKALIKES, "rate": (1.1, 1.2)}
    train = SyntheticPeople(
        seed=3 * seed, identities=0, train_identities=identities, train_cameras=4, frames=TRAIN_FRAMES, **shared
    ).split()
    validation, test = (
        SyntheticPeople(seed=3 * seed + part, identities=count, cameras=3, frames=FRAMES, **shared).split()
        for part, count in ((1, identities // 3), (2, identities // 2))
    )
    return Data(_stack(train.train), *((_stack(split.query), _stack(split.gallery)) for split in (validation, test)))


def _stack(tracklets: tuple[Tracklet, ...]) -> Clips:
    frames = torch.stack([torch.as_tensor(t.frames) for t in tracklets])
    return Clips(frames, torch.tensor([t.pid for t in tracklets]), torch.tensor([t.camid for t in tracklets]))


def draw_actions(seed: int, actors: int) -> Clips:
    """People who stand, walk, hurry, march, forwards and backwards, before a grey wall: one action each."""
    generator = generator_for(seed, 77)
    draws, renderer = Draws(actors, generator), Renderer(SIZE)
    action = draws.choice(torch.ones(len(ACTIONS)))
    people = draw_identities(actors, generator)
    for column, factor in zip(("cadence", "stride", "swing"), _GAITS[action].T, strict=True):
        people[column] = people[column] * factor[:, None]
    track = draw_tracks(people, TRAIN_FRAMES, draws.uniform(0, 0.5), generator, (1.1, 1.2))
    track["move"] = torch.ones_like(track["move"])
    each_frame = {key: column.repeat_interleave(TRAIN_FRAMES, 0) for key, column in people.items()}
    figures = renderer.figures(each_frame, track, generator).view(actors, TRAIN_FRAMES, 4, *SIZE).float()
    wall = draws.uniform(60, 200, 1, 1, 1, 1)
    frames = torch.lerp(wall.expand_as(figures[:, :, :3]), figures[:, :, :3], figures[:, :, 3:] / 255)
    return Clips(frames.to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous(), action, torch.zeros(actors, dtype=torch.int64))


def batch(clips: Clips, rows: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """Training clips, each from a random window and as likely mirrored as not: uint8, `(b, t, h, w, 3)`."""
    chosen = []
    for row in rows.tolist():
        window = random_window(clips.frames.shape[1], frames, 1, generator=generator)
        picture = clips.frames[row, list(window)]
        chosen.append(picture.flip(2) if torch.rand((), generator=generator) < 0.5 else picture)
    return torch.stack(chosen)
