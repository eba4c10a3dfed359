"""The memory that a step takes, of a process of its own (Linux)."""

from __future__ import annotations

import ctypes
from pathlib import Path

from benchmarks.measure import Step
from benchmarks.non_local_memory import resident_mib


def peak_mib(step: Step) -> float:
    """The highest resident memory during the step, less the resident memory just before it."""
    ctypes.CDLL(None).malloc_trim(0)  # what is free but held would hide as much of the step's
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again from here
    before = resident_mib("VmRSS")
    step()
    return resident_mib("VmHWM") - before
