"""A command in several processes: what `torchrun --nproc-per-node N -m nlreid …` starts."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta

import torch.distributed as dist

from nlreid.errors import InputError

_TIMEOUT = timedelta(days=7)  # who is done first waits for the others' last parts, which may take hours


def count() -> int:
    """How many processes run the command."""
    started = "RANK" in os.environ and dist.is_available()  # as torchrun tells each process
    return int(os.environ.get("WORLD_SIZE", "1")) if started else 1


def rank() -> int:
    """Which one this is."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def name() -> str:
    """How this process is called in messages; nothing if it is the only one."""
    return f"process {rank()} of {count()}: " if count() > 1 else ""


def check_keeps(arguments: argparse.Namespace) -> None:
    """Refuse to embed in several processes without a folder for what each of them embeds.

    Raises:
        InputError: If there is none.
    """
    if count() > 1 and not arguments.keep:
        raise InputError("several processes embed into one folder that all of them see; give --keep FOLDER")


@contextmanager
def joined(arguments: argparse.Namespace) -> Iterator[bool]:
    """Join the other processes for a command, if there are others; only the first one shows anything.

    Gives whether this process has to run the command: of one that is not shared only the first has.

    Args:
        arguments: Those of the command; one that is shared has `shared`.
    """
    if count() == 1 or not hasattr(arguments, "shared"):
        yield rank() == 0
        return
    dist.init_process_group("gloo", timeout=_TIMEOUT)
    try:
        if rank() == 0:
            yield True
            return
        arguments.quiet = True
        with redirect_stdout(io.StringIO()):
            yield True
    finally:
        dist.destroy_process_group()
