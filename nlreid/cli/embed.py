"""`nlreid embed`: people in a video, or in folders of pictures, to a file of embeddings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlreid.cli import several
from nlreid.cli.arguments import DTYPES, add_model_options, device_name, make_model, with_seed
from nlreid.cli.tracks import (
    Counted,
    add_track_options,
    at_least_one,
    check_has_tracks,
    check_paths,
    read_track_file,
    video_people,
)
from nlreid.data.datasets.crops import CropReport
from nlreid.data.datasets.folder import read_folder
from nlreid.data.datasets.mot import TrackFile
from nlreid.data.device import resolve_device
from nlreid.data.disk import resolved
from nlreid.data.tracklet import Tracklet
from nlreid.data.whole_file import check_writable
from nlreid.embedding import embed
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import InputError
from nlreid.models import VideoReID
from nlreid.models.exported import ExportedModel, load_onnx
from nlreid.optimize import optimize_for_inference


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
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write (safetensors)")
    add_track_options(parser)
    keep = "keep the embeddings of folders of pictures there as they come; an interrupted run goes on from there"
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help=f"{keep}. torchrun's processes share it")
    options = add_model_options(parser)
    parser.add_argument(
        "--onnx", metavar="FILE", type=Path, help="embed with what `nlreid export` wrote, in place of a model (needs [onnx])"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    of_models = [action for action in options if action.dest != "batch_size"]
    parser.set_defaults(run=run, misused=parser.error, only_models=of_models, shared=True)


def run(arguments: argparse.Namespace) -> None:
    """Embed and write; nothing is written unless everything went well."""
    _check_network(arguments)
    check_writable(arguments.output)
    check_paths(arguments.source, arguments.output, arguments.tracks, arguments.pretrained, arguments.onnx)
    check_has_tracks(arguments.source, arguments.tracks)
    _check_keep(arguments)
    device = None if arguments.onnx else resolve_device(device_name(arguments))
    tracks = read_track_file(arguments) if arguments.tracks else None
    model = load_onnx(arguments.onnx) if arguments.onnx else optimize_for_inference(make_model(arguments))
    report = CropReport()
    tracklets = _tracklets(arguments, tracks, model, report)
    found = at_least_one(tracklets, arguments.tracks or arguments.source, arguments.min_frames)
    how: dict[str, Any] = {"batch_size": arguments.batch_size, "device": device, "progress": not arguments.quiet}
    how["autocast"] = DTYPES.get(arguments.autocast)
    if arguments.keep:
        people = embed_in_parts(model, list(found), arguments.keep, share=several.count() > 1, **how)
    else:
        people = embed(model, Counted(found, tracks), **how)
    people = with_seed(people, model, arguments.seed)
    if several.rank():
        return
    people.save(arguments.output)
    if not arguments.quiet:
        if summary := _summary(arguments, report):
            print(summary)
        print(f"{arguments.output}: {len(people)} embeddings of {people.features.shape[1]} values ({people.model})")


def _check_network(arguments: argparse.Namespace) -> None:
    """Either a model or a file that holds one; options of a model have no meaning for a file."""
    given = [action for action in arguments.only_models if getattr(arguments, action.dest) != action.default]
    if arguments.onnx and given:
        options = ", ".join(action.option_strings[0] for action in given)
        arguments.misused(
            f"the file of --onnx holds the network and its weights, and runs on the CPU in float32; leave {options} out, "
            "or leave --onnx out to embed with a model"
        )


def _check_keep(arguments: argparse.Namespace) -> None:
    """What is kept, and shared, are the folders of pictures; a video is read once, from its beginning."""
    if arguments.tracks and (arguments.keep or several.count() > 1):
        raise InputError(
            "a video is decoded in order, by one process, and neither kept in parts nor shared; leave --keep and torchrun out, "
            "and run one command for each video"
        )
    several.check_keeps(arguments)
    if arguments.keep and resolved(arguments.keep).is_relative_to(resolved(arguments.source)):
        raise InputError(f"{arguments.keep} lies among the pictures; give --keep a folder elsewhere")


def _tracklets(
    arguments: argparse.Namespace, tracks: TrackFile | None, model: VideoReID | ExportedModel, report: CropReport
) -> Iterator[Tracklet]:
    if tracks is None:
        return _long_enough(read_folder(arguments.source), arguments.min_frames, report.short)
    return video_people(arguments, arguments.source, tracks, model.clip_spec.size, report)


def _long_enough(tracklets: Iterator[Tracklet], least: int, short: list[str]) -> Iterator[Tracklet]:
    for tracklet in tracklets:
        if len(tracklet) >= least:
            yield tracklet
        else:
            short.append(tracklet.name)


def _summary(arguments: argparse.Namespace, report: CropReport) -> str:
    if arguments.tracks is not None:
        return report.summary()
    few = f"{arguments.source}: left out {len(report.short)} folders with fewer than {arguments.min_frames} pictures"
    return few if report.short else ""
