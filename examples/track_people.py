"""Follow the people in a video and write a MOTChallenge track file: a stand-in for whatever tracker you have.

People are found with OpenCV's HOG detector (Dalal & Triggs, CVPR 2005) and linked from frame to frame by linear assignment
(laptrack; Jaqaman et al., Nature Methods 2008). Any modern detector and tracker does better; what matters here is the
file that comes out, one box a line: frame,id,left,top,width,height,score,-1,-1,-1.

    pip install 'nlreid[examples]'
    python examples/track_people.py street.avi -o tracks.txt
    nlreid embed street.avi --tracks tracks.txt --model ... -o people.safetensors
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import networkx as nx
import numpy as np
from laptrack import LapTrack
from numpy.typing import NDArray
from tqdm import tqdm

from nlreid.data.images import image_files
from nlreid.data.video import read_frames
from nlreid.errors import NLReIDError

# A HOG window is 64 x 128 pixels, the person in it about 32 x 100: boxes are cut down to the person.
PERSON_IN_WINDOW = np.array([0.6, 0.8])

Box = NDArray[np.float64]  # centre x, centre y, width, height in pixels, and the detector's score


def main() -> int:
    """Parse the command line, do the work, say what came out."""
    args = parse_arguments()
    try:
        if not args.output.absolute().parent.is_dir():
            raise NLReIDError(f"{args.output.absolute().parent}: no such folder; the output cannot be written there")
        detections = detect_people(args.video, args.stride, args.magnify, args.threshold)
        tracks = link(detections, args.max_gap)
        boxes = [dict(interpolate(track)) for track in tracks]
        boxes = [track for track in boxes if len(track) >= args.min_length]
        if not boxes:
            raise NLReIDError(
                f"{args.video}: no one could be followed over {args.min_length} frames; "
                f"try a lower --threshold, a shorter --min-length or, for small people, a larger --magnify"
            )
        write_tracks(args.output, boxes)
    except (NLReIDError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    lengths = [len(track) for track in boxes]
    print(f"{args.output}: {len(boxes)} tracks of {min(lengths)} to {max(lengths)} frames, {sum(lengths)} boxes")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("video", type=Path, help="a video file, or a folder of numbered pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the track file to write")
    parser.add_argument("--stride", type=positive(int), default=2, help="look for people in every n-th frame [%(default)s]")
    parser.add_argument(
        "--magnify",
        type=positive(float),
        default=1.25,
        help="enlarge the pictures before detection; people need about 100 pixels of height [%(default)s]",
    )
    parser.add_argument("--threshold", type=float, default=0.5, help="least score of a detection [%(default)s]")
    parser.add_argument("--max-gap", type=positive(int), default=16, help="frames to bridge without detection [%(default)s]")
    parser.add_argument("--min-length", type=positive(int), default=16, help="least number of frames of a track [%(default)s]")
    return parser.parse_args()


def positive(kind: type) -> object:
    """An argparse type for numbers above zero."""

    def parse(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return parse
