"""The picture of `nlreid search`: a file of embeddings holds none, so they are read again from where they were embedded."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlreid.cli.arguments import model_name
from nlreid.cli.tracks import check_has_tracks, check_paths, span
from nlreid.data.datasets.folder import read_folder
from nlreid.data.datasets.mot import TrackFile, read_tracks, read_video_tracklets
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import Embeddings, TrackInfo
from nlreid.errors import DataError
from nlreid.visualize import RankedList
from nlreid.visualize.figures.style import check_matplotlib
from nlreid.visualize.picture_file import check_picture_path

_SIZE = (256, 128)  # of a picture out of a video, in pixels


def add_picture_options(options: Any) -> None:
    """Add the options that say where the picture goes, and where the people in it come from."""
    source = "what FILE was embedded from: a video, a folder of its frames, or without --tracks a folder of folders of pictures"
    options.add_argument("--picture", metavar="FILE", type=Path, help="draw the ranking: .png, .jpg, .pdf or .svg")
    options.add_argument("--source", metavar="VIDEO", type=Path, help=source)
    options.add_argument("--tracks", metavar="FILE", type=Path, help="its track file")
    options.add_argument("--in-source", metavar="VIDEO", type=Path, help="the same of --in (default: --source and --tracks)")
    options.add_argument("--in-tracks", metavar="FILE", type=Path, help="its track file")


def check_picture_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together, and pictures that cannot be drawn or written, before the work."""
    given = [name for name in ("source", "tracks", "in_source", "in_tracks") if getattr(arguments, name) is not None]
    if arguments.picture is None:
        if given:
            arguments.misused(f"only with --picture goes {', '.join(_option(name) for name in given)}")
        return
    if arguments.source is None:
        arguments.misused("with --picture goes --source, what FILE was embedded from: it holds no pictures")
    if arguments.gallery is None and (arguments.in_source or arguments.in_tracks):
        arguments.misused("--in-source and --in-tracks are of what --in names")
    if arguments.in_tracks is not None and arguments.in_source is None:
        arguments.misused("with --in-tracks goes --in-source, the video that they are of")
    check_matplotlib()
    check_picture_path(arguments.picture)
    for source, tracks in _sources(arguments):
        check_paths(source, arguments.picture, tracks, arguments.people, arguments.gallery)
        check_has_tracks(source, tracks)


def pictured(
    arguments: argparse.Namespace,
    people: Embeddings,
    row: int,
    gallery: Embeddings,
    found: Sequence[int],
    distances: Sequence[float],
) -> RankedList:
    """The ranking with pictures, which are read again.

    Args:
        arguments: Those of the command.
        people: Of whom the query is one.
        row: Which.
        gallery: Who was looked through.
        found: The rows of those who were found, nearest first.
        distances: Of each.

    Raises:
        DataError: If a track is not there any more, or is another than was embedded.
    """
    own, other = _sources(arguments)
    if own == other:
        wanted = {people.tracks[row].name: people.tracks[row]} | {gallery.tracks[at].name: gallery.tracks[at] for at in found}
        queries = answers = _read(*own, wanted)
    else:
        queries = _read(*own, {people.tracks[row].name: people.tracks[row]})
        answers = _read(*other, {gallery.tracks[at].name: gallery.tracks[at] for at in found})
    query = _labelled(queries[people.tracks[row].name], people, row)
    shown = [_labelled(answers[gallery.tracks[at].name], gallery, at) for at in found]
    return RankedList(query, shown, distances, f"{model_name(people)}, cosine distance")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sources(arguments: argparse.Namespace) -> tuple[tuple[Path, Path | None], tuple[Path, Path | None]]:
    """The video and the tracks of the query, and those of the gallery."""
    own = (arguments.source, arguments.tracks)
    return own, own if arguments.in_source is None else (arguments.in_source, arguments.in_tracks)


def _read(source: Path, tracks: Path | None, wanted: dict[str, TrackInfo]) -> dict[str, Tracklet]:
    """Some tracklets, one picture of each, from its middle; refused if they are not what was embedded."""
    found = {}
    for tracklet in read_folder(source) if tracks is None else _of_video(source, tracks, wanted):
        if tracklet.name in wanted:
            numbers = tracklet.frame_numbers or (None,)
            _check(source, TrackInfo(tracklet.name, len(tracklet), numbers[0], numbers[-1]), wanted[tracklet.name])
            middle = len(tracklet) // 2
            found[tracklet.name] = replace(tracklet, frames=tracklet.frames[middle : middle + 1], frame_numbers=None)
        del tracklet  # its other pictures need not wait for the next
    for name in wanted:
        if name not in found:
            raise DataError(f"{tracks or source}: there is no track {name!r}; give what the embeddings were made from")
    return found


def _of_video(source: Path, tracks: Path, wanted: dict[str, TrackInfo]) -> Iterator[Tracklet]:
    """Only the wanted ones are cut out. Bad lines are left out: whoever embedded was told of them."""
    file = read_tracks(tracks, skip_bad_lines=True)
    keep = np.isin(file.ids, [int(name) for name in wanted if name.removeprefix("-").isdecimal()])
    some = TrackFile(file.path, file.frames[keep], file.ids[keep], file.boxes[keep], file.lines[keep])
    return read_video_tracklets(source, some, size=_SIZE, skip_bad_lines=True)


def _check(source: Path, read: TrackInfo, embedded: TrackInfo) -> None:
    if read != embedded:
        raise DataError(
            f"{source}: track {read.name!r} has {span(read)} pictures here, and had {span(embedded)} when it was embedded; "
            "give what the embeddings were made from"
        )


def _labelled(tracklet: Tracklet, people: Embeddings, row: int) -> Tracklet:
    """A tracklet with the pid and camid of its row, where the file has them."""
    pid, camid = (None if labels is None else int(labels[row]) for labels in (people.pids, people.camids))
    return replace(tracklet, pid=pid, camid=camid)
