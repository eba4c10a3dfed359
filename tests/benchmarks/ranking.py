"""`nlreid.evaluate` against an evaluator as the public ones are written: argsort of the full matrix, a loop over queries.

    python tests/benchmarks/ranking.py           # MARS size, then galleries of 10,000, 100,000 and 1,000,000
    python tests/benchmarks/ranking.py --mars    # MARS size only

Features are drawn, so that scores are like those of trained networks. Each figure comes from a process of its own;
memory is the peak beyond what the process had before. The script
ends with an error unless both answer the same, at 20 times the speed and a tenth of the memory.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

MARS = {"queries": 1_980, "gallery": 11_310, "d": 2_048, "identities": 634, "distractors": 3_248, "noise": 0.6}
LATENT = 32
GROWTH = {"queries": 1_000, "d": 512, "noise": 0.5}  # and a twentieth as many identities as rows


def features(pids, camids, d, noise, seed):
    """Unit rows: a centre an identity, a shift a camera and noise, all in few directions, as in what networks learn."""
    fixed, drawn = torch.Generator().manual_seed(1), torch.Generator().manual_seed(seed)
    centres, shifts = (torch.randn(int(of.max()) + 1, LATENT, generator=fixed) for of in (pids, camids))
    directions = torch.randn(LATENT, d, generator=torch.Generator().manual_seed(2))
    out = torch.empty(len(pids), d)
    for at in range(0, len(pids), 8192):  # in blocks, so that nothing but the result is large
        part = slice(at, at + 8192)
        latent = centres[pids[part]] + 0.3 * shifts[camids[part]]
        latent += noise * torch.randn(latent.shape, generator=drawn)
        out[part] = torch.nn.functional.normalize(latent @ directions)
    return out


def problem(queries, gallery, d, identities, noise, distractors=0):
    """A query and a gallery side; distractors are as many identities of one row each."""
    drawn = torch.Generator().manual_seed(0)
    pids = torch.randint(1, identities + 1, (gallery,), generator=drawn)
    pids[gallery - distractors :] = torch.arange(identities + 1, identities + 1 + distractors)
    query_pids = torch.arange(queries) % identities + 1
    camids, query_camids = (torch.randint(1, 7, (n,), generator=drawn) for n in (gallery, queries))
    return [
        SimpleNamespace(features=features(p, c, d, noise, seed), pids=p, camids=c)
        for p, c, seed in ((query_pids, query_camids, 3), (pids, camids, 4))
    ]


def sort_based(query, gallery, lists=True):
    """CMC at 1 and mAP, as the evaluators of several public repositories compute them; some without the Python lists."""
    q, g = query.features, gallery.features
    squares = q.square().sum(1, keepdim=True), g.square().sum(1, keepdim=True)
    matrix = squares[0].expand(len(q), len(g)) + squares[1].expand(len(g), len(q)).t()
    matrix.addmm_(q, g.t(), beta=1, alpha=-2)
    matrix = matrix.numpy()
    q_pids, q_camids, g_pids, g_camids = (x.numpy() for x in (query.pids, query.camids, gallery.pids, gallery.camids))
    indices = np.argsort(matrix, axis=1)
    matches = (g_pids[indices] == q_pids[:, np.newaxis]).astype(np.int32)
    first, precisions = [], []
    for index in range(len(q)):
        order = indices[index]
        keep = np.invert((g_pids[order] == q_pids[index]) & (g_camids[order] == q_camids[index]))
        found = matches[index][keep]
        if not np.any(found):
            continue
        first.append(found[0])
        so_far = found.cumsum()
        so_far = [x / (i + 1.0) for i, x in enumerate(so_far)] if lists else so_far / np.arange(1, len(so_far) + 1)
        precisions.append((np.asarray(so_far) * found).sum() / found.sum())
    return float(np.mean(first)), float(np.mean(precisions))


def ours(query, gallery):
    """The same of `nlreid.evaluate`."""
    from nlreid.evaluation import evaluate

    scores = evaluate(query, gallery)
    return scores.rank(1), scores.mAP


def child(way, sizes):
    """Measure one way in this process, and print the figures."""
    query, gallery = problem(**sizes)
    evaluate = {"sort": sort_based, "arrays": partial(sort_based, lists=False), "ours": ours}[way]
    small = problem(64, 512, 64, 16, 3.0)
    evaluate(*small)  # imports and first calls
    ctypes.CDLL(None).malloc_trim(0)  # what was freed counts as free
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, began = resident_mib("VmRSS"), time.perf_counter()
    rank1, mean = evaluate(query, gallery)
    seconds = time.perf_counter() - began
    figures = {"seconds": seconds, "MiB": resident_mib("VmHWM") - before, "rank-1": rank1, "mAP": mean}
    sys.stdout.write(json.dumps(figures))


def resident_mib(kind):
    """A line of the process's own account: `VmRSS` (now) or `VmHWM` (the highest so far)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def measure(way, **sizes):
    """The figures of one way, from a process of its own."""
    command = [sys.executable, __file__, "--child", way, json.dumps(sizes)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row(name, figures):
    """A line of a table."""
    seconds, mib, rank1, mean = (figures[key] for key in ("seconds", "MiB", "rank-1", "mAP"))
    return f"{name:>12} {seconds:8.2f} s {mib:7.0f} MiB   rank-1 {rank1:.4f}   mAP {mean:.5f}\n"


def main() -> int:
    """Measure, write the tables, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mars", action="store_true", help="MARS size only")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], json.loads(arguments.child[1]))
        return 0
    sys.stdout.write(f"torch {torch.__version__}, {torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f}\n\n")
    sys.stdout.write("MARS size: 1,980 x 11,310 x 2,048\n")
    sort, arrays, own = (measure(way, **MARS) for way in ("sort", "arrays", "ours"))
    sys.stdout.write(row("sort-based", sort) + row("arrays only", arrays) + row("nlreid", own))
    speed, memory = sort["seconds"] / own["seconds"], own["MiB"] / sort["MiB"]
    sys.stdout.write(f"faster by {speed:.1f} ({arrays['seconds'] / own['seconds']:.1f}), memory {memory:.3f} of it\n")
    agree = abs(sort["mAP"] - own["mAP"]) < 1e-5
    if not arguments.mars:
        sys.stdout.write("\nGrowth: 1,000 queries x 512\n")
        for gallery in (10_000, 100_000, 1_000_000):
            figures = measure("ours", gallery=gallery, identities=gallery // 20, **GROWTH)
            sys.stdout.write(row(f"{gallery:,}", figures))
            sys.stdout.flush()
    return int(not (agree and speed >= 20 and memory <= 0.1))


if __name__ == "__main__":
    sys.exit(main())
