"""A tiny network, and frames: drawn ones, and those of OpenCV's vtest.avi with people labelled, where it is there."""

from pathlib import Path

import numpy as np
import pytest
import torch

import nlreid
from nlreid.data.datasets.track_file import read_tracks
from nlreid.data.video import read_frames

VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
LABELS = Path(__file__).parents[2] / "examples" / "vtest" / "tracks.txt"


def new_model(name="test_r3d_nl"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nlreid.create_model(name).eval()


@pytest.fixture(scope="session")
def model():
    return new_model()


@pytest.fixture
def frame():
    """A picture as OpenCV gives it, blue, green, red."""
    return np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def vtest():
    """The first 24 frames, blue, green, red, and of each the boxes of its people: left, top, right, bottom."""
    pytest.importorskip("av")
    if not VIDEO.is_file():
        pytest.skip(f"{VIDEO} is not there; apt-get install opencv-doc")
    labels, found = read_tracks(LABELS), []
    for number, picture in read_frames(VIDEO):
        if number > 24:
            break
        left, top, width, height = labels.boxes[labels.frames == number].T
        found.append((np.ascontiguousarray(picture[..., ::-1]), np.stack([left, top, left + width, top + height], axis=1)))
    return found
