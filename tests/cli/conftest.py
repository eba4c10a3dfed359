"""A street: a video with two people, the track file that follows them, and their pictures in folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nlreid.cli import main


class Street:
    """Twelve frames of 96 x 80 pixels; person 1 is in all of them, person 2 in the last five."""

    frames = 12

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(0)
        self.pictures = [generator.integers(0, 256, (80, 96, 3), dtype=np.uint8) for _ in range(self.frames)]

    @property
    def output(self) -> Path:
        return self.folder / "people.safetensors"

    def video(self, name: str = "street.avi") -> Path:
        path = self.folder / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height = 96, 80
            for picture in self.pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        return path

    def tracks(self, *more: str) -> Path:
        """The track file; `more` are lines at its end."""
        lines = [f"{frame},1,10,5,30,60,1,-1,-1,-1" for frame in range(1, 13)]
        lines += [f"{frame},2,50.5,5,30,60" for frame in range(8, 13)]
        path = self.folder / "tracks.txt"
        path.write_text("\n".join([*lines, *more]) + "\n")
        return path

    def people(self) -> Path:
        """The same people as folders of pictures, without a video."""
        for person, (left, first) in {"1": (10, 0), "2": (50, 7)}.items():
            folder = self.folder / "people" / person
            folder.mkdir(parents=True)
            for number in range(first, self.frames):
                Image.fromarray(self.pictures[number][5:65, left : left + 30]).save(folder / f"{number}.png")
        return self.folder / "people"

    def embed(self, *options: object, source: Path | None = None, tracks: Path | None = None) -> list[str]:
        """The arguments that embed them with a tiny network."""
        given = ["embed", source or self.video(), "--tracks", tracks or self.tracks(), "--model", "test_r3d_nl"]
        return [str(argument) for argument in (*given, "-o", self.output, "--device", "cpu", *options)]

    def leftovers(self) -> set[str]:
        """What lies in the folder besides the input."""
        return {path.name for path in self.folder.iterdir()} - {"street.avi", "tracks.txt", "people"}


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail, in one line and with status 1; gives the line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        lines = [line for line in shown.err.replace("\r", "\n").splitlines() if line.strip()]
        *before, last = [line for line in lines if "weights are random" not in line and not line.startswith("embedding:")]
        assert before == []
        assert last.startswith("nlreid: error: ")
        return last

    return run


@pytest.fixture
def misused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command whose arguments cannot be understood, which is status 2; gives the last line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        assert caught.value.code == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        return shown.err.splitlines()[-1]

    return run
