"""`nlreid search`: who in a file of embeddings looks most like one of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from nlreid.cli.arguments import whole_number
from nlreid.cli.search_picture import add_picture_options, check_picture_options, pictured
from nlreid.cli.tracks import span
from nlreid.data.disk import resolved
from nlreid.embedding import Embeddings
from nlreid.errors import InputError
from nlreid.evaluation import nearest
from nlreid.visualize import draw_ranked_lists, save_picture


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "search",
        help="rank embedded people by likeness",
        description="Rank the embedded tracks by their likeness to one of them.",
        allow_abbrev=False,
    )
    parser.add_argument("people", metavar="FILE", type=Path, help="embeddings that `nlreid embed` wrote, or a folder of them")
    parser.add_argument("--query", metavar="TRACK", required=True, help="name of the track to look for")
    parser.add_argument(
        "--in", dest="gallery", metavar="FILE", type=Path, help="look in these embeddings (default: the same file)"
    )
    parser.add_argument("--top", metavar="N", type=whole_number(1), default=5, help="how many to show (default: %(default)s)")
    add_picture_options(parser.add_argument_group("picture of the ranking (extra [viz])"))
    parser.set_defaults(run=run, misused=parser.error)


def run(arguments: argparse.Namespace) -> None:
    """Print the ranking, draw it where that is asked for."""
    check_picture_options(arguments)
    people = Embeddings.load(arguments.people)
    _check_names(arguments.people, people)
    row = people.index(arguments.query)
    place: Path = arguments.gallery or arguments.people
    gallery = Embeddings.load(place)
    if gallery.model != people.model:
        raise InputError(
            f"embeddings of different models cannot be compared: {people.model!r} and {gallery.model!r}; "
            "embed both with one model and the same weights"
        )
    _check_names(place, gallery)
    own = row if resolved(place) == resolved(arguments.people) else None  # a track is no answer to itself
    if len(gallery) == (own is not None):
        raise InputError(f"{place} holds no track other than {arguments.query!r}; there is nothing to rank")
    near = nearest(torch.as_tensor(people.features[row : row + 1]), gallery.features, arguments.top + (own is not None))
    others = (near.rows[0] != (-1 if own is None else own)).nonzero().flatten()[: arguments.top]
    found, distances = near.rows[0, others].tolist(), near.distances[0, others].tolist()
    picture = pictured(arguments, people, row, gallery, found, distances) if arguments.picture else None
    print(f"query: track {arguments.query} ({span(people.tracks[row])})")
    print(f"{'rank':>4}  {'track':12} {'cosine':>7}  frames")
    for rank, (value, index) in enumerate(zip(distances, found, strict=True), start=1):
        track = gallery.tracks[index]
        print(f"{rank:4}  {track.name:12} {1 - value:7.4f}  {span(track)}")
    if picture is not None:
        save_picture(draw_ranked_lists([picture]), arguments.picture)
        print(f"\n{arguments.picture}: the same as a picture")


def _check_names(path: Path, people: Embeddings) -> None:
    if len(people) and not people.tracks:
        raise InputError(f"{path} holds no names of tracks; in Python, nlreid.evaluation.nearest gives its rows")
