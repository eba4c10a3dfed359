"""What keeps a run alive: several processes as one, stopping in order, and a checkpoint that is whole at any moment."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import IO, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nlreid.errors import InputError, NLReIDError
from training.network import share_norms

T = TypeVar("T")


def as_program(arguments: argparse.Namespace, run: Callable[[Team, Stop], int]) -> int:
    """Run together with the other processes until something stops it, or say in one line why not: the exit status."""

    def together() -> int:
        team = Team.join(arguments.device)
        try:
            with Stop(arguments.time_limit) as stop:
                return run(team, stop)
        finally:
            team.leave()

    return in_a_line(together, str(arguments.output))


def in_a_line(run: Callable[[], int], kept: str) -> int:
    """Run, or say in one line why not: the exit status.

    Args:
        run: Gives the exit status.
        kept: From what an interrupted run goes on.
    """
    try:
        return run()
    except (NLReIDError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on from {kept}", file=sys.stderr)
        return 130


@dataclass(frozen=True)
class Team:
    """The processes that train together; alone without `torchrun`."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, device: str | None) -> Team:
        """Meet the other processes, if `torchrun` has started some: each on a GPU of its own, or all on the CPU."""
        rank, count, local = (int(os.environ.get(name, default)) for name, default in _TORCHRUN)
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        own = torch.device(f"cuda:{local}" if kind == "cuda" and count > 1 else kind)
        if own.type == "cuda":
            torch.cuda.set_device(own)
        if count > 1:  # the others wait while the first evaluates, hours for a large gallery
            dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=timedelta(hours=12))
        return cls(rank, count, own)

    def leave(self) -> None:
        """Part from the others."""
        if self.count > 1:
            dist.destroy_process_group()

    def mean(self, own: Tensor) -> Tensor:
        """The mean over the processes, in each of them."""
        if self.count > 1:
            dist.all_reduce(own)
        return own / self.count

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives, the first process before the others: what it writes to a disk, they find there."""
        made = make() if self.rank == 0 else None
        if self.count > 1:
            dist.barrier()
        return make() if made is None else made

    def any(self, own: bool) -> bool:
        """Whether it is so in any of the processes."""
        if self.count == 1:
            return own
        flag = torch.tensor(float(own), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network whose gradients are the mean over the processes; on GPUs batch norms see the whole batch, too."""
        if self.count == 1:
            return model
        if self.device.type == "cuda":
            share_norms(model)
        return nn.parallel.DistributedDataParallel(model)


_TORCHRUN = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))


class Stop:
    """Ctrl-C, a termination signal or the time limit end the training behind a step; a second Ctrl-C ends it at once.

    Args:
        minutes: The time limit, if there is one.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        self.signal = 0
        self.at_once = True  # while nothing would be lost

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        again, self.signal = self.signal == number, number
        if again or self.at_once:
            raise KeyboardInterrupt

    def wanted(self) -> bool:
        """Whether to save and end."""
        return self.signal > 0 or time.monotonic() > self.deadline


@dataclass
class Progress:
    """How far a run is: the next batch, the sums of the epoch so far, and a line of the log for each epoch before."""

    tracklets: int  # of the training set
    step: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch
    seconds: float = 0.0
    sums: list[float] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(path: Path, progress: Progress, **parts: Any) -> None:
    """Keep the state of a run: of its progress, and of the network and whatever else has a state dict."""
    content = io.BytesIO()  # what torch says of a full disk does not name it
    torch.save({"progress": asdict(progress)} | {name: part.state_dict() for name, part in parts.items()}, content)
    with replacing(path) as file:
        file.write(content.getbuffer())


def load_checkpoint(path: Path, tracklets: int, **parts: Any) -> Progress:
    """Put everything into the state that was kept; a run that never kept one is at its beginning.

    Raises:
        InputError: If it was kept by a run on another number of tracklets, or is damaged.
    """
    if not path.exists():
        return Progress(tracklets)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: a damaged checkpoint ({error}); put it back, or remove it to begin anew") from error
    progress = Progress(**state["progress"])
    if progress.tracklets != tracklets:
        raise InputError(
            f"{path}: kept by a run on {progress.tracklets} tracklets, and now there are {tracklets}; "
            "put the data set back as it was, or begin anew with another -o"
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return progress


def check_options(path: Path, options: Mapping[str, Any], begun: bool) -> None:
    """Note the options of a run; once there is something that was made with them, hold the run to them.

    Args:
        path: Where they are noted.
        options: Those of now.
        begun: Whether there is something.
    """
    if not begun or not path.exists():
        with replacing(path) as file:
            file.write((json.dumps(options, indent=1) + "\n").encode())
        return
    try:
        before = dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); put it back, or begin anew with another -o") from error
    other = [f"--{name.replace('_', '-')} was {before.get(name)}" for name in options if options[name] != before.get(name)]
    if other:
        raise InputError(f"{path.parent} holds a run with other options: {', '.join(other)}; give those, or another -o")


def write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    """A line of JSON for each epoch, the file written anew: a resumed run has no line twice."""
    with replacing(path) as file:
        file.writelines((json.dumps(row) + "\n").encode() for row in rows)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file under a temporary name, then rename it: after a kill it is whole, the old one or the new one."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # before the name: a power cut must not leave the name without the contents
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)  # of a full disk
        raise
