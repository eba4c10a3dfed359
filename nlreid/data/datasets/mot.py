"""People in a video: a video and the MOTChallenge track file of whatever tracker followed them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlreid.data.datasets.crops import CropReport as CropReport
from nlreid.data.datasets.crops import crop
from nlreid.data.datasets.track_file import TrackFile as TrackFile
from nlreid.data.datasets.track_file import read_tracks as read_tracks
from nlreid.data.disk import as_path
from nlreid.data.tracklet import Tracklet
from nlreid.data.video import NumberedFrames, read_frames
from nlreid.errors import DataError, InputError


def read_video_tracklets(
    video: Path | str,
    tracks: TrackFile | Path | str,
    *,
    size: tuple[int, int] | None = None,
    min_frames: int = 1,
    skip_bad_lines: bool = False,
    report: CropReport | None = None,
) -> Generator[Tracklet, None, None]:
    """Cut the tracked people out of a video, which is decoded once and no further than the last box.

    A tracklet comes as soon as its last box has passed, tracklets of one frame in the order of their ids; its name is
    the id, its `frame_numbers` are those of the track file. Only the crops of tracks that are still running are held,
    and a tracklet is let go when it is handed over: with `size` the memory does not depend on that of the picture.

    Boxes are clipped at the edge of the picture. A box of which nothing remains is left out, and so is a tracklet with
    too few crops; both are reported, the former also by one warning to the log at the end.

    Args:
        video: A video file, or a folder of numbered pictures.
        tracks: The track file, or what `read_tracks` read from it.
        size: Height and width to which every crop is resized at once, in pixels; None keeps the size of each box.
        min_frames: Least number of crops of a tracklet.
        skip_bad_lines: Leave out, and report, bad lines of the track file and boxes in frames that the video does not
            have, instead of raising.
        report: Filled while the tracklets are read, for the caller to show.

    Returns:
        A generator; it holds the video open until it is exhausted or closed.

    Raises:
        DataError: For a track file or a video that cannot be read; while reading: if the video breaks or ends early
            before the last box, or if a box lies in a frame after its end (with path and line number).
        InputError: If `size` or `min_frames` is not positive.
        MissingExtraError: If PyAV is not installed, for a video file.
    """
    if min_frames < 1 or (size is not None and min(size) < 1):
        raise InputError(f"min_frames and size must be positive; got min_frames={min_frames}, size={size}")
    video = as_path("video", video)
    if not isinstance(tracks, TrackFile):
        tracks = read_tracks(tracks, skip_bad_lines=skip_bad_lines)
    report = CropReport() if report is None else report
    report.tracks, report.boxes, report.bad_lines = tracks.path, len(tracks), tracks.problems
    frames = read_frames(video)
    return _cut(video, frames, tracks, _Crops(min_frames, size, report), skip_beyond=skip_bad_lines)


def _cut(
    video: Path, frames: NumberedFrames, tracks: TrackFile, crops: _Crops, *, skip_beyond: bool
) -> Generator[Tracklet, None, None]:
    order = np.lexsort((tracks.ids, tracks.frames))  # by frame, then by id
    last_rows = _last_rows(tracks.ids, order)
    done = number = 0
    with closing(frames):
        for number, picture in frames:
            stop = int(np.searchsorted(tracks.frames, number, side="right", sorter=order))
            for row in order[done:stop].tolist():
                identity = int(tracks.ids[row])
                crops.add(identity, number, picture, tracks.boxes[row], int(tracks.lines[row]))
                if row in last_rows and crops.suffice(identity):
                    yield crops.pop(identity)
            done = stop
            if done == len(order):
                break
    beyond = order[done:]
    if len(beyond) and not skip_beyond:
        raise _beyond_error(video, number, tracks, beyond)
    crops.report.beyond.extend(np.sort(tracks.lines[beyond]).tolist())
    for identity in np.unique(tracks.ids[beyond]).tolist():
        if crops.suffice(identity):
            yield crops.pop(identity)
    crops.report.log_losses()


class _Crops:
    """The crops of the tracks that have begun and not ended."""

    def __init__(self, min_frames: int, size: tuple[int, int] | None, report: CropReport) -> None:
        self.report = report
        self._min_frames = min_frames
        self._size = size
        self._running: defaultdict[int, list[tuple[int, NDArray[np.uint8]]]] = defaultdict(list)

    def add(self, identity: int, number: int, picture: NDArray[np.uint8], box: NDArray[np.float64], line: int) -> None:
        """Cut one box of a track out of frame `number`, or note that nothing of it is to be seen."""
        piece, clipped = crop(picture, box, self._size)
        if piece is None:
            self.report.outside.append(line)
            return
        if clipped:
            self.report.clipped.append(line)
        self._running[identity].append((number, piece))

    def suffice(self, identity: int) -> bool:
        """Whether a track that has ended is long enough; the crops of one that is not are dropped and noted."""
        if len(self._running[identity]) >= self._min_frames:
            return True
        self.report.short.append(str(identity))
        del self._running[identity]
        return False

    def pop(self, identity: int) -> Tracklet:
        """A track that has ended, no longer held here."""
        numbers, pieces = zip(*self._running.pop(identity), strict=True)
        self.report.tracklets += 1
        self.report.crops += len(pieces)
        return Tracklet(str(identity), pieces, frame_numbers=numbers)


def _last_rows(ids: NDArray[np.int64], order: NDArray[np.intp]) -> set[int]:
    """The row of the last box, in time, of each track."""
    backwards = order[::-1]
    _, first = np.unique(ids[backwards], return_index=True)
    return set(backwards[first].tolist())


def _beyond_error(video: Path, frames: int, tracks: TrackFile, rows: NDArray[np.intp]) -> DataError:
    row = rows[np.argmin(tracks.lines[rows])]
    more = f" (and {len(rows) - 1} more lines)" if len(rows) > 1 else ""
    return DataError(
        f"{tracks.path}:{tracks.lines[row]}: a box in frame {tracks.frames[row]}{more}, "
        f"but {video} has {frames} frames; wanted the tracks of this video, or skip_bad_lines"
    )
