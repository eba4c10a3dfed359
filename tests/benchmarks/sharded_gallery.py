"""The memory in which a gallery in many files is evaluated: 500 queries in 2,000,000 rows of 256 numbers, 2 GB.

    python tests/benchmarks/sharded_gallery.py FOLDER                  # makes the files there, and takes them away at the end
    python tests/benchmarks/sharded_gallery.py FOLDER --rows 100000    # a smaller one

Features are drawn as in ranking.py, and every row has a name. A process of its own opens the folder and evaluates; memory is
the peak of both beyond what it had before, mapped pages of the files included. The script ends with an error if that is more
than 1 GiB.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from ranking import features, problem, resident_mib

from nlreid import Embeddings, evaluate
from nlreid.embedding import TrackInfo

D, QUERIES, SHARD, NOISE, CAMERAS, ALLOWED_MIB = 256, 500, 50_000, 0.5, 6, 1024


def write(folder: Path, rows: int) -> None:
    """The gallery as files of 50,000 rows, one person to 20 rows, and the queries."""
    (folder / "gallery").mkdir(parents=True)
    for number, start in enumerate(range(0, rows, SHARD)):
        write_part(folder / "gallery" / f"{number:05d}.safetensors", start, min(SHARD, rows - start), rows // 20)
    write_part(folder / "query.safetensors", rows, QUERIES, rows // 20)


def write_part(path: Path, start: int, count: int, people: int) -> None:
    """Some rows; people and cameras are the same in all files."""
    drawn = torch.Generator().manual_seed(start)
    pids = torch.randint(1, people + 1, (count,), generator=drawn)
    camids = torch.randint(1, CAMERAS + 1, (count,), generator=drawn)
    tracks = [TrackInfo(f"t{start + row:08d}", 8) for row in range(count)]
    all_of_them = torch.cat([pids, torch.tensor([people])]), torch.cat([camids, torch.tensor([CAMERAS])])  # so many are drawn
    rows = features(*all_of_them, D, NOISE, start)[:-1].clone()
    Embeddings(rows, pids, camids, tracks, "drawn").save(path)


def measure(folder: Path) -> None:
    """Open and evaluate in this process, and print the figures."""
    evaluate(*problem(64, 512, 64, 16, 3.0))  # imports and first calls
    ctypes.CDLL(None).malloc_trim(0)  # what was freed counts as free
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, began = resident_mib("VmRSS"), time.perf_counter()
    query, gallery = Embeddings.load(folder / "query.safetensors"), Embeddings.load(folder / "gallery")
    opened, opening = time.perf_counter() - began, resident_mib("VmHWM") - before
    scores = evaluate(query, gallery)
    figures = {"opened": opened, "opening MiB": opening, "seconds": time.perf_counter() - began - opened}
    figures |= {"MiB": resident_mib("VmHWM") - before, "rows": len(gallery), "mAP": scores.mAP}
    sys.stdout.write(json.dumps(figures))


def main() -> int:
    """Make the gallery, measure, write the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.folder)
        return 0
    write(arguments.folder, arguments.rows)
    try:
        size = sum(path.stat().st_size for path in (arguments.folder / "gallery").iterdir())
        command = [sys.executable, __file__, str(arguments.folder), "--child"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        shutil.rmtree(arguments.folder)
    lines = [
        f"{QUERIES} queries in {found['rows']:,} x {D}, {size / 2**20:,.0f} MiB of files",
        f"opened in {found['opened']:.1f} s with {found['opening MiB']:.0f} MiB, evaluated in {found['seconds']:.1f} s",
        f"{found['MiB']:.0f} MiB at most, mAP {found['mAP']:.5f}",
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    return int(found["MiB"] > ALLOWED_MIB)


if __name__ == "__main__":
    sys.exit(main())
