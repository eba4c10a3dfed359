"""Follow the people in a video and write a MOTChallenge track file: a stand-in for whatever tracker you have.

People are found with OpenCV's HOG detector (Dalal & Triggs, CVPR 2005) and linked from frame to frame by linear
assignment (laptrack; Jaqaman et al., Nature Methods 2008). Any modern detector and tracker does better; what matters here
is the file that comes out, one box a line: frame,id,left,top,width,height,score,-1,-1,-1.

    pip install -e '.[examples]'  # from the checkout
    python examples/track_people.py street.avi -o tracks.txt
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import networkx  # comes with laptrack, whose results are its graphs
import numpy as np
from laptrack import LapTrack
from numpy.typing import NDArray
from tqdm import tqdm

from nlreid.data.images import image_files
from nlreid.data.video import read_frames
from nlreid.errors import DataError, NLReIDError

WINDOW = (64, 128)  # pixels that HOG looks at, in which a person takes about 0.6 of the width and 0.8 of the height
PERSON_IN_WINDOW = np.array([0.6, 0.8])
OVERLAP = 0.5  # share of the smaller window from which two windows count as the same person
STEP_COST = 0.3**2  # how far a person may come from one looked-at frame to the next: 0.3 of their height, ...
GAP_COST = 0.6**2  # ... and during a gap
COLOUR_STEP = 100.0  # a difference of clothes (in Lab) that counts like a way of one height


class Detections(NamedTuple):
    """The people in one frame.

    `boxes` (n, 4): centre x, centre y, width, height in pixels. `colours` (n, 6): Lab of the upper, then of the lower
    body. `scores` (n,).
    """

    frame: int
    boxes: NDArray[np.float64]
    colours: NDArray[np.float64]
    scores: NDArray[np.float64]


Track = dict[int, NDArray[np.float64]]  # frame number -> centre x, centre y, width, height, score


def main() -> int:
    """Do what the command line asks for; say what came out, or in one line why nothing did."""
    args = parse_arguments()
    try:
        check_output(args.output)
        detections = detect_people(args.video, args.stride, args.magnify, args.threshold)
        tracks = [interpolate(track) for track in link(detections, max(args.max_gap // args.stride, 1))]
        tracks = [track for track in tracks if len(track) >= args.min_length and best_score(track) >= args.confirm]
        if not tracks:
            raise DataError(
                f"{args.video}: nobody could be followed over {args.min_length} frames; "
                f"try a lower --threshold, a lower --min-length or, for small people, a higher --magnify"
            )
        write_tracks(args.output, tracks)
    except (NLReIDError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    lengths = sorted(len(track) for track in tracks)
    print(
        f"{args.output}: {len(tracks)} tracks, {lengths[0]} to {lengths[-1]} frames long "
        f"(median {lengths[len(lengths) // 2]}), {sum(lengths)} boxes"
    )
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("video", type=Path, help="a video file, or a folder of numbered pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the track file to write")
    numbers: list[tuple[str, Callable[[str], float], float, str]] = [
        ("--stride", positive(int), 2, "look for people in every n-th frame, and interpolate between"),
        ("--magnify", positive(float), 1.25, "enlarge pictures for the detector, which sees people from 100 pixels up"),
        ("--threshold", float, 0.5, "least score of a detection"),
        ("--confirm", float, 1.0, "least score of the best detection of a track"),
        ("--max-gap", positive(int), 24, "bridge so many frames in which a person was not found"),
        ("--min-length", positive(int), 16, "leave out tracks of fewer frames"),
    ]
    for name, kind, default, text in numbers:
        parser.add_argument(name, type=kind, default=default, metavar="N", help=f"{text} (default: {default})")
    return parser.parse_args()


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """An argument type for numbers above zero."""

    def parse(text: str) -> float:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
        return number

    parse.__name__ = kind.__name__  # argparse shows it: invalid int value
    return parse


def check_output(path: Path) -> None:
    """Find out before the long work whether its result can be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise DataError(f"{path}: cannot be written; wanted a file name in a folder that exists")


def detect_people(video: Path, stride: int, magnify: float, threshold: float) -> list[Detections]:
    """Look for people in every `stride`-th frame."""
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    found = []
    for number, picture in tqdm(read_frames(video), desc="detecting", unit="frame", total=expected_frames(video)):
        if (number - 1) % stride == 0:
            found.append(detect(detector, number, picture, magnify, threshold))
    return found


def expected_frames(video: Path) -> int | None:
    """How many frames there seem to be, for the progress bar alone."""
    if video.is_dir():
        return len(image_files(video))
    return int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT)) or None


def detect(
    detector: cv2.HOGDescriptor, number: int, picture: NDArray[np.uint8], magnify: float, threshold: float
) -> Detections:
    """The people in one picture, each once."""
    bgr = cv2.cvtColor(cv2.resize(picture, None, fx=magnify, fy=magnify), cv2.COLOR_RGB2BGR)
    if bgr.shape[1] < WINDOW[0] or bgr.shape[0] < WINDOW[1]:  # OpenCV would write past its buffers
        raise DataError(
            f"frame {number} has {bgr.shape[1]} x {bgr.shape[0]} pixels when magnified; "
            f"wanted {WINDOW[0]} x {WINDOW[1]} at least: raise --magnify"
        )
    windows, scores = detector.detectMultiScale(
        bgr, hitThreshold=threshold, winStride=(8, 8), padding=(8, 8), scale=1.05, groupThreshold=0
    )
    corners = np.asarray(windows, dtype=np.float64).reshape(-1, 4) / magnify
    scores = np.asarray(scores, dtype=np.float64).reshape(-1)
    kept = suppress(corners, scores)
    boxes = np.hstack([corners[kept, :2] + corners[kept, 2:] / 2, corners[kept, 2:] * PERSON_IN_WINDOW])
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    colours = np.array([clothes(lab, box) for box in boxes]).reshape(-1, 6)
    return Detections(number, boxes, colours, scores[kept])


def clothes(lab: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colours of the upper and the lower body: medians over the middle of the box."""
    x, y, width, height = box
    left, right = max(round(x - width / 5), 0), max(round(x + width / 5), 1)
    parts = []
    for upper, lower in ((-0.35, 0.0), (0.0, 0.3)):
        part = lab[max(round(y + upper * height), 0) : max(round(y + lower * height), 1), left:right]
        parts.append(np.median(part.reshape(-1, 3), axis=0) if part.size else np.zeros(3))
    return np.concatenate(parts)


def suppress(windows: NDArray[np.float64], scores: NDArray[np.float64]) -> list[int]:
    """Non-maximum suppression: of the windows (left, top, width, height) on one person, the one that scores best.

    The overlap is measured by the smaller window: HOG likes to answer with a large window around a small one, too.
    """
    low, high, areas = windows[:, :2], windows[:, :2] + windows[:, 2:], windows[:, 2:].prod(axis=1)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        sides = np.minimum(high[kept], high[i]) - np.maximum(low[kept], low[i])
        shared = sides.clip(min=0).prod(axis=1)
        if not (shared > OVERLAP * np.minimum(areas[kept], areas[i])).any():
            kept.append(i)
    return kept


def cost(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How unlikely two people are one: the squared way in heights, the growth and the change of clothes."""
    height = (one[3] + other[3]) / 2
    way, change = (one[:2] - other[:2]) / height, (one[4:] - other[4:]) / COLOUR_STEP
    return float((way**2).sum() + np.log(one[3] / other[3]) ** 2 + (change**2).sum())


def link(detections: list[Detections], max_gap: int) -> list[Track]:
    """Link detections to tracks, at first from one to the next, then over gaps of at most `max_gap` of them."""
    if not any(len(found.boxes) for found in detections):
        return []
    tracker = LapTrack(
        metric=cost,
        cutoff=STEP_COST,
        gap_closing_metric=cost,
        gap_closing_cutoff=GAP_COST,
        gap_closing_max_frame_count=max_gap,
    )
    links = tracker.predict([np.hstack([found.boxes, found.colours]) for found in detections]).to_undirected()
    tracks = [
        {detections[i].frame: np.append(detections[i].boxes[j], detections[i].scores[j]) for i, j in sorted(nodes)}
        for nodes in networkx.connected_components(links)
    ]
    return sorted(tracks, key=lambda track: (min(track), track[min(track)].tolist()))


def interpolate(track: Track) -> Track:
    """A box in every frame from the first to the last; straight lines between those that were found."""
    known = np.array(sorted(track))
    values = np.stack([track[number] for number in known.tolist()])
    frames = np.arange(known[0], known[-1] + 1)
    columns = [np.interp(frames, known, column) for column in values.T]
    return dict(zip(frames.tolist(), np.stack(columns, axis=1), strict=True))


def best_score(track: Track) -> float:
    """The score of the surest detection of a track."""
    return max(float(box[4]) for box in track.values())


def lines(tracks: list[Track]) -> Iterator[str]:
    """The track file, line by line, ordered by frame and then by id."""
    boxes = [(number, identity, box) for identity, track in enumerate(tracks, start=1) for number, box in track.items()]
    for number, identity, (x, y, width, height, score) in sorted(boxes, key=lambda box: box[:2]):
        left, top = x - width / 2, y - height / 2
        yield f"{number},{identity},{left:.1f},{top:.1f},{width:.1f},{height:.1f},{score:.3f},-1,-1,-1\n"


def write_tracks(path: Path, tracks: list[Track]) -> None:
    """Write under a temporary name, then rename: the file is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.writelines(lines(tracks))
        part.replace(path)
    finally:  # after Ctrl-C, too
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
