"""`nlreid relink`: a tracker's broken tracks, joined by their embeddings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nlreid.cli.arguments import whole_number
from nlreid.cli.tracks import check_paths
from nlreid.data.datasets.mot import TrackFile, read_tracks
from nlreid.data.datasets.track_rewrite import with_ids
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.embedding import Embeddings
from nlreid.errors import DataError, InputError, some_of
from nlreid.evaluation import Threshold, calibrate
from nlreid.trackers import Relinked, relink, together_threshold

RATE = 0.05  # of other people who may be taken for the same one


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "relink",
        help="join a tracker's broken tracks",
        description="Join tracks of one video that are of one person, by their embeddings, and write a corrected track file.",
        allow_abbrev=False,
    )
    parser.add_argument("tracks", metavar="TRACKS", type=Path, help="MOTChallenge track file: frame,id,x,y,w,h,…")
    parser.add_argument("people", metavar="EMBEDDINGS", type=Path, help="what `nlreid embed` wrote for these tracks")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the track file to write")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--threshold",
        metavar="D",
        type=_number(2),
        help="largest cosine distance of a link (default: from the tracks that are in the picture at the same time)",
    )
    limit.add_argument(
        "--calibrate", metavar="FILE", type=Path, help="the threshold comes from these embeddings, which have identities"
    )
    parser.add_argument(
        "--false-accept-rate",
        metavar="R",
        type=_number(1),
        help=f"share of other people that a threshold which is not given may let pass (default: {RATE})",
    )
    parser.add_argument("--max-gap", metavar="N", type=whole_number(0), help="join over so many frames at most (default: any)")
    parser.add_argument("--skip-bad-lines", action="store_true", help="report bad lines of the track file and go on")
    parser.set_defaults(run=run, misused=parser.error)


def _number(most: float) -> Callable[[str], float]:
    """The type of an option that is a number from 0 to `most`; anything else is a usage error that says so."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most}")
        return value

    return convert


def run(arguments: argparse.Namespace) -> None:
    """Join, write, and say what was joined; nothing is written unless everything went well."""
    if arguments.threshold is not None and arguments.false_accept_rate is not None:
        arguments.misused("--false-accept-rate is for a threshold that is not given; leave it or --threshold out")
    check_writable(arguments.output)
    check_paths(arguments.tracks, arguments.output, arguments.people, arguments.calibrate)
    tracks = read_tracks(arguments.tracks, skip_bad_lines=arguments.skip_bad_lines)
    people = Embeddings.load(arguments.people)
    names, first, last = _spans(tracks, people, arguments.people)
    threshold, why = _threshold(arguments, people, first, last)
    found = relink(people.features, first, last, threshold=threshold, max_gap=arguments.max_gap)
    heads = found.heads.tolist()
    write_whole(arguments.output, with_ids(tracks, {name: names[head] for name, head in zip(names, heads, strict=True)}))
    _report(arguments, tracks, names, found, first, last)
    number = threshold.distance if isinstance(threshold, Threshold) else threshold
    print(f"threshold {number:.4f}, {why}")


def _spans(tracks: TrackFile, people: Embeddings, path: Path) -> tuple[list[int], list[int], list[int]]:
    """The id of each embedded track, and its first and last frame in the track file."""
    ids, places = np.unique(tracks.ids, return_inverse=True)
    first, last = np.full(len(ids), np.iinfo(np.int64).max), np.zeros(len(ids), dtype=np.int64)
    np.minimum.at(first, places, tracks.frames)
    np.maximum.at(last, places, tracks.frames)
    row_of = {str(identity): row for row, identity in enumerate(ids.tolist())}
    if not people.tracks:
        raise DataError(
            f"{path}: says of no row which track it is of; wanted what `nlreid embed --tracks {tracks.path}` writes"
        )
    unknown = [track.name for track in people.tracks if track.name not in row_of]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} of its tracks are not in {tracks.path} ({some_of(unknown)}); embed these tracks"
        )
    rows = [row_of[track.name] for track in people.tracks]
    for track, row in zip(people.tracks, rows, strict=True):
        if track.first is not None and track.last is not None and not first[row] <= track.first <= track.last <= last[row]:
            raise DataError(
                f"{path}: track {track.name!r} is from {track.first} to {track.last}, and in {tracks.path} "
                f"from {first[row]} to {last[row]}; embed these tracks"
            )
    return ids[rows].tolist(), first[rows].tolist(), last[rows].tolist()


def _threshold(
    arguments: argparse.Namespace, people: Embeddings, first: list[int], last: list[int]
) -> tuple[float | Threshold, str]:
    """The largest distance of a link, and where it comes from."""
    if arguments.threshold is not None:
        return arguments.threshold, "as given"
    rate = RATE if arguments.false_accept_rate is None else arguments.false_accept_rate
    if arguments.calibrate is None:
        threshold = together_threshold(people.features, first, last, false_accept_rate=rate)
        of = f"{threshold.impostors} tracks that have others in the picture at the same time"
    else:
        labelled = Embeddings.load(arguments.calibrate)
        if labelled.model != people.model:
            raise InputError(
                f"a threshold holds for one model; got {labelled.model!r} and {people.model!r}; embed both with one"
            )
        if labelled.pids is None or labelled.camids is None:
            raise InputError(f"{arguments.calibrate}: holds no identities and cameras, by which a threshold is found")
        threshold = calibrate(labelled, labelled, false_accept_rate=rate)
        of = f"{threshold.impostors} rows of {arguments.calibrate}"
    return threshold, f"which takes another person for the same one in {threshold.false_accept_rate:.3f} of {of}"


def _report(
    arguments: argparse.Namespace, tracks: TrackFile, names: list[int], found: Relinked, first: list[int], last: list[int]
) -> None:
    if found.links:
        print(f"{'track':>8}  {'goes on in':>10}  {'distance':>8}  frames between")
    for before, after, distance, gap in found.links:
        print(f"{names[before]:8}  {names[after]:10}  {distance:8.4f}  {gap} ({last[before]} to {first[after]})")
    count = len(np.unique(tracks.ids))
    alone = f"; {count - len(names)} without an embedding were left alone" if count > len(names) else ""
    print(f"{arguments.output}: {count} tracks became {count - len(found.links)}{alone}")
