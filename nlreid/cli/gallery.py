"""The first half of `nlreid demo`: a gallery of synthetic people, searched by a network and by the colours of clothes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nlreid.cli.arguments import DTYPES
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.histograms import colour_histogram
from nlreid.data.split import Split
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import Embeddings, embed
from nlreid.evaluation import evaluate, nearest
from nlreid.hub.progress import counting_bar
from nlreid.models import VideoReID
from nlreid.visualize import RankedList

RANKS = (1, 5, 10)
HISTOGRAM = "colour histogram"
_FRAMES = 16  # of a tracklet: two clips of the model that ships


def render(arguments: argparse.Namespace, model: VideoReID) -> Split:
    """Draw the people, each under two cameras.

    Args:
        arguments: Those of the command.
        model: The network that will embed them; pictures have its size.
    """
    people = SyntheticPeople(
        seed=arguments.seed, identities=arguments.identities, cameras=2, frames=_FRAMES, size=model.clip_spec.size
    )
    with counting_bar("rendering", "tracklets", show=not arguments.quiet) as progress:
        return people.split(progress=progress)


def describe(
    arguments: argparse.Namespace, model: VideoReID, split: Split, device: torch.device
) -> dict[str, tuple[Embeddings, Embeddings]]:
    """The vectors of queries and gallery, by what made them: the network, and the colour histogram to hold it against.

    Args:
        arguments: Those of the command.
        model: The network.
        split: Whom to embed.
        device: Where the network is to run.
    """
    everybody = [*split.query, *split.gallery]
    people = embed(
        model,
        everybody,
        batch_size=arguments.batch_size,
        device=device,
        autocast=DTYPES.get(arguments.autocast),
        progress=not arguments.quiet,
    )
    colours = torch.stack([_colours(tracklet, model.clip_spec.size) for tracklet in everybody])
    rows = range(len(split.query)), range(len(split.query), len(everybody))
    described = {model.name: people, HISTOGRAM: replace(people, features=colours, model=HISTOGRAM)}
    return {name: (both.select(rows[0]), both.select(rows[1])) for name, both in described.items()}


def _colours(tracklet: Tracklet, size: tuple[int, int]) -> Tensor:
    return colour_histogram(tracklet.read(range(len(tracklet)), size))


def score_table(described: Mapping[str, tuple[Embeddings, Embeddings]]) -> Iterator[str]:
    """The scores of each, in per cent, and those of a guess, line by line.

    Args:
        described: From `describe`; each query has one right answer.
    """
    width = max(map(len, described)) + 2
    titles = [*(f"rank-{rank}" for rank in RANKS), "mAP"]
    yield f"{'per cent':{width}}" + "".join(f"{title:>9}" for title in titles)
    for name, (query, gallery) in described.items():
        scores = evaluate(query, gallery)
        yield _line(f"{name:{width}}", [*(scores.rank(rank) for rank in RANKS), scores.mAP])
    count = len(gallery)
    guessed = sum(1 / rank for rank in range(1, count + 1)) / count  # the mean of 1 / rank over all places
    yield _line(f"{'guessing':{width}}", [*(min(rank / count, 1) for rank in RANKS), guessed])


def _line(name: str, values: Sequence[float]) -> str:
    return name + "".join(f"{100 * value:9.1f}" for value in values)


def ranked_lists(split: Split, described: Mapping[str, tuple[Embeddings, Embeddings]], rows: int, top: int) -> list[RankedList]:
    """The nearest to the first queries, by each description.

    Args:
        split: Whom the rows are of.
        described: From `describe`.
        rows: How many queries.
        top: How many answers of each.
    """
    found = {
        name: nearest(torch.as_tensor(query.features[:rows]), gallery.features, top)
        for name, (query, gallery) in described.items()
    }
    return [
        RankedList(query, [split.gallery[place] for place in near.rows[row].tolist()], near.distances[row].tolist(), name)
        for row, query in enumerate(split.query[:rows])
        for name, near in found.items()
    ]
