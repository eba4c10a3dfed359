"""Batches on their way to an accelerator: copied from pinned memory, beside the network that runs there."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from nlreid.embedding.batches import Batch
from nlreid.embedding.prefetch import closing_generator


class Upload:
    """Copies of batches on a stream of their own, so that one goes up while the network runs on another.

    Only for CUDA devices; for others, batches stay as they are, and are moved when the network wants them.

    Args:
        device: Where the network is.
        dtype: The type that it wants.

    Attributes:
        pinned: Whether batches should be made in pinned memory, from which a copy does not hold up the processor.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._stream = _new_stream(device) if device.type == "cuda" else None
        self.pinned = self._stream is not None

    def begin(self, batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        """The batches, each with its copy under way; iterated where batches are made ahead.

        Of pinned memory, torch's allocator knows by itself when the copy is done and another batch may have it.
        """
        with closing_generator(iter(batches)) as iterator:
            for batch in iterator:
                yield batch if self._stream is None else self._begun(batch, self._stream)
                del batch  # it goes before the next one is made

    def _begun(self, batch: Batch, stream: torch.cuda.Stream) -> Batch:
        with torch.cuda.stream(stream):
            clips = batch.clips.to(self._device, non_blocking=True).to(self._dtype)  # types change there, not in between
            copied = stream.record_event()
        return replace(batch, clips=clips, copied=copied)

    def finish(self, batch: Batch) -> Tensor:
        """The clips of a batch, for the stream that the network runs on: it waits for the copy, the processor does not."""
        if batch.copied is not None:
            running = torch.cuda.current_stream(self._device)
            running.wait_event(batch.copied)
            batch.clips.record_stream(running)  # its memory is not used again before the network has done with it
        return batch.clips


def _new_stream(device: torch.device) -> torch.cuda.Stream:
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream
