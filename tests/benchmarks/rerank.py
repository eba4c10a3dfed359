"""How long re-ranking takes and how much memory, beside the algorithm as it is usually written (Linux).

    python tests/benchmarks/rerank.py

Features are random people of 2,048 channels, about 18 rows each. Each measurement has a process of its own; the memory is the
highest of the whole process, imports and features included. The plain algorithm is measured twice: with distances from one
matrix product, as most copies of it have them, and with SciPy's `cdist`, as the authors have them. Exit status 1 if the
results differ, or if MARS needs more than the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

CHANNELS, ROWS_A_PERSON = 2048, 18
SMALL = (500, 3000)  # query, gallery
MARS = (1980, 11310)
LIMIT_MIB = 8 * 1024
ROUNDS = 3  # the best of them counts; the plain ones take long enough for one


def people(query: int, gallery: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows around the centres of some people, float32."""
    rows = query + gallery
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((rows // ROWS_A_PERSON, CHANNELS), dtype=np.float32)
    features = centres[np.arange(rows) % len(centres)]
    features += generator.standard_normal((rows, CHANNELS), dtype=np.float32)
    return features[:query], features[query:]


def fast(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """What the library does."""
    from nlreid.evaluation import rerank

    return rerank(query, gallery).numpy()


def product(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """The plain algorithm, with distances from one matrix product."""
    from evaluation.naive_rerank import naive_rerank, squared_distances_by_product

    return naive_rerank(squared_distances_by_product(np.concatenate([query, gallery])), len(query))


def differences(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """The plain algorithm, with distances from differences."""
    from evaluation.naive_rerank import naive_rerank
    from scipy.spatial.distance import cdist

    features = np.concatenate([query, gallery])
    return naive_rerank((cdist(features, features) ** 2).astype(np.float32), len(query))


WAYS = {"fast": fast, "product": product, "differences": differences}


def measure(way: str, query: int, gallery: int, result: Path) -> None:
    """One way in this process; writes seconds and MiB, and the distances into a file."""
    features, seconds = people(query, gallery), float("inf")
    for _ in range(ROUNDS if way == "fast" else 1):
        start = time.perf_counter()
        distances = WAYS[way](*features)
        seconds = min(seconds, time.perf_counter() - start)
    np.save(result, distances)
    sys.stdout.write(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure_apart(way: str, size: tuple[int, int], result: Path) -> tuple[float, float, np.ndarray]:
    """`measure` in a fresh process: seconds, MiB and distances."""
    command = [sys.executable, __file__, "--way", way, "--size", *map(str, size), "--result", str(result)]
    seconds, peak = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return seconds, peak, np.load(result)


def table(folder: Path) -> int:
    """Measure all, write the table, and return the exit status."""
    sys.stdout.write(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    sys.stdout.write(
        f"{'query x gallery':<16} {'way':<22} {'seconds':>8} {'times nlreid':>13} {'peak MiB':>9} {'difference':>11}\n"
    )
    failed, (own, peak, expected) = False, measure_apart("fast", SMALL, folder / "fast.npy")
    row(SMALL, "nlreid", own, own, peak, 0)
    for way in ("product", "differences"):
        seconds, peak, distances = measure_apart(way, SMALL, folder / f"{way}.npy")
        difference = float(np.abs(distances - expected).max())
        row(SMALL, f"plain, {way}", seconds, own, peak, difference)
        failed |= difference > 1e-4
    seconds, peak, _ = measure_apart("fast", MARS, folder / "mars.npy")
    row(MARS, "nlreid", seconds, seconds, peak, 0)
    verdict = "within" if peak <= LIMIT_MIB else "OVER"
    sys.stdout.write(f"MARS: {peak:,.0f} MiB, {verdict} the limit of {LIMIT_MIB:,} MiB\n")
    return int(failed or peak > LIMIT_MIB)


def row(size: tuple[int, int], way: str, seconds: float, own: float, peak: float, difference: float) -> None:
    """One line of the table."""
    name = f"{size[0]:,} x {size[1]:,}"
    sys.stdout.write(f"{name:<16} {way:<22} {seconds:>8.2f} {seconds / own:>13.1f} {peak:>9,.0f} {difference:>11.1e}\n")
    sys.stdout.flush()


def main() -> int:
    """The table, or one measurement for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, help="measure only this one, in this process")
    parser.add_argument("--size", type=int, nargs=2, default=SMALL, help="with --way: queries and gallery")
    parser.add_argument("--result", type=Path, help="with --way: where to write the distances")
    given = parser.parse_args()
    if given.way is None:
        with tempfile.TemporaryDirectory() as folder:
            return table(Path(folder))
    measure(given.way, *given.size, given.result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
