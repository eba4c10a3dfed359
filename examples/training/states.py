"""Folders of states that several processes write together: each is whole under its name, or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

PART = ".state.part"


def keep_state(folder: Path, number: int, save: Callable[[Path], object], first: bool, meet: Callable[[], None]) -> None:
    """Write a state, and remove those before it. All processes call this.

    Args:
        folder: Of the run.
        number: Of the state; the newest has the largest.
        save: Writes this process's share into a folder.
        first: Whether this is the process that names and removes.
        meet: Waits for all processes.
    """
    part, whole = folder / PART, folder / f"state_{number:06d}"
    if first:
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir()
    meet()
    save(part)
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # before the name: a power cut must not leave the name without the contents
    meet()
    if first:
        part.rename(whole)
        for before in set(all_states(folder)) - {whole}:
            shutil.rmtree(before, ignore_errors=True)
    meet()


def newest_state(folder: Path) -> Path | None:
    """The last state that is whole."""
    return max(folder.glob("state_*"), default=None)


def all_states(folder: Path) -> list[Path]:
    """All of them, also one that was half written."""
    return [folder / PART, *folder.glob("state_*")]
