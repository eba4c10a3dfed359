"""Whether `embed` runs at the network's own rate: from a video to embeddings, beside the network alone.

    python tests/benchmarks pipeline
    python tests/benchmarks/pipeline.py [--quick] [VIDEO TRACKS]

A video of people who walk in lanes is written to a temporary folder, or one is given with its track file. Four steps take
turns: the network alone on a batch that is ready, as often as the video has batches; the reader alone, from the file to
batches; `embed` in one thread; and `embed` as it is called by default. The rate of `embed` is to be 90 % of the network's.
Then the memory that `embed` takes, for a video and for one four times as long, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import av
import numpy as np
import torch
from benchmarks.cells import Values, measured
from benchmarks.markdown import Table, table, times
from benchmarks.measure import apart, interleaved
from benchmarks.memory import peak_mib
from PIL import Image

import nlreid
from nlreid.data.datasets.mot import read_video_tracklets
from nlreid.embedding.batches import batches
from nlreid.models import VideoReID

FRAMES = {"r3d50_nl": 80, "r3d18_half_nl": 800}  # of the video: some tens of seconds of each network
SMALL, SHORT, TIMES = "r3d18_half_nl", 200, 4  # frames, and how many times as long the other video is
BATCH = 8  # as `nlreid embed` has it
WIDTH, HEIGHT = 768, 576
LANES, STAY = 5, 40  # people in a picture, and frames until another one comes
BOX = (40, 110)  # width and height of a person
AIM = 0.9
NETWORK, READER, IN_TURN, AHEAD = "network alone", "reader alone", "prefetch=0", "embed"


def tables(quick: bool) -> list[Table]:
    """Rates, and memory."""
    return [_rates(quick), _memory(quick)]


def _rates(quick: bool) -> Table:
    rows = []
    for name, frames in FRAMES.items():
        known = measured(f"pipeline/{name}", partial(_measure_written, name, frames // 4 if quick else frames, 60))
        if known is not None:
            rows.append(_row(name, known))
    size = f"a video of {WIDTH} x {HEIGHT} with {LANES} people, batches of {BATCH}, float32, on the CPU"
    return f"From a video to embeddings, clips a second: {size}", _header(), rows


def _header() -> list[str]:
    return ["network", "clips", NETWORK, READER, IN_TURN, AHEAD, f"{IN_TURN} / network", f"{AHEAD} / network"]


def _row(name: str, known: Values) -> list[str]:
    clips = float(known["clips"])
    rates = [f"{clips / float(known[step]):,.2f}" for step in (NETWORK, READER, IN_TURN, AHEAD)]
    ratios = [times(known[NETWORK], known[step], AIM if step == AHEAD else None) for step in (IN_TURN, AHEAD)]
    return [name, f"{clips:.0f}", *rates, *ratios]


def _measure_written(name: str, frames: int, seconds: float) -> Values:
    with written(frames) as (video, tracks):
        return measure(name, video, tracks, seconds)


def measure(name: str, video: Path, tracks: Path, seconds: float) -> Values:
    """The median seconds of each step on a whole video, and how many clips that is."""
    model, spec = _network(name)
    ready = torch.randn(BATCH, 3, spec.frames, *spec.size, generator=torch.Generator().manual_seed(0))
    clips = [len(batch.rows) for batch in _read(model, video, tracks)]

    def network() -> None:
        with torch.inference_mode():
            for count in clips:
                model(ready[:count])

    def reader() -> None:
        for batch in _read(model, video, tracks):
            del batch

    def embed(prefetch: int) -> Callable[[], object]:
        people = lambda: read_video_tracklets(video, tracks, size=spec.size)  # noqa: E731  # a new one each time
        return lambda: nlreid.embed(model, people(), batch_size=BATCH, prefetch=prefetch, progress=False)

    steps = {NETWORK: network, READER: reader, IN_TURN: embed(0), AHEAD: embed(2)}
    return {"clips": float(sum(clips)), **interleaved(steps, seconds)}


def _network(name: str) -> tuple[VideoReID, nlreid.models.ClipSpec]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nlreid.create_model(name).eval()
    return model, model.clip_spec


def _read(model: VideoReID, video: Path, tracks: Path) -> Iterator[object]:
    spec = model.clip_spec
    return batches(read_video_tracklets(video, tracks, size=spec.size), spec, model.backbone.min_frames, BATCH)


def _memory(quick: bool) -> Table:
    rows = []
    for frames in (SHORT // 4, SHORT) if quick else (SHORT, SHORT * TIMES):
        cells = [measured(f"pipeline/memory/{frames}/{count}", partial(_measure_memory, frames, count)) for count in (0, 2)]
        rows.append([str(frames), *("-" if known is None else f"{float(known['mib']):,.0f}" for known in cells)])
    header = ["frames", f"{IN_TURN}, MiB", f"{AHEAD}, MiB"]
    return f"Memory that embedding a video takes: {SMALL}, batches of {BATCH}", header, rows


def _measure_memory(frames: int, prefetch: int) -> Values:
    return {"mib": apart("pipeline", "memory_mib", frames=frames, prefetch=prefetch)}


def memory_mib(frames: int, prefetch: int) -> float:
    """Of `embed` on a video, in this process."""
    model, spec = _network(SMALL)
    with written(frames) as (video, tracks):

        def embed(count: int) -> None:
            people = read_video_tracklets(video, tracks, size=spec.size)
            some = (person for number, person in enumerate(people) if number < count)
            nlreid.embed(model, some, batch_size=BATCH, prefetch=prefetch, progress=False)

        embed(2 * LANES)  # what is taken once, and kept
        return peak_mib(lambda: embed(frames * LANES))


@contextmanager
def written(frames: int) -> Iterator[tuple[Path, Path]]:
    """A video and its track file: a still yard with some noise, and people who walk through it, one a lane at a time."""
    random = np.random.default_rng(0)
    yard = np.asarray(Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT)))
    coats = random.integers(0, 256, (64, *BOX[::-1], 3), dtype=np.uint8)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        video, tracks = Path(folder) / "people.mp4", Path(folder) / "tracks.txt"
        with av.open(str(video), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.bit_rate = WIDTH, HEIGHT, 2_000_000
            for frame in range(frames):
                picture = yard.copy()
                for lane in range(LANES):
                    person, step = divmod(frame + lane * STAY // LANES, STAY)
                    left, top = lane * WIDTH // LANES + step, HEIGHT // 4 + 4 * step
                    picture[top : top + BOX[1], left : left + BOX[0]] = coats[(person * LANES + lane) % len(coats)]
                    lines.append(f"{frame + 1},{person * LANES + lane + 1},{left},{top},{BOX[0]},{BOX[1]}")
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        tracks.write_text("\n".join(lines) + "\n")
        yield video, tracks


def main() -> None:
    """The tables, or the rates on a video that is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("given", nargs="*", type=Path, metavar="VIDEO TRACKS", help="measure rates on these instead")
    parser.add_argument("--quick", action="store_true", help="videos of a fourth of the length")
    parser.add_argument("--model", choices=FRAMES, action="append", help="measure only this network on a video that is given")
    arguments = parser.parse_args()
    if not arguments.given:
        shown = tables(arguments.quick)
    elif len(arguments.given) == 2:
        names = arguments.model or list(FRAMES)
        rows = [_row(name, measure(name, *arguments.given, 60)) for name in names]
        shown = [(f"From {arguments.given[0].name} to embeddings, clips a second", _header(), rows)]
    else:
        parser.error("a video is given together with its track file")
    sys.stdout.write("\n".join(table(*each) for each in shown))


if __name__ == "__main__":
    main()
