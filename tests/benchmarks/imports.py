"""How long `import nlreid` and making a model take, beside timm; in fresh processes that alternate."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.cells import Values, measured
from benchmarks.markdown import Table

ROUNDS, QUICK_ROUNDS = 9, 3
ADDS_AT_MOST, AT_MOST_TIMES = 0.3, 2.0  # the aims: seconds, and times
IMPORT = ("import nlreid", "import timm")
CREATE = ('nlreid.create_model("r3d50_nl")', 'timm.create_model("resnet50")')
TIMED = "import time; start = time.perf_counter(); {0}; print(time.perf_counter() - start)"


def tables(quick: bool) -> list[Table]:
    """A row for the import and one for a model."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    imported = measured("imports/import", lambda: _alternating({name: TIMED.format(name) for name in IMPORT}, rounds))
    created = measured("imports/create", lambda: _alternating({name: _creating(name) for name in CREATE}, rounds))
    rows = []
    if imported is not None:
        ours, theirs = (float(imported[name] or 0) for name in IMPORT)
        verdict = f"{ours - theirs:+.2f} s, at most {ADDS_AT_MOST} {_met(ours - theirs <= ADDS_AT_MOST)}"
        rows.append([IMPORT[0], IMPORT[1], f"{ours:.2f}", f"{theirs:.2f}", verdict])
    if created is not None:
        ours, theirs = (float(created[name] or 0) for name in CREATE)
        verdict = f"{ours / theirs:.2f} times, at most {AT_MOST_TIMES:g} {_met(ours / theirs <= AT_MOST_TIMES)}"
        rows.append([CREATE[0], CREATE[1], f"{ours:.2f}", f"{theirs:.2f}", verdict])
    title = f"Starting: medians of {rounds} fresh processes"
    return [(title, ["nlreid", "timm", "nlreid, s", "timm, s", "difference, aim"], rows)]


def _creating(call: str) -> str:
    return f"import {call.partition('.')[0]}; " + TIMED.format(call)


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _alternating(programs: dict[str, str], rounds: int) -> Values:
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for round_ in range(rounds + 1):
        for name, program in programs.items():
            command = [sys.executable, "-c", program]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            if round_:  # the first one brings the files into the disk's cache
                seconds[name].append(float(answer))
    return {name: statistics.median(times) for name, times in seconds.items()}
