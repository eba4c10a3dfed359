"""How many pictures of synthetic people are drawn a second: `python tests/benchmarks/synthetic.py [DEVICE]`, 2 minutes.

Figures without a scene, by the plain rasteriser and by the compiled one; scenes, passers-by and cameras around figures that are
there, as in training; and a data set as a whole. 32 tracklets of 8 pictures of 128 x 64 at once, the best of five rounds. On a
CPU one thread is used, and seconds are the processor's, so that what else the machine does weighs little; on another
device seconds are those of the clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch

from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.datasets.synthetic.cameras import draw_cameras
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.identity import draw_identities
from nlreid.data.datasets.synthetic.scenes import draw_scenes

SIZE, TRACKLETS, FRAMES, ROUNDS = (128, 64), 32, 8, 5


def steps(device: str) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    generator = torch.Generator().manual_seed(0)
    people, cameras, scenes = (draw(TRACKLETS, generator) for draw in (draw_identities, draw_cameras, draw_scenes))
    renderers = {name: Renderer(SIZE, device=device, compiled=name == "compiled") for name in ("plain", "compiled")}
    figures = renderers["plain"].tracks(people, cameras["pitch"], FRAMES, generator)

    def draw(renderer: Renderer) -> Callable[[], object]:
        return lambda: renderer.tracks(people, cameras["pitch"], FRAMES, generator).cpu()

    settings = SyntheticPeople(identities=TRACKLETS // 2, frames=FRAMES, size=SIZE)
    return {
        **{f"figures, {name}": draw(renderer) for name, renderer in renderers.items()},
        "scenes and cameras around figures": lambda: compose(figures, figures.flip(0), scenes, cameras, generator).cpu(),
        "a data set, plain": lambda: settings.split(device=device),
    }


def main(device: str = "cpu") -> None:
    """Print a row for each step; the first run of each, in which one is compiled, beside the others."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device == "cpu":
        torch.set_num_threads(1)
    sys.stdout.write(f"torch {torch.__version__}, {device}\n{'':36} {'pictures/s':>12} {'first run, s':>14}\n")
    for name, step in steps(device).items():
        start = time.perf_counter()
        step()
        first, seconds = time.perf_counter() - start, []
        for _ in range(ROUNDS):
            start = clock()
            step()
            seconds.append(clock() - start)
        sys.stdout.write(f"{name:36} {TRACKLETS * FRAMES / min(seconds):12.0f} {first:14.1f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
