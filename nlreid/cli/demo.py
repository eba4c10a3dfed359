"""`nlreid demo`: what re-identification is, on people who are drawn for it, or on the people of a video."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from nlreid.cli.arguments import add_model_options, device_name, make_model, number_option, whole_number
from nlreid.cli.gallery import describe, ranked_lists, render, score_table
from nlreid.cli.returns import SUGGESTIONS, embed_video, find_returns, return_lists, return_table
from nlreid.cli.tracks import add_track_options, check_paths, read_track_file
from nlreid.data.datasets.crops import CropReport
from nlreid.data.device import resolve_device
from nlreid.data.threads import one_thread
from nlreid.errors import MissingExtraError
from nlreid.models import VideoReID
from nlreid.visualize import RankedList, draw_ranked_lists, save_picture
from nlreid.visualize.figures.style import check_matplotlib
from nlreid.visualize.picture_file import check_picture_path

MODEL, WEIGHTS = "r3d18_half_nl", "synthetic"  # what ships with the library
OUTPUT = Path("nlreid_demo.png")
SEED = 2018


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="see it work, on drawn people or on your own",
        description="Draw people under two cameras, find those of the first under the second, and score that beside a colour "
        "histogram. With a video and the tracks of its people: find who may have come back. Either way, a picture shows who "
        "was looked for and who was found.",
        usage="%(prog)s [options]\n       %(prog)s [options] VIDEO --tracks FILE",
        allow_abbrev=False,
    )
    parser.add_argument("video", metavar="VIDEO", nargs="?", type=Path, help="a video file, or a folder of its frames")
    picture = f"the picture: .png, .jpg, .pdf or .svg (default: {OUTPUT}, if the extra [viz] is installed)"
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help=picture)
    number_option(parser, "--rows", whole_number(1), None, "how many are looked for in the picture (default: 3; of a video 10)")
    number_option(parser, "--top", whole_number(1), 7, "how many answers to each it shows")
    drawn = parser.add_argument_group("drawn people")
    only_drawn = [number_option(drawn, "--identities", whole_number(2), 40, "how many people")]
    only_video = add_track_options(parser.add_argument_group("people of a video"))
    seeded = "the people who are drawn, and of random weights"
    add_model_options(parser.add_argument_group("model"), MODEL, f"of {MODEL} {WEIGHTS!r}, else as elsewhere", SEED, seeded)
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and nothing printed but the table")
    parser.set_defaults(run=run, misused=parser.error, only_drawn=only_drawn, only_video=only_video)


def run(arguments: argparse.Namespace) -> None:
    """Do one of the two; the picture is written at the end, whole or not at all, or it is said what brings it."""
    _check_form(arguments)
    output, missing = arguments.output or OUTPUT, _missing(arguments)
    if missing is None:
        check_picture_path(output)
    if arguments.video is not None:
        check_paths(arguments.video, output, arguments.tracks, arguments.pretrained)
    device = resolve_device(device_name(arguments))
    if arguments.video is None:
        lists, shown = _drawn(arguments, device)
    else:
        lists, shown = _of_video(arguments, device)
    if missing is not None:
        print(f"nlreid: no picture is drawn: {missing}", file=sys.stderr)
        return
    save_picture(draw_ranked_lists(lists), output)
    if not arguments.quiet:
        print(f"\n{output}: {shown}")


def _missing(arguments: argparse.Namespace) -> MissingExtraError | None:
    """Why there will be no picture, unless one was asked for by name: then it is an error, before the work."""
    try:
        check_matplotlib()
    except MissingExtraError as error:
        if arguments.output is not None:
            raise
        return error
    return None


def _check_form(arguments: argparse.Namespace) -> None:
    """Options of one form with the other are a mistake."""
    if arguments.video is not None and arguments.tracks is None:
        arguments.misused("with VIDEO goes --tracks FILE, which says where the people are; examples/track_people.py makes one")
    wrong, form = (arguments.only_video, "with") if arguments.video is None else (arguments.only_drawn, "without")
    surplus = [action.option_strings[0] for action in wrong if getattr(arguments, action.dest) != action.default]
    if surplus:
        arguments.misused(f"only {form} VIDEO goes {', '.join(surplus)}")


def _model(arguments: argparse.Namespace) -> VideoReID:
    """The model that ships, unless another was asked for."""
    given = vars(arguments)
    if arguments.pretrained is None and arguments.model in (None, MODEL):
        given = given | {"pretrained": WEIGHTS}
    return make_model(argparse.Namespace(**given), MODEL)


def _drawn(arguments: argparse.Namespace, device: torch.device) -> tuple[list[RankedList], str]:
    model = _model(arguments)
    split = render(arguments, model)
    with one_thread():  # it is small: hardly slower alone, and many times faster than two that wait on a busy machine
        described = describe(arguments, model, split, device)
    if not arguments.quiet:
        people, frames = len(split.query), len(split.query[0])
        print(f"{people} people, drawn from seed {arguments.seed}, in {frames} frames of each of two cameras.")
        print("Each one in the first camera is looked for among all in the second.\n")
    print("\n".join(score_table(described)))
    lists = ranked_lists(split, described, arguments.rows or 3, arguments.top)
    count = len(lists) // len(described)
    return lists, f"the first {count if count > 1 else 'one'} of them; a tick is the same person, a cross another"


def _of_video(arguments: argparse.Namespace, device: torch.device) -> tuple[list[RankedList], str]:
    tracks = read_track_file(arguments)
    model, report = _model(arguments), CropReport()
    people, pictures = embed_video(arguments, tracks, model, device, report)
    returns = find_returns(people, arguments.top)
    if not arguments.quiet:
        print(f"{report.summary()}\n")
        print("Who comes back? Each track with the one that is most like it, at another time; the most alike first.\n")
    print("\n".join(return_table(people, returns)))
    if not arguments.quiet:
        print(f"\n{SUGGESTIONS}")
    lists = return_lists(people, returns, pictures, arguments.rows or 10)
    return lists, f"{len(lists)} of them, pairs once, and who is most like them"
