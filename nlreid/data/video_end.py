"""Whether a video file reached the end that its container promises."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Promise:
    """How long a container says that it is.

    Args:
        seconds: Where its last picture ends.
        frames: How many pictures it counts; 0 where it does not count them.
        tolerance: By how many seconds an undamaged file may miss that.
        whole_file: Whether `seconds` is the end of the longest stream (sound included), not that of the pictures.
    """

    seconds: Fraction
    frames: int
    tolerance: Fraction
    whole_file: bool

    def __str__(self) -> str:
        frames = f"{self.frames} frames, " if self.frames else ""
        return f"its header promises {frames}{float(self.seconds):.2f} s"


def read_promise(container: InputContainer, stream: VideoStream) -> Promise | None:
    """What the container promises, where its promise can be trusted, else None.

    FFmpeg reads a file that was cut off to its last byte without an error, and the number of frames in a header is no
    proof by itself: AVI counts places that hold no picture, MP4 counts pictures that its edit list hides. So each
    container is asked what it knows, and the answer is compared with the timestamps of the packets that came:

    - AVI: the count of the header; only where the file is shorter in bytes than its header says, which FFmpeg shows
      by a duration below that count.
    - MP4, MOV: the duration of the stream, the sum over its sample table after the edit list.
    - Matroska, WebM: the duration of the file, unless it is FFmpeg's estimate (then the stream has one too). A muxer
      may have counted a long last picture, whose duration it did not write: one second is forgiven.
    - Others (MPEG-TS, raw streams): nothing is known.
    """
    rate = stream.average_rate
    if stream.time_base is None or not rate:
        return None
    frame = 1 / Fraction(rate)
    name = container.format.name
    if name == "avi":
        if stream.duration is None or stream.duration >= stream.frames:
            return None
        return Promise(stream.frames * stream.time_base, stream.frames, frame / 2, whole_file=False)
    if name.startswith("mov,") and stream.duration is not None:
        end = ((stream.start_time or 0) + stream.duration) * stream.time_base
        return Promise(end, stream.frames, 2 * frame, whole_file=False)
    if name.startswith("matroska") and container.duration is not None and stream.duration is None:
        return Promise(Fraction(container.duration, 10**6), 0, max(2 * frame, Fraction(1)), whole_file=True)
    return None


class Reach:
    """How far the packets of a file reached in time, stream by stream."""

    def __init__(self) -> None:
        self._ends: defaultdict[int, Fraction] = defaultdict(Fraction)

    def add(self, packet: Packet[Stream]) -> None:
        """Note the end of one packet; packets without a timestamp (those that flush the decoder) say nothing."""
        start = packet.dts if packet.pts is None else packet.pts
        if start is not None:
            end = (start + (packet.duration or 0)) * Fraction(packet.time_base)
            self._ends[packet.stream.index] = max(end, self._ends[packet.stream.index])

    def seconds(self, stream: VideoStream, promise: Promise) -> Fraction:
        """The end that is to be compared with `promise.seconds`."""
        return max(self._ends.values(), default=Fraction(0)) if promise.whole_file else self._ends[stream.index]

    def shortfall(self, stream: VideoStream, promise: Promise | None) -> str | None:
        """What is missing, in words and numbers, or None where nothing is known to be missing."""
        if promise is None:
            return None
        came = self.seconds(stream, promise)
        if came >= promise.seconds - promise.tolerance:
            return None
        return f"{float(came):.2f} s came, {promise}"
