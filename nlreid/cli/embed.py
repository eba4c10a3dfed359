"""`nlreid embed`: people in a video, or in folders of pictures, to a file of embeddings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nlreid.data.datasets.crops import CropReport
from nlreid.data.datasets.folder import read_folder
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import embed
from nlreid.errors import DataError, InputError
from nlreid.models import VideoReID, create_model

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "embed",
        help="embed tracked people",
        description="Embed the people that a track file follows through a video, or those of a folder of folders of pictures.",
    )
    source = "a video file, a folder of its frames, or without --tracks a folder with a folder of pictures a person"
    parser.add_argument("source", metavar="VIDEO", type=Path, help=source)
    parser.add_argument("--tracks", metavar="FILE", type=Path, help="MOTChallenge track file: frame,id,x,y,w,h,…")
    parser.add_argument("--model", default="r3d50_nl", help="a name of `nlreid models` (default: %(default)s)")
    parser.add_argument(
        "--pretrained", metavar="TAG|FILE", help="weights: a tag, or the path of a file (default: random weights)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of random weights (default: %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write (safetensors)")
    parser.add_argument("--batch-size", type=int, default=8, help="clips that run together (default: %(default)s)")
    parser.add_argument("--device", help="where to run, as in 'cuda' (default: cuda if there is one, else cpu)")
    parser.add_argument("--autocast", choices=sorted(DTYPES), help="run in mixed precision")
    parser.add_argument("--min-frames", type=int, default=1, help="leave out shorter tracks (default: %(default)s)")
    parser.add_argument("--skip-bad-lines", action="store_true", help="report bad lines of the track file and go on")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Embed and write; nothing is written unless everything went well."""
    _check_output(arguments.output)
    report = CropReport()
    device = _device(arguments.device)
    torch.manual_seed(arguments.seed)
    model = create_model(arguments.model, pretrained=arguments.pretrained or ("." in arguments.model))
    if model.loaded.source == "random":
        print("nlreid: the weights are random; give --pretrained for a ranking that means something", file=sys.stderr)
    people = embed(
        model,
        _tracklets(arguments, model, report),
        batch_size=arguments.batch_size,
        device=device,
        autocast=DTYPES.get(arguments.autocast),
        progress=not arguments.quiet,
    )
    people.save(arguments.output)
    if not arguments.quiet:
        if arguments.tracks:
            print(report.summary())
        print(f"{arguments.output}: {len(people)} embeddings of {people.features.shape[1]} values ({people.model})")


def _tracklets(arguments: argparse.Namespace, model: VideoReID, report: CropReport) -> Iterator[Tracklet]:
    if arguments.tracks is None:
        if arguments.source.is_file():
            raise InputError(f"{arguments.source} is a file; --tracks FILE says where the people are in a video")
        return (tracklet for tracklet in read_folder(arguments.source) if len(tracklet) >= arguments.min_frames)
    return read_video_tracklets(
        arguments.source,
        arguments.tracks,
        size=model.clip_spec.size,
        min_frames=arguments.min_frames,
        skip_bad_lines=arguments.skip_bad_lines,
        report=report,
    )


def _check_output(path: Path) -> None:
    if not path.parent.is_dir() or path.is_dir():
        raise DataError(f"{path}: cannot be written; its folder must exist, and it must not be a folder itself")


def _device(name: str | None) -> torch.device:
    try:
        return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r}; 'cpu', 'cuda' and 'cuda:1' are devices") from error
