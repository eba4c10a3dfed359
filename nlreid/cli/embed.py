"""`nlreid embed`: people in a video, or in folders of pictures, to a file of embeddings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlreid.cli.arguments import DTYPES, add_model_options, device_name, make_model, number_option, whole_number, with_seed
from nlreid.data.datasets.crops import CropReport
from nlreid.data.datasets.folder import read_folder
from nlreid.data.datasets.mot import TrackFile, read_tracks, read_video_tracklets
from nlreid.data.disk import exists, is_file, resolved
from nlreid.data.images import IMAGE_SUFFIXES
from nlreid.data.tracklet import Tracklet
from nlreid.data.whole_file import check_writable
from nlreid.embedding import embed
from nlreid.embedding.device import resolve_device
from nlreid.errors import DataError, InputError
from nlreid.models import VideoReID


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "embed",
        help="embed tracked people",
        description="Embed the people that a track file follows through a video, or those of a folder of folders of pictures.",
        allow_abbrev=False,
    )
    source = "a video file, a folder of its frames, or without --tracks a folder with a folder of pictures a person"
    parser.add_argument("source", metavar="VIDEO", type=Path, help=source)
    parser.add_argument("--tracks", metavar="FILE", type=Path, help="MOTChallenge track file: frame,id,x,y,w,h,…")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write (safetensors)")
    add_model_options(parser)
    number_option(parser, "--min-frames", whole_number(1), 1, "leave out tracks with fewer pictures")
    parser.add_argument("--skip-bad-lines", action="store_true", help="report bad lines of the track file and go on")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Embed and write; nothing is written unless everything went well."""
    _check_paths(arguments)
    device = resolve_device(device_name(arguments))
    tracks = read_tracks(arguments.tracks, skip_bad_lines=arguments.skip_bad_lines) if arguments.tracks else None
    model = make_model(arguments)
    report = CropReport()
    people = embed(
        model,
        _Counted(_at_least_one(_tracklets(arguments, tracks, model, report), arguments), tracks),
        batch_size=arguments.batch_size,
        device=device,
        autocast=DTYPES.get(arguments.autocast),
        progress=not arguments.quiet,
    )
    people = with_seed(people, model, arguments.seed)
    people.save(arguments.output)
    if not arguments.quiet:
        if summary := _summary(arguments, report):
            print(summary)
        print(f"{arguments.output}: {len(people)} embeddings of {people.features.shape[1]} values ({people.model})")


def _check_paths(arguments: argparse.Namespace) -> None:
    check_writable(arguments.output)
    output = resolved(arguments.output)
    if output.is_relative_to(resolved(arguments.source)) and output.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{arguments.output} would be one of the pictures that are read; give --output another name")
    for given in (arguments.source, arguments.tracks, arguments.pretrained):
        if given is not None and resolved(Path(given)) == output:
            raise InputError(f"{arguments.output} is read, and cannot be written too; give --output another name")
    if not exists(arguments.source):
        raise DataError(f"{arguments.source}: no such file or folder")
    if arguments.tracks is None and is_file(arguments.source):
        raise InputError(f"{arguments.source} is a file; --tracks FILE says where the people are in a video")


class _Counted:
    """Tracklets that say how many they are, as far as that is known: at most one a track of the file."""

    def __init__(self, tracklets: Iterator[Tracklet], tracks: TrackFile | None) -> None:
        self._tracklets = tracklets
        self._total = 0 if tracks is None else len(set(tracks.ids.tolist()))

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[Tracklet]:
        return self._tracklets


def _tracklets(
    arguments: argparse.Namespace, tracks: TrackFile | None, model: VideoReID, report: CropReport
) -> Iterator[Tracklet]:
    if tracks is None:
        return _long_enough(read_folder(arguments.source), arguments.min_frames, report.short)
    return read_video_tracklets(
        arguments.source,
        tracks,
        size=model.clip_spec.size,
        min_frames=arguments.min_frames,
        skip_bad_lines=arguments.skip_bad_lines,
        report=report,
    )


def _long_enough(tracklets: Iterator[Tracklet], least: int, short: list[str]) -> Iterator[Tracklet]:
    for tracklet in tracklets:
        if len(tracklet) >= least:
            yield tracklet
        else:
            short.append(tracklet.name)


def _at_least_one(tracklets: Iterator[Tracklet], arguments: argparse.Namespace) -> Iterator[Tracklet]:
    first = next(tracklets, None)
    if first is None:
        raise DataError(
            f"{arguments.tracks or arguments.source}: no track has {arguments.min_frames} or more pictures; "
            "is it made for this video, or --min-frames too high?"
        )
    yield first
    del first
    yield from tracklets


def _summary(arguments: argparse.Namespace, report: CropReport) -> str:
    if arguments.tracks is not None:
        return report.summary()
    few = f"{arguments.source}: left out {len(report.short)} folders with fewer than {arguments.min_frames} pictures"
    return few if report.short else ""
