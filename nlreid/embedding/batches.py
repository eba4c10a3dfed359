"""From tracklets to the batches of clips that a network runs on: all that happens before it, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nlreid.data.clips import dense
from nlreid.data.tracklet import Tracklet
from nlreid.data.transforms import byte_values, look_up
from nlreid.embedding.prefetch import closing_generator
from nlreid.embedding.track import TrackInfo
from nlreid.errors import InputError
from nlreid.models.spec import ClipSpec


@dataclass(frozen=True)
class Known:
    """What is known about a tracklet besides its pictures.

    Args:
        track: Its name and where it comes from.
        pid: The person, where that is known.
        camid: The camera.
    """

    track: TrackInfo
    pid: int | None
    camid: int | None


@dataclass(frozen=True)
class Batch:
    """Clips that run together.

    Args:
        clips: float32, `(b, 3, t, h, w)`.
        rows: Of which tracklet each is, by its place among all, `(b,)`; in rising order.
        begun: The tracklets whose first clip is among them, in order.
        copied: When `clips` are there, on a device to which they are being copied; None: they are.
    """

    clips: Tensor
    rows: list[int]
    begun: list[Known]
    copied: torch.cuda.Event | None = None


def batches(
    tracklets: Iterable[Tracklet], spec: ClipSpec, frames: int, batch_size: int, *, pinned: bool = False
) -> Iterator[Batch]:
    """Read tracklets, divide each into consecutive clips, and put clips together, also of several tracklets.

    A tracklet is held while its clips are made, and the next is taken when it is no longer held. `tracklets` is closed at
    the end, if it is a generator, also after an error.

    Args:
        tracklets: What is read; names are unique. All have a pid, or none; the same for camids.
        spec: What clips are like.
        frames: Frames of a clip, where that is more than `spec` says.
        batch_size: Clips of a batch; the last one may have fewer.
        pinned: Whether they are made in pinned memory, for a CUDA device.

    Raises:
        InputError: If something is no tracklet, a name comes twice, or only some have labels.
        DataError: If a picture cannot be read.
    """
    seen, values = _Seen(), byte_values(spec.mean, spec.std)
    clips: list[Tensor] = []  # bytes until they are together: a fourth of what a network wants
    rows: list[int] = []
    begun: list[Known] = []
    with closing_generator(iter(tracklets)) as iterator:
        for tracklet in iterator:
            begun.append(seen.add(tracklet))
            for indices in dense(len(tracklet), max(spec.frames, frames)):
                clips.append(tracklet.read(indices, spec.size))  # (t, h, w, 3)
                rows.append(seen.count - 1)
                if len(clips) == batch_size:
                    yield Batch(_together(clips, values, pinned), rows, begun)
                    clips, rows, begun = [], [], []
            del tracklet  # its pictures go before those of the next one come
    if clips:
        yield Batch(_together(clips, values, pinned), rows, begun)


def _together(clips: list[Tensor], values: Tensor, pinned: bool) -> Tensor:
    """Bytes `(t, h, w, 3)` to floats `(b, 3, t, h, w)`; takes the clips out of their list as it goes."""
    frames, height, width, channels = clips[0].shape
    shape = (len(clips), channels, frames, height, width)
    floats = torch.empty(shape, dtype=torch.float32, device="cpu", pin_memory=pinned)  # whatever torch's defaults are
    for place in reversed(range(len(clips))):
        look_up(clips.pop(), values, out=floats[place])
    return floats


class _Seen:
    """The tracklets so far: what all of them must have in common, and what no two may."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._first: Known | None = None

    @property
    def count(self) -> int:
        return len(self._names)

    def add(self, tracklet: object) -> Known:
        """What is known about a tracklet, if it may stand beside the others."""
        if not isinstance(tracklet, Tracklet):
            raise no_tracklets(tracklet)
        if tracklet.name in self._names:
            raise InputError(f"names of tracklets are unique; {tracklet.name!r} came twice")
        self._names.add(tracklet.name)
        numbers = tracklet.frame_numbers or (None,)
        track = TrackInfo(tracklet.name, len(tracklet), numbers[0], numbers[-1])
        own = Known(track, tracklet.pid, tracklet.camid)
        first = self._first = self._first or own
        if (first.pid is None, first.camid is None) != (own.pid is None, own.camid is None):
            said = [f"{known.track.name!r} has pid {known.pid} and camid {known.camid}" for known in (first, own)]
            raise InputError(f"either all tracklets have a pid (and camid) or none has; {', '.join(said)}")
        return own


def no_tracklets(given: object) -> InputError:
    """The error for what is no tracklet, or holds none."""
    readers = "as the readers of nlreid.data.datasets give"
    return InputError(f"embed takes nlreid.Tracklet objects, {readers}, in a list or other iterable; got {given!r:.80}")
