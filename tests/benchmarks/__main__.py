"""What the library takes in time and memory, beside what people use today: `python tests/benchmarks [TABLE ...]`.

Separate commands, as in `python tests/benchmarks/ranking.py`: decoding.py, load_weights.py, non_local_memory.py, ranking.py,
rerank.py, synthetic.py.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

TABLES = ("parts", "inference", "versions", "training_step", "growth", "pipeline", "imports", "gpu")


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    given = _arguments()
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks import cells, machine, markdown

    cells.configure(given.keep, given.only, quick=given.quick)
    parts = [markdown.table("Machine", ["what", "how much"], machine.facts())]
    for name in given.tables or TABLES:
        for title, header, rows in importlib.import_module(f"benchmarks.{name}").tables(given.quick):
            if all(cell == "-" for row in rows for cell in row[1:]):
                continue  # nothing of it was measured
            parts.append(markdown.table(title, header, rows))
            sys.stderr.write(parts[-1] + "\n")
    generated = "\n".join(parts)
    sys.stdout.write(generated)
    if given.write is not None:
        markdown.replace_generated(given.write, generated)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"what to measure: {', '.join(TABLES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a small part of each table, in minutes; not for the page")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep each cell in FILE, and measure none that it has")
    parser.add_argument(
        "--only", default="*", metavar="PATTERN", help="measure only cells of such names: 'inference/r3d50_nl/*'"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks of docs/performance.md")
    given = parser.parse_args()
    unknown = set(given.tables) - set(TABLES)
    if unknown:
        parser.error(f"unknown table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    if given.write is not None and given.quick:
        parser.error("--quick measures too little for a page; leave it out, or --write")
    return given


if __name__ == "__main__":
    sys.exit(main())
