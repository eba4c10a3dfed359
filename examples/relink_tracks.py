"""How many identity switches re-linking saves on a video whose people were labelled by eye, and how many it makes.

First of a tracker's own tracks (those of examples/track_people.py), then of the labelled tracks, cut at random places
with gaps between. Switches are those of CLEAR MOT (Bernardin & Stiefelhagen 2008), IDF1 that of Ristani et al. (2016).

    apt-get install opencv-doc
    python examples/track_people.py /usr/share/doc/opencv-doc/examples/data/vtest.avi -o tracks.txt
    python examples/relink_tracks.py /usr/share/doc/opencv-doc/examples/data/vtest.avi tracks.txt

docs/how_to/trackers.md has the figures and what they are worth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transfer import read_people

import nlreid
from nlreid.data.datasets.mot import TrackFile, read_tracks, read_video_tracklets
from nlreid.errors import DataError, NLReIDError
from nlreid.trackers import relink, together_threshold

LABELS = Path(__file__).parent / "vtest"
OVERLAP = 0.5  # intersection over union from which a box is on a person
PIECE, GAP = (30, 90), (5, 40)  # frames of a piece of a labelled track, and of what is lost behind it: least and most
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)


class Score(NamedTuple):
    """How far tracks are from the people: switches of identity, and IDF1."""

    switches: int
    idf1: float


def main() -> int:
    """Print the tables, or say in one line why there are none."""
    args = parse_arguments()
    try:
        people = with_persons(read_tracks(args.labels), read_people(args.people))
        model = nlreid.optimize_for_inference(nlreid.create_model(args.model, pretrained=args.pretrained))
        print("the tracker's tracks")
        print_table(model, args.video, read_tracks(args.tracks), people)
        for seed in range(args.seeds):
            print(f"\nlabelled tracks in pieces, seed {seed}")
            print_table(model, args.video, in_pieces(read_tracks(args.labels), np.random.default_rng(seed)), people)
    except (NLReIDError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("video", type=Path, help="OpenCV's vtest.avi, or a video of your own with --labels and --people")
    parser.add_argument("tracks", type=Path, help="MOTChallenge track file of a tracker")
    parser.add_argument("--labels", type=Path, default=LABELS / "tracks.txt", help="track file of the people")
    parser.add_argument("--people", type=Path, default=LABELS / "people.csv", help="CSV file with the columns track, person")
    parser.add_argument("--model", default="r3d18_half_nl", help="a model of the library (default: %(default)s)")
    parser.add_argument("--pretrained", default="synthetic", help="tag or path (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="how often labelled tracks are cut anew (default: %(default)s)")
    return parser.parse_args()


def with_persons(labels: TrackFile, people: dict[int, int]) -> TrackFile:
    """Labelled tracks with the numbers of people in the place of those of tracks."""
    missing = sorted(set(labels.ids.tolist()) - people.keys())
    if missing:
        raise DataError(f"nobody says who is followed in track {missing[0]}; wanted a line for it in the file of --people")
    return replace(labels, ids=np.array([people[track] for track in labels.ids.tolist()]))


def in_pieces(labels: TrackFile, random: np.random.Generator) -> TrackFile:
    """Labelled tracks as a tracker leaves them that loses everybody again and again: pieces, and gaps between."""
    kept, ids, count = [], [], 0
    for track in np.unique(labels.ids).tolist():
        rows = np.flatnonzero(labels.ids == track)
        rows = rows[np.argsort(labels.frames[rows], kind="stable")]
        start = 0
        while start < len(rows):
            stop = start + int(random.integers(*PIECE, endpoint=True))
            count += 1
            kept += rows[start:stop].tolist()
            ids += [count] * len(rows[start:stop])
            start = stop + int(random.integers(*GAP, endpoint=True))
    columns = {name: getattr(labels, name)[kept] for name in ("frames", "boxes", "lines")}
    return replace(labels, ids=np.array(ids), **columns)


def print_table(model: nlreid.VideoReID, video: Path, tracks: TrackFile, people: TrackFile) -> None:
    """Scores before, and after joining by several thresholds; the last one comes from tracks that are there together."""
    size = model.clip_spec.size
    found = nlreid.embed(model, list(read_video_tracklets(video, tracks, size=size)), progress=False)
    names = np.array([int(track.name) for track in found.tracks])
    first, last = ([at(tracks.frames[tracks.ids == name]) for name in names] for at in (np.min, np.max))
    of = owners(people, tracks)

    def row(name: str, heads: list[int], links: str = " | ") -> None:
        new = dict(zip(names.tolist(), heads, strict=True))
        scored = score(people, replace(tracks, ids=np.array([new[track] for track in tracks.ids.tolist()])))
        print(f"| {name} | {len(set(heads))} | {links} | {scored.switches} | {scored.idf1:.3f} |", flush=True)

    print("| largest distance | tracks | links | between two people | switches | IDF1 |")
    print("|---|---|---|---|---|---|")
    row("before", names.tolist())
    own = together_threshold(found.features, first, last).distance
    for threshold, why in [(own, ", from tracks at once"), *((value, "") for value in THRESHOLDS)]:
        joined = relink(found.features, first, last, threshold=threshold)
        sides = [(of.get(int(names[link.before])), of.get(int(names[link.after]))) for link in joined.links]
        wrong = sum(one != other for one, other in sides)
        row(f"{threshold:.3f}{why}", names[joined.heads.numpy()].tolist(), f"{len(sides)} | {wrong}")
    row("each track to its person, by the labels", [-of[name] if name in of else name for name in names.tolist()])


def score(people: TrackFile, tracks: TrackFile) -> Score:
    """Switches of identity and IDF1 of tracks.

    In each frame a person keeps the track that the person had, while its box is on the person; the others are matched so that
    as much as possible is matched well. A switch is a person whose track is another than the last one.
    """
    last: dict[int, int] = {}
    switches = 0
    for persons, ids, overlaps in frames_of(people, tracks):
        for person, track in matched(persons, ids, overlaps, last):
            switches += last.get(person, track) != track
            last[person] = track
    shared = shared_frames(people, tracks)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return Score(switches, float(2 * shared[rows, columns].sum() / (len(people) + len(tracks))))


def frames_of(people: TrackFile, tracks: TrackFile) -> Iterator[tuple[list[int], list[int], NDArray[np.float64]]]:
    """Of each frame with people: who is there, which tracks, and the overlap of each with each."""
    for number in np.unique(people.frames).tolist():
        here, there = people.frames == number, tracks.frames == number
        yield people.ids[here].tolist(), tracks.ids[there].tolist(), overlap(people.boxes[here], tracks.boxes[there])


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box with each: left, top, width, height `(n, 4)` and `(m, 4)` to `(n, m)`."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum((one[:, :2] + one[:, 2:])[:, None], (other[:, :2] + other[:, 2:])[None])
    shared = (high - low).clip(min=0).prod(axis=2)
    return shared / (one[:, 2:].prod(axis=1)[:, None] + other[:, 2:].prod(axis=1)[None] - shared)


def matched(persons: list[int], ids: list[int], overlaps: NDArray[np.float64], last: dict[int, int]) -> list[tuple[int, int]]:
    """Who has which track in one frame."""
    values = np.where(overlaps >= OVERLAP, overlaps, 0.0)
    for row, person in enumerate(persons):
        if last.get(person) in ids and values[row, ids.index(last[person])] > 0:
            values[row, ids.index(last[person])] += len(persons) + len(ids)  # before all others
    rows, columns = linear_sum_assignment(values, maximize=True)
    return [(persons[i], ids[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if values[i, j] > 0]


def shared_frames(people: TrackFile, tracks: TrackFile) -> NDArray[np.int64]:
    """In how many frames each track is on each person, `(people, tracks)`."""
    persons, ids = np.unique(people.ids).tolist(), np.unique(tracks.ids).tolist()
    counts = np.zeros((len(persons), len(ids)), dtype=np.int64)
    for here, there, overlaps in frames_of(people, tracks):
        for i, j in np.argwhere(overlaps >= OVERLAP).tolist():
            counts[persons.index(here[i]), ids.index(there[j])] += 1
    return counts


def owners(people: TrackFile, tracks: TrackFile) -> dict[int, int]:
    """The person that each track is on most often; a track on nobody who is labelled has none."""
    persons, ids, shared = np.unique(people.ids), np.unique(tracks.ids).tolist(), shared_frames(people, tracks)
    return {track: int(persons[column.argmax()]) for track, column in zip(ids, shared.T, strict=True) if column.any()}


if __name__ == "__main__":
    sys.exit(main())
