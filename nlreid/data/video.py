"""The frames of a video, from a video file or from a folder of numbered pictures."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlreid.data.disk import as_path, exists, is_folder
from nlreid.data.images import image_files, read_image
from nlreid.data.video_end import Reach, read_promise
from nlreid.errors import DataError, import_extra

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

NumberedFrames = Generator[tuple[int, NDArray[np.uint8]], None, None]


def read_frames(source: Path | str) -> NumberedFrames:
    """The frames of a video, one after the other, decoded once through and never held.

    Frames are numbered from 1 in the order in which they are shown, as in MOTChallenge (and as OpenCV delivers them).
    The pictures of a folder (MOTChallenge's `img1`) are taken in natural order of their names, numbered by their place.

    Pictures are upright: a quarter turn that a phone noted in a video (its display matrix) is applied, as OpenCV does;
    a mirroring is not. Non-square pixels are left as they are stored.

    Every whole frame before a break is delivered, then the break is an error. A file that was cut off exactly between
    two frames is noticed if its container tells how long it should be (AVI, MP4, MOV, Matroska, WebM; see
    `nlreid.data.video_end`).

    Args:
        source: A video file (anything that FFmpeg reads), or a folder of image files.

    Returns:
        A generator of (frame number, uint8 RGB `(h, w, 3)`). Closing it early closes the file.

    Raises:
        DataError: If the source does not exist or cannot be read, is no video, holds no video stream or no picture; while
            reading: if it is damaged or ends early. The message names the file and the last good frame.
        InputError: If `source` is no path.
        MissingExtraError: If PyAV is not installed, for a video file.
    """
    source = as_path("source", source)
    if is_folder(source):
        return _frames_of_folder(source)
    if not exists(source):
        raise DataError(f"{source}: no such file; wanted a video file or a folder of image files")
    return _frames_of_file(source)


def _frames_of_folder(folder: Path) -> NumberedFrames:
    files = image_files(folder)
    if not files:
        raise DataError(f"{folder}: no image file in this folder; wanted a video file or a folder of image files")
    for number, path in enumerate(files, start=1):
        yield number, read_image(path)


def _frames_of_file(path: Path) -> NumberedFrames:
    av = import_extra("av", "video")
    number = 0
    with _open(av, path) as container:
        stream = _video_stream(container, path)
        reformatter = av.video.reformatter.VideoReformatter()  # of all frames: to begin one takes longer than to use it
        try:
            for number, frame in enumerate(_decode(container, stream), start=1):
                yield number, _upright(frame, reformatter)
        except (av.error.FFmpegError, _BrokenError) as error:
            raise DataError(
                f"{path}: decoding stopped after frame {number}: {error}; "
                f"the file is damaged or was cut off: copy or record it again, or convert what is left of it"
            ) from error


def _open(av: Any, path: Path) -> InputContainer:  # av: the module, imported where it is needed
    try:
        container: InputContainer = av.open(str(path))
    except av.error.FFmpegError as error:
        raise DataError(f"{path}: not a video that FFmpeg can read ({error})") from error
    return container


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    # FFmpeg paints text files (a track file given as the video, say) as pictures of a terminal
    if not container.streams.video or container.format.name == "tty":
        raise DataError(f"{path}: holds no video stream ({container.format.long_name}); wanted a video file")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataError(f"{path}: FFmpeg has no decoder for its video stream; convert it, to H.264 in MP4 for instance")
    stream.thread_type = "AUTO"  # frame threads too: several times faster, at the price of some frames in flight
    return stream


class _BrokenError(Exception):
    """The stream is damaged or ends early, though FFmpeg itself would go on."""


def _decode(container: InputContainer, stream: VideoStream) -> Generator[VideoFrame, None, None]:
    promise = read_promise(container, stream)
    reach = Reach()
    for packet in container.demux():  # every stream: where the file ends shows in its sound, too
        reach.add(packet)
        if packet.stream.index != stream.index:
            continue
        if packet.is_corrupt:  # a part of it is missing: deliver the whole frames that the decoder still holds
            yield from stream.codec_context.decode(None)
            raise _BrokenError("the next frame is incomplete" + (f" ({promise})" if promise else ""))
        for frame in stream.codec_context.decode(packet):
            if frame.is_corrupt:  # FFmpeg has filled in what it could not decode
                raise _BrokenError("the next frame is damaged")
            yield frame
    missing = reach.shortfall(stream, promise)
    if missing is not None:
        raise _BrokenError(f"it ends early: {missing}")


def _upright(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    picture: Any = reformatter.reformat(frame, format="rgb24").to_ndarray()
    quarter_turns = round(frame.rotation / 90)  # counterclockwise, as FFmpeg and np.rot90 count
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(picture, quarter_turns)) if quarter_turns else picture
    return upright
