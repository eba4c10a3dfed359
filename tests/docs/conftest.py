"""What the pages speak of: a video and the tracks of its people."""

from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture
def street(tmp_path, monkeypatch):
    """A folder with `street.avi`, twelve frames long, and a track file with two people."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    with av.open("street.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 160, 120
        for _ in range(12):
            picture = generator.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    write_tracks({1: range(1, 13), 2: range(1, 13)})


def write_tracks(people):
    """Write `tracks.txt`: in which frames each person is."""
    Path("tracks.txt").write_text(
        "".join(f"{frame},{person},{20 * person},10,30,80\n" for person, frames in people.items() for frame in frames)
    )
