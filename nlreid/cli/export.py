"""`nlreid export`: a model as a file that embeds without the library."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nlreid.cli.arguments import add_weights_options, make_model
from nlreid.data.whole_file import check_writable
from nlreid.errors import InputError
from nlreid.export import Exported, to_onnx, to_package
from nlreid.export.onnx_file import check_extra
from nlreid.models import VideoReID
from nlreid.optimize import optimize_for_inference

FORMATS: dict[str, Callable[[VideoReID, Path], Exported]] = {".onnx": to_onnx, ".pt2": to_package}


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "export",
        help="write a model as ONNX, or as machine code",
        description="Write a model as a file that embeds without the library: ONNX (FILE.onnx, needs the extra [onnx]), or a "
        "package that is compiled for this machine (FILE.pt2, needs a C++ compiler). Either is written only if it answers as "
        "the model does.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a name of `nlreid models`, with or without the tag of its weights")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write: *.onnx or *.pt2")
    add_weights_options(parser)
    parser.add_argument("--quiet", action="store_true", help="no summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Make the model, export it, and say how near its answers are."""
    kind = arguments.output.suffix.lower()
    write = FORMATS.get(kind)
    if write is None:
        raise InputError(f"{arguments.output}: the end of the name says what to write: {' or '.join(FORMATS)}")
    check_writable(arguments.output)
    if kind == ".onnx":
        check_extra()  # before weights are fetched
    model = make_model(arguments)
    exported = write(optimize_for_inference(model), arguments.output)
    if not arguments.quiet:
        spec = model.clip_spec
        print(
            f"{arguments.output}: {model.name}, weights: {model.loaded.source}; clips of {spec.frames} frames, "
            f"{spec.size[0]} x {spec.size[1]} pixels, or of {model.min_frames} frames and more; "
            f"relative difference to the model {exported.difference:.1g}"
        )
