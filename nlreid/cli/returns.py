"""The second half of `nlreid demo`: of the tracks of one video, which may be of somebody who was there before."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlreid.cli.arguments import DTYPES
from nlreid.cli.tracks import Counted, at_least_one, span, video_people
from nlreid.data.datasets.crops import CropReport
from nlreid.data.datasets.mot import TrackFile
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import Embeddings, embed
from nlreid.evaluation.distances.blocks import Distances
from nlreid.evaluation.search.neighbours import nearest_allowed
from nlreid.models import VideoReID
from nlreid.visualize import RankedList

SUGGESTIONS = """\
These are suggestions. Nobody told who is who, so nothing here says whether a match is right, and somebody who never comes
back has a most similar track, too. One camera sees a person twice in the same light; under another one it is harder."""


@dataclass(frozen=True)
class Return:
    """A track, and the tracks that are most like it and at another time, nearest first.

    Args:
        track: The row of the track.
        rows: Those of the others; none if nobody is there at another time.
        distances: How far they are, 1 - cosine.
    """

    track: int
    rows: tuple[int, ...]
    distances: tuple[float, ...]


def embed_video(
    arguments: argparse.Namespace, tracks: TrackFile, model: VideoReID, device: torch.device, report: CropReport
) -> tuple[Embeddings, dict[str, Tracklet]]:
    """The vectors of the people of a video, and of each a tracklet of one picture, from the middle, by name.

    Args:
        arguments: Those of the command.
        tracks: Its track file.
        model: The network.
        device: Where it is to run.
        report: Filled while the video is read.
    """
    pictures: dict[str, Tracklet] = {}
    tracklets = video_people(arguments, arguments.video, tracks, model.clip_spec.size, report)
    people = embed(
        model,
        Counted(_seen(at_least_one(tracklets, arguments.tracks, arguments.min_frames), pictures), tracks),
        batch_size=arguments.batch_size,
        device=device,
        autocast=DTYPES.get(arguments.autocast),
        progress=not arguments.quiet,
    )
    return people, pictures


def _seen(tracklets: Iterator[Tracklet], pictures: dict[str, Tracklet]) -> Iterator[Tracklet]:
    """The same tracklets, which are not held; a picture of each is."""
    for tracklet in tracklets:
        middle = len(tracklet) // 2
        pictures[tracklet.name] = Tracklet(tracklet.name, [np.asarray(tracklet.frames[middle])])
        yield tracklet
        del tracklet


def find_returns(people: Embeddings, top: int) -> list[Return]:
    """For each track the most similar ones that are wholly before or wholly after it; the surest first.

    Two tracks in the picture at the same time are two people. Tracks that have none at another time come last.

    Args:
        people: Rows of length one, of tracks whose first and last frames are known.
        top: How many to give, at least 1.
    """
    if not len(people):
        return []
    first, last = (np.array([getattr(track, end) for track in people.tracks], dtype=np.int64) for end in ("first", "last"))

    def apart(some: NDArray[np.int64], start: int, stop: int) -> NDArray[np.bool_]:
        before, after = last[some, None] < first[start:stop], last[start:stop] < first[some, None]
        either: NDArray[np.bool_] = before | after
        return either

    features = torch.as_tensor(people.features[:])
    found = nearest_allowed(Distances(features, features, "cosine", features.device), min(top, len(people)), apart)
    counts = (found.rows >= 0).sum(1).tolist()
    returns = [
        Return(track, tuple(rows[:count]), tuple(distances[:count]))
        for track, (rows, distances, count) in enumerate(
            zip(found.rows.tolist(), found.distances.tolist(), counts, strict=True)
        )
    ]
    return sorted(returns, key=lambda found: found.distances[0] if found.rows else np.inf)


def return_table(people: Embeddings, returns: Sequence[Return]) -> Iterator[str]:
    """Each track with its best match, line by line.

    Args:
        people: The tracks.
        returns: From `find_returns`.
    """
    names, mutual = [track.name for track in people.tracks], _mutual(returns)
    width = max(len("best match"), *map(len, names)) + 2
    spans = [span(track) for track in people.tracks]
    long = max(len("frames"), *map(len, spans)) + 2
    yield f"{'track':{width}}{'frames':{long}}{'best match':{width}}{'frames':{long}}{'distance':>8}  both ways"
    for found in returns:
        start = f"{names[found.track]:{width}}{spans[found.track]:{long}}"
        if not found.rows:
            yield f"{start}- (nobody is there at another time)"
            continue
        other, both = found.rows[0], "yes" if found.track in mutual else "-"
        yield f"{start}{names[other]:{width}}{spans[other]:{long}}{found.distances[0]:8.3f}  {both}"


def return_lists(
    people: Embeddings, returns: Sequence[Return], pictures: Mapping[str, Tracklet], rows: int
) -> list[RankedList]:
    """Pictures of the surest returns; of two tracks that are each other's best match, the first alone.

    Args:
        people: The tracks.
        returns: From `find_returns`.
        pictures: A tracklet of each track, by name.
        rows: How many.
    """
    names, mutual, seen = [track.name for track in people.tracks], _mutual(returns), set[int]()
    lists = []
    for found in returns:
        seen.add(found.track)
        if found.track in mutual and found.rows[0] in seen:
            continue
        title = f"track {names[found.track]}, {span(people.tracks[found.track])}"
        answers = [pictures[names[row]] for row in found.rows]
        lists.append(RankedList(pictures[names[found.track]], answers, found.distances, title))
    return lists[:rows]


def _mutual(returns: Sequence[Return]) -> set[int]:
    """The tracks whose best match has them as its own."""
    best = {found.track: found.rows[0] for found in returns if found.rows}
    return {track for track, other in best.items() if best[other] == track}
