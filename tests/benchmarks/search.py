"""Exact search beside an index of FAISS: processor time of one thread, and how often the index finds the nearest.

    python tests/benchmarks/search.py 10000 100000

The features are those of `ranking.py`, 1,000 queries of 256 numbers. Processor time is measured, not the clock's, so that
the figures hold on a busy machine, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from ranking import problem

from nlreid.evaluation import evaluate, nearest

QUERIES, WIDTH, CELLS, PROBES = 1_000, 256, 1024, (4, 16, 64)


def seconds(work):
    """What some work answers, and the processor time that it takes."""
    began = time.process_time()
    answer = work()
    return answer, time.process_time() - began


def measure(size):
    """Write the lines of one size of gallery."""
    query, gallery = problem(QUERIES, size, WIDTH, size // 20, 0.5)
    one, asked, rows = query.features[:1], query.features.numpy(), gallery.features.numpy()
    line(size, "nlreid.evaluate", seconds(lambda: evaluate(query, gallery))[1])
    found, taken = seconds(lambda: nearest(query.features, gallery.features, top=5))
    line(size, "nearest, five each", taken)
    line(
        size, "nearest, of one query", float(np.median([seconds(lambda: nearest(one, gallery.features))[1] for _ in range(5)]))
    )
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(rows)
    line(size, "FAISS, flat", seconds(lambda: flat.search(asked, 5))[1])
    if size < 40 * CELLS:  # too few to learn cells from
        return
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(WIDTH), WIDTH, CELLS, faiss.METRIC_INNER_PRODUCT)
    line(size, f"FAISS, IVF of {CELLS} cells: to build", seconds(lambda: (index.train(rows[: 40 * CELLS]), index.add(rows)))[1])
    for probes in PROBES:
        index.nprobe = probes
        (_, near), taken = seconds(lambda: index.search(asked, 5))
        recall = (near[:, 0] == found.rows[:, 0].numpy()).mean()
        line(size, f"FAISS, IVF, {probes} cells a query", taken, f"finds the nearest of {recall:.3f}")


def line(size, name, taken, more=""):
    """A line of the table."""
    sys.stdout.write(f"{size:>10,}  {name:38} {taken:8.3f} s  {more}\n")
    sys.stdout.flush()


def main():
    """Measure each size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", type=int, nargs="+", help="rows of the gallery")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    evaluate(*problem(64, 512, 64, 16, 3.0))  # imports and first calls
    for size in arguments.sizes:
        measure(size)


if __name__ == "__main__":
    main()
