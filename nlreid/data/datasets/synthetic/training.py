"""The people to train on as figures: drawn once, kept in a file that the next run maps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.data.datasets.synthetic.cameras import draw_cameras
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.people import AT_ONCE, TRAIN, Progress, SyntheticPeople
from nlreid.data.disk import as_path, exists, reading
from nlreid.data.randomness import generator_for
from nlreid.data.threads import one_thread
from nlreid.data.whole_file import write_whole_in_parts
from nlreid.errors import DataError, InputError

_FORMAT = 1  # counts the changes after which the same settings draw other pictures
_STREAM = 9  # of random numbers, beside those of `people`


def training_figures(
    people: SyntheticPeople,
    *,
    folder: Path | str | None = None,
    device: torch.device | str = "cpu",
    compiled: bool = False,
    progress: Progress | None = None,
) -> tuple[Tensor, tuple[int, ...]]:
    """Everybody whom a data set has to train on, without scenes and cameras, which `SyntheticClips` adds.

    Args:
        people: The data set; of each person `train_cameras * tracklets` tracklets of `frames` frames are drawn.
        folder: Where to keep the figures, in a file whose name says what they are of; it is made if it is not there. A file
            that is there is mapped, so that it takes no memory of its own. Without a folder they are in memory.
        device: Where pixels are computed, see `Renderer`.
        compiled: Whether the rasteriser is compiled, see `Renderer`.
        progress: Called after every few tracklets with how many are done and how many there will be; not where a file has all.

    Returns:
        uint8 red, green, blue and coverage, `(n, frames, 4, h, w)`, and the pid of each of the n tracklets.

    Raises:
        InputError: If there is nobody to train on, there is no such device, or `folder` is no path.
        DataError: If the file cannot be written or read, or holds something else.
    """
    if not people.train_identities:
        raise InputError("there is nobody to train on: train_identities is 0")
    each, (first, _) = people.train_cameras * people.tracklets, people.first_labels(TRAIN)
    pids = tuple(first + i for i in range(people.train_identities) for _ in range(each))
    shape = (len(pids), people.frames, 4, *people.size)
    path = None if folder is None else _path(as_path("folder", folder), people)
    if path is None or not exists(path):
        groups = _groups(people, each, Renderer(people.size, device=device, compiled=compiled), progress)
        with one_thread():
            if path is None:
                return torch.from_numpy(_together(shape, groups)), pids
            _keep(path, shape, groups)
    return torch.from_numpy(_mapped(path, shape)), pids


def _path(folder: Path, people: SyntheticPeople) -> Path:
    """A name that tells files apart by everything that figures depend on, which the people to search for are not."""
    fields = ("seed", "train_identities", "train_cameras", "tracklets", "frames", "size", "lookalikes", "rate")
    settings = f"{_FORMAT} {[getattr(people, name) for name in fields]}"
    return folder / f"figures_{sha256(settings.encode()).hexdigest()[:16]}.npy"


def _groups(people: SyntheticPeople, each: int, renderer: Renderer, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
    """The figures, a few tracklets at a time: uint8, `(k, frames, 4, h, w)`."""
    identities = people.attributes(TRAIN)
    who = torch.arange(people.train_identities).repeat_interleave(each)
    for start in range(0, len(who), AT_ONCE):
        rows, generator = who[start : start + AT_ONCE], generator_for(people.seed, _STREAM, start)
        pitch = draw_cameras(len(rows), generator)["pitch"]
        a = {key: column[rows] for key, column in identities.items()}
        yield renderer.tracks(a, pitch, people.frames, generator, people.rate).cpu().numpy()
        if progress is not None:
            progress(start + len(rows), len(who))


def _together(shape: tuple[int, ...], groups: Iterator[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    figures, done = np.empty(shape, np.uint8), 0
    for group in groups:
        figures[done : done + len(group)] = group
        done += len(group)
    return figures


def _keep(path: Path, shape: tuple[int, ...], groups: Iterator[NDArray[np.uint8]]) -> None:
    """Write a NumPy file; until the last group is drawn and written there is none of that name."""
    with reading(path.parent, "no folder that can be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole_in_parts(path, _bytes(shape, groups))


def _bytes(shape: tuple[int, ...], groups: Iterator[NDArray[np.uint8]]) -> Iterator[bytes]:
    header = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    yield header.getvalue()
    for group in groups:
        yield group.tobytes()


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array in a file, mapped; copied on write, since torch knows no arrays that cannot be written to."""
    with reading(path):
        try:
            kept = np.lib.format.open_memmap(path, mode="c")
        except ValueError as error:  # not the format, or fewer bytes than it says
            raise DataError(f"{path}: damaged, or no file of figures ({error}); remove it") from error
    if kept.shape != shape or kept.dtype != np.uint8 or not kept.flags.c_contiguous:
        raise DataError(f"{path}: holds {kept.dtype} {kept.shape}, wanted uint8 {shape}; remove it")
    figures: NDArray[np.uint8] = kept
    return figures
