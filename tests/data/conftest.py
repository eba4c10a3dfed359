"""Small synthetic videos, written where a test needs them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image


class Synthetic:
    """A video of 10 frames a second whose frames tell their number: each is one grey, with a white square at (0, 0)."""

    height, width, square, step = 48, 64, 16, 6

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, number: int) -> NDArray[np.uint8]:
        pixels = np.full((self.height, self.width, 3), number * self.step, dtype=np.uint8)
        pixels[: self.square, : self.square] = 255
        return pixels

    def number(self, frame: NDArray[np.uint8]) -> int:
        return round(float(frame[20:40, 20:40].mean()) / self.step)

    def video(self, name: str, frames: int = 30, codec: str = "mpeg4", **options: str) -> Path:
        """Encode it; the container follows from the suffix of the name, `options` are for its muxer."""
        path = self.folder / name
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            stream.bit_rate = 10**6  # enough to tell the greys apart
            for number in range(1, frames + 1):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(self.picture(number), format="rgb24")))
            container.mux(stream.encode())
        return path

    def pictures(self, frames: int, name: str = "img1") -> Path:
        """The same as a folder of PNG files, which hold every pixel exactly."""
        folder = self.folder / name
        folder.mkdir()
        for number in range(1, frames + 1):
            Image.fromarray(self.picture(number)).save(folder / f"{number}.png")
        return folder


@pytest.fixture
def synthetic(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path)


@pytest.fixture
def tensors_by_name():
    """Workers hand tensors over by the name of their memory: the default goes through a socket, and no test opens one."""
    before = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy("file_system")
    yield
    torch.multiprocessing.set_sharing_strategy(before)
