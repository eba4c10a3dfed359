"""Processes of `torch.distributed` that share a work: who does what, what they tell each other, how a failure reaches all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError, ProcessesError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process and those that it shares a work with; alone, everything here does nothing.

    Args:
        rank: Which one this is, from 0.
        count: How many they are.
        group: Of `torch.distributed`; None is its default group.
    """

    rank: int = 0
    count: int = 1
    group: ProcessGroup | None = None

    def part_of(self, items: Sequence[T]) -> Sequence[T]:
        """What falls to this process: every `count`-th item, so that long and short ones are mixed."""
        return items[self.rank :: self.count]

    def stretch_of(self, count: int) -> range:
        """What falls to this process of `count` items, as one stretch."""
        return range(count * self.rank // self.count, count * (self.rank + 1) // self.count)

    @contextmanager
    def together(self) -> Iterator[None]:
        """A step that each of them does; one that fails ends it for all.

        Raises:
            ProcessesError: If another one failed, with its number and its message. Whoever failed raises its own error.
        """
        try:
            yield
        except ProcessesError:  # nobody is left to be told
            raise
        except Exception as error:
            with suppress(ProcessesError):  # its own error says more
                self.texts(f"{type(error).__name__}: {error}")
            raise
        for rank, said in enumerate(self.texts("")):
            if said:
                raise ProcessesError(f"process {rank} of {self.count} failed: {said}")

    def texts(self, own: str) -> list[str]:
        """What each of them says, by rank.

        Raises:
            ProcessesError: If one is not there any more.
        """
        if self.count == 1:
            return [own]
        said = torch.from_numpy(np.frombuffer(own.encode(errors="surrogateescape"), dtype=np.uint8).copy())
        lengths = [int(length) for length in self._from_all(torch.tensor([len(said)]))]
        filled = torch.zeros(max(1, *lengths), dtype=torch.uint8)
        filled[: len(said)] = said
        parts = zip(self._from_all(filled), lengths, strict=True)
        return [bytes(part[:length].tolist()).decode(errors="surrogateescape") for part, length in parts]

    def summed(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum of what each of them has, of one shape: whole numbers, so that it is exact.

        Raises:
            ProcessesError: If one is not there any more.
        """
        if self.count == 1:
            return numbers
        total = torch.from_numpy(numbers).to(self._device())
        with self._talking():
            dist.all_reduce(total, group=self.group)
        summed: NDArray[np.int64] = total.cpu().numpy()
        return summed

    def check_same(self, what: str, own: str) -> None:
        """Refuse to go on, in all of them, where not all have the same.

        Args:
            what: What should be the same, for the message.
            own: What this one has, or its checksum.

        Raises:
            InputError: If one has something else than the first.
            ProcessesError: If one is not there any more.
        """
        said = self.texts(own)
        others = [str(rank) for rank, text in enumerate(said) if text != said[0]]
        if others:
            raise InputError(
                f"the {self.count} processes are to have the same {what}; {', '.join(others[:5])} has another than 0: give all "
                "of them the same arguments, and random weights one seed"
            )

    def _from_all(self, own: Tensor) -> list[Tensor]:
        own = own.to(self._device())
        parts = [torch.empty_like(own) for _ in range(self.count)]
        with self._talking():
            dist.all_gather(parts, own, group=self.group)
        return [part.cpu() for part in parts]

    def _device(self) -> torch.device:
        """Where tensors must be to be sent."""
        nccl = dist.get_backend(self.group) == "nccl"
        return torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # of gloo when a connection ends, of nccl, of a time-out
            raise ProcessesError(
                f"process {self.rank} of {self.count} waited for the others, and one of them is gone or took too long: what it "
                f"said itself is the reason; call the same again in all of them ({str(error).splitlines()[0]})"
            ) from error


ALONE = Processes()


def processes(share: Any) -> Processes:
    """Those that share a work.

    Args:
        share: False is this process alone; True all of `torch.distributed`, and where that is not in use this one alone;
            a process group those of the group.

    Raises:
        InputError: If it is none of these, or this process is not in the group.
    """
    if share is False:
        return Processes()
    if share is not True and not (dist.is_available() and isinstance(share, dist.ProcessGroup)):
        raise InputError(f"share is True, False or a process group of torch.distributed; got {share!r:.80}")
    if not (dist.is_available() and dist.is_initialized()):
        return Processes()
    group = None if share is True else share
    rank = dist.get_rank(group)
    if rank < 0:
        raise InputError("this process is not in the group that shares the work; do not call this in it")
    return Processes(rank, dist.get_world_size(group), group)
