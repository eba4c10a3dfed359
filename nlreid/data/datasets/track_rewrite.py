"""Track files with other ids: the same text, but for one field of each line."""

from __future__ import annotations

from collections.abc import Mapping

from nlreid.data.datasets.track_file import TrackFile
from nlreid.data.disk import read_text
from nlreid.errors import DataError


def with_ids(tracks: TrackFile, ids: Mapping[int, int]) -> bytes:
    """The text of a track file in which tracks have other ids; everything else of each line is kept as it is written.

    Lines that `read_tracks` left out, blank ones too, are left out here.

    Args:
        tracks: From `read_tracks`; its file is read again.
        ids: The new id of each old one; what is not named keeps its own.

    Raises:
        DataError: If the file is no longer the one that was read, or two boxes of a frame would have one id.
    """
    lines = dict(enumerate(read_text(tracks.path).split("\n"), start=1))  # splitlines knows more ends than files have
    written, seen = [], set[tuple[int, int]]()
    for number, frame, old in zip(tracks.lines.tolist(), tracks.frames.tolist(), tracks.ids.tolist(), strict=True):
        fields = lines.get(number, "").split(",")
        if len(fields) < 6 or not _is(fields[0], frame) or not _is(fields[1], old):
            raise DataError(f"{tracks.path}:{number}: has changed since it was read; nothing was written")
        new = ids.get(old, old)
        if (frame, new) in seen:
            raise DataError(
                f"{tracks.path}:{number}: frame {frame} would have two boxes of id {new}; tracks at once stay apart"
            )
        seen.add((frame, new))
        written.append(",".join([fields[0], fields[1] if new == old else str(new), *fields[2:]]))
    return "".join(f"{line}\n" for line in written).encode()


def _is(text: str, number: int) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False
