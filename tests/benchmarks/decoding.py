"""How many clips a second are read, and how many a network takes: `python tests/benchmarks/decoding.py [MODEL]`, 2 minutes.

Tracklets of 256 x 128 JPEG files, as those of MARS are, are written to a temporary folder and read as in training: 8 frames a
clip, every 8th, decoded and transformed. Beside it the network on the same processor, with random weights, forward in
evaluation mode, and forward and backward in training mode. They alternate, and the best of three rounds counts, so that
what else the machine does weighs on all of them alike. Ratios are to the slowest.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

import nlreid
from nlreid.data.clips import random_window
from nlreid.data.datasets.folder import read_folder
from nlreid.data.tracklet import Tracklet
from nlreid.data.tracklet_dataset import TrackletDataset

TRACKLETS, LENGTH, BATCH = 64, 60, 2
SECONDS, ROUNDS = 3, 3


def write(root: Path) -> list[Tracklet]:
    """Tracklets of blurred noise with some grain, so that a file has some kilobytes to decode, as a photograph has."""
    random = np.random.default_rng(0)
    for number in range(TRACKLETS):
        folder = root / f"{number:04}"
        folder.mkdir()
        for frame in range(LENGTH):
            coarse = Image.fromarray(random.integers(0, 256, (16, 8, 3), dtype=np.uint8)).resize((128, 256))
            grain = random.normal(0, 6, (256, 128, 3))
            picture = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{frame:04}.jpg", quality=85)
    found = enumerate(read_folder(root))
    return [Tracklet(tracklet.name, tracklet.frames, pid=number, camid=0) for number, tracklet in found]


def reading(train: TrackletDataset, workers: int, threads: int) -> Callable[[], int]:
    """Reads one epoch, in workers that stay, or here with some threads; a worker has one."""
    loader = DataLoader(train, 8, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def epoch() -> int:
        train.set_epoch(train.epoch + 1)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        clips = sum(len(batch.label) for batch in loader)
        torch.set_num_threads(before)
        return clips

    return epoch


def networks(name: str) -> dict[str, Callable[[], int]]:
    """Runs the network for one batch: forward; forward and backward."""
    model = nlreid.create_model(name, num_classes=TRACKLETS)
    clip = torch.randn(BATCH, 3, model.clip_spec.frames, *model.clip_spec.size)

    def forward() -> int:
        model.eval()
        with torch.inference_mode():
            return len(model(clip).embedding)

    def both() -> int:
        model.train().zero_grad()
        output = model(clip)
        output.logits.logsumexp(1).mean().backward()
        return len(output.embedding)

    return {f"{name}, forward": forward, f"{name}, forward and backward": both}


def per_second(step: Callable[[], int]) -> float:
    """Clips a second of a step that says how many it did, repeated for some seconds."""
    clips, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        clips += step()
    return clips / elapsed


def main(name: str = "r3d50_nl") -> None:
    """Print a row for each way of reading and each way of running the network."""
    transform = nlreid.create_model(name).clip_spec.training_transform(erasing=0.5)
    with tempfile.TemporaryDirectory() as folder:
        tracklets = write(Path(folder))
        size = np.mean([path.stat().st_size for path in Path(folder).glob("*/*.jpg")])
        train = TrackletDataset(tracklets, clips=random_window, transform=transform)
        steps = {"read here": reading(train, 0, torch.get_num_threads()), "read here, 1 thread": reading(train, 0, 1)}
        steps |= {"read, 2 workers": reading(train, 2, 1)} | networks(name)
        for step in steps.values():
            step()  # workers start, files come into the disk's cache, memory is allocated
        rounds = [{row: per_second(step) for row, step in steps.items()} for _ in range(ROUNDS)]
    best = {row: max(rates[row] for rates in rounds) for row in steps}
    sys.stdout.write(f"{size / 1000:.1f} KB a file, {torch.get_num_threads()} threads\n{'':36} {'clips/s':>8} {'ratio':>8}\n")
    for row, rate in best.items():
        sys.stdout.write(f"{row:36} {rate:8.2f} {rate / min(best.values()):8.1f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
