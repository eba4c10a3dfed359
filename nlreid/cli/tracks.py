"""Tracked people on the command line: the options that say where they are, the tracklets, and how a track is written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlreid.cli.arguments import number_option, whole_number
from nlreid.data.datasets.crops import CropReport
from nlreid.data.datasets.mot import TrackFile, read_tracks, read_video_tracklets
from nlreid.data.disk import exists, is_file, is_folder, resolved
from nlreid.data.images import IMAGE_SUFFIXES
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import TrackInfo
from nlreid.errors import DataError, InputError


def add_track_options(parser: Any) -> list[argparse.Action]:
    """Add the options that say which people of a video are read."""
    return [
        parser.add_argument("--tracks", metavar="FILE", type=Path, help="MOTChallenge track file: frame,id,x,y,w,h,…"),
        number_option(parser, "--min-frames", whole_number(1), 1, "leave out tracks with fewer pictures"),
        parser.add_argument("--skip-bad-lines", action="store_true", help="report bad lines of the track file and go on"),
    ]


def check_paths(source: Path, output: Path, *others: str | Path | None) -> None:
    """Refuse to write over what is read.

    Args:
        source: A video, or a folder of pictures.
        output: What will be written.
        others: What else is read; None is nothing.

    Raises:
        DataError: If there is no `source`.
        InputError: If the output is one of what is read.
    """
    place = resolved(output)
    if place.is_relative_to(resolved(source)) and place.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{output} would be one of the pictures that are read; name another")
    for given in (source, *others):
        if given is not None and resolved(Path(given)) == place:
            raise InputError(f"{output} is read, and cannot be written too; name another")
    if not exists(source):
        raise DataError(f"{source}: no such file or folder")


def check_has_tracks(source: Path, tracks: Path | None) -> None:
    """Refuse a video without a track file."""
    if tracks is None and is_file(source):
        raise InputError(f"{source} is a file; --tracks FILE says where the people are in a video")


def read_track_file(arguments: argparse.Namespace) -> TrackFile:
    """The track file that was given."""
    return read_tracks(arguments.tracks, skip_bad_lines=arguments.skip_bad_lines)


def video_people(
    arguments: argparse.Namespace, source: Path, tracks: TrackFile, size: tuple[int, int], report: CropReport
) -> Iterator[Tracklet]:
    """The people of a video, as they are cut out of it.

    Args:
        arguments: Those of `add_track_options`.
        source: The video.
        tracks: From `read_track_file`.
        size: Height and width of a picture, in pixels.
        report: Filled while they are read.
    """
    return read_video_tracklets(
        source,
        tracks,
        size=size,
        min_frames=arguments.min_frames,
        skip_bad_lines=arguments.skip_bad_lines,
        report=report,
    )


def at_least_one(tracklets: Iterator[Tracklet], source: Path, min_frames: int) -> Iterator[Tracklet]:
    """The same tracklets; if there is none, an error that says so."""
    first = next(tracklets, None)
    if first is None:
        asked = "is --min-frames too high?" if is_folder(source) else "is it made for this video, or --min-frames too high?"
        raise DataError(f"{source}: no track has {min_frames} or more pictures; {asked}")
    yield first
    del first
    yield from tracklets


class Counted:
    """Tracklets that say how many they are, as far as that is known: at most one a track of the file.

    Args:
        tracklets: The tracklets.
        tracks: The track file, where there is one.
    """

    def __init__(self, tracklets: Iterator[Tracklet], tracks: TrackFile | None) -> None:
        self._tracklets = tracklets
        self._total = 0 if tracks is None else len(set(tracks.ids.tolist()))

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[Tracklet]:
        return self._tracklets


def span(track: TrackInfo) -> str:
    """How many pictures a track has, and where in its video, if that is known.

    >>> span(TrackInfo("7", 12, first=1, last=30))
    '12 from 1 to 30'
    """
    where = "" if track.first is None else f" from {track.first} to {track.last}"
    return f"{track.frames}{where}"
