"""The people to train on as figures: drawn once, kept in a file that the next run maps."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.cameras import draw_cameras
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.people import AT_ONCE, Progress, SyntheticPeople, draw_figures
from nlreid.data.randomness import generator_for
from nlreid.errors import DataError, InputError

_FORMAT = 1  # counts the changes after which the same settings draw other pictures
_STREAM = 9


def training_figures(
    people: SyntheticPeople,
    *,
    folder: Path | None = None,
    compiled: bool = False,
    progress: Progress | None = None,
) -> tuple[Tensor, tuple[int, ...]]:
    """Everybody whom a data set has to train on, without scenes and cameras, which `SyntheticClips` adds.

    Args:
        people: The data set; of each person `train_cameras * tracklets` tracklets of `frames` frames are drawn.
        folder: Where to keep the figures, in a file whose name says what they are of; one that is there is mapped, so that it
            takes no memory of its own. Without a folder they are in memory.
        compiled: Whether the rasteriser is compiled, see `Renderer`.
        progress: Called after every few tracklets with how many are done and how many there will be.

    Returns:
        uint8 red, green, blue and coverage, `(n, frames, 4, h, w)`, and the pid of each of the n tracklets.

    Raises:
        InputError: If there is nobody to train on.
        DataError: If the file cannot be written or read, or is damaged.
    """
    if not people.train_identities:
        raise InputError("there is nobody to train on: train_identities is 0")
    each = people.train_cameras * people.tracklets
    pids = tuple(1 + people.identities + i for i in range(people.train_identities) for _ in range(each))
    shape = (len(pids), people.frames, 4, *people.size)
    if folder is None:
        figures = np.empty(shape, np.uint8)
        _draw(people, figures, each, compiled=compiled, progress=progress)
        return torch.from_numpy(figures), pids
    path = folder / f"figures_{_settings(people)}.npy"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            figures = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)  # type: ignore[no-untyped-call]
            _draw(people, figures, each, compiled=compiled, progress=progress)
            figures.flush()
            del figures
            unfinished.replace(path)
        kept = np.load(path, mmap_mode="c")  # copy on write: torch has no arrays that cannot be written to
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be written or read ({error}); remove it, or name another folder") from error
    if kept.shape != shape:
        raise DataError(f"{path}: holds {kept.shape}, wanted {shape}; remove it")
    return torch.from_numpy(kept), pids


def _settings(people: SyntheticPeople) -> str:
    """What tells files apart: everything that figures depend on, which the people to search for are not."""
    fields = ("seed", "train_identities", "train_cameras", "tracklets", "frames", "size", "lookalikes", "rate")
    return sha256(f"{_FORMAT} {[getattr(people, name) for name in fields]}".encode()).hexdigest()[:16]


def _draw(people: SyntheticPeople, figures: np.ndarray, each: int, *, compiled: bool, progress: Progress | None) -> None:
    identities, renderer = people.people(1), Renderer(people.size, compiled=compiled)
    who = torch.arange(people.train_identities).repeat_interleave(each)
    for start in range(0, len(who), AT_ONCE):
        rows = who[start : start + AT_ONCE]
        generator = generator_for(people.seed, _STREAM, start)
        pitch = draw_cameras(len(rows), generator)["pitch"]
        a = {key: column[rows] for key, column in identities.items()}
        figures[start : start + len(rows)] = draw_figures(renderer, a, pitch, people.frames, people.rate, generator).numpy()
        if progress is not None:
            progress(start + len(rows), len(who))
