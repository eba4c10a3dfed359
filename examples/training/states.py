"""Folders of states that several processes write together: each is whole under its name, or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from nlreid.errors import InputError

PART = ".state.part"
SIZES = "sizes.json"


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
    try:
        save(part)
    except (RuntimeError, SafetensorError) as error:  # what they say of a full disk
        shutil.rmtree(part, ignore_errors=True)
        raise OSError(f"{part}: cannot be written ({error}); the state before it is kept") from error
    meet()
    if first:
        sizes = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
        (part / SIZES).write_text(json.dumps(sizes, indent=1) + "\n")
        for path in part.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # before the name: a power cut must not leave the name without the contents
        part.rename(whole)
        for before in set(all_states(folder)) - {whole}:
            shutil.rmtree(before, ignore_errors=True)
    meet()


def newest_state(folder: Path) -> Path | None:
    """The last state that was kept."""
    return max(folder.glob("state_*"), default=None)


def check_state(state: Path) -> None:
    """See that all of its files are there: who reads them may go on without one, and with other random numbers.

    Raises:
        InputError: If one is missing or of another length.
    """
    try:
        sizes = dict(json.loads((state / SIZES).read_text()))
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{state / SIZES}: missing or damaged ({error}); remove the state to begin anew") from error
    for name, size in sizes.items():
        path = state / name
        there = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
        if there != f"{size} bytes":
            raise InputError(f"{path}: {there}, where there were {size} bytes; put it back, or remove the state to begin anew")


def all_states(folder: Path) -> list[Path]:
    """All of them, also one that was half written."""
    return [folder / PART, *folder.glob("state_*")]
