"""How much memory a non-local block of 512 channels needs, for each of the four affinities (Linux).

    python tests/benchmarks/non_local_memory.py

Each measurement has a process of its own: the highest resident memory during the pass, less the resident memory just
before it (input and weights are there by then). Exit status 1 if any pass needs more than the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

CHANNELS = 512
LIMIT_MIB = 1536
FORWARD = (64, 32, 16)  # t, h, w: 32,768 positions
BACKWARD = (16, 16, 16)  # 4,096 positions
PAIRWISE = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")


def resident_mib(field: str) -> float:
    """A line of the process's own account: `VmRSS` (now) or `VmHWM` (the highest so far)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field}; this benchmark needs Linux")


def measure(pairwise: str, backward: bool) -> None:
    """One pass in this process; writes the extra MiB and the seconds."""
    import torch

    from nlreid.layers import NonLocalBlock

    generator = torch.Generator().manual_seed(0)
    block = NonLocalBlock(CHANNELS, pairwise=pairwise).train(backward)
    x = torch.randn(1, CHANNELS, *(BACKWARD if backward else FORWARD), generator=generator, requires_grad=backward)
    before, start = resident_mib("VmRSS"), time.perf_counter()
    with torch.set_grad_enabled(backward):
        y = block(x)
        if backward:
            y.square().mean().backward()
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{resident_mib('VmHWM') - before} {seconds}\n")


def measure_apart(pairwise: str, backward: bool) -> tuple[float, float]:
    """`measure` in a fresh process, since the highest mark of a process never falls."""
    command = [sys.executable, __file__, "--pairwise", pairwise, *(["--backward"] if backward else [])]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    extra, seconds = (float(number) for number in answer.split())
    return extra, seconds


def table() -> int:
    """Measure all, write the table, and return the exit status."""
    worst = 0.0
    lines = [f"{'pairwise':<18} {'pass':<17} {'positions':>9} {'extra MiB':>10} {'one N x N, MiB':>15} {'seconds':>8}"]
    for backward, (t, h, w) in ((False, FORWARD), (True, BACKWARD)):
        for pairwise in PAIRWISE:
            extra, seconds = measure_apart(pairwise, backward)
            worst = max(worst, extra)
            name, matrix = "forward+backward" if backward else "forward", (t * h * w) ** 2 * 4 / 2**20
            lines.append(f"{pairwise:<18} {name:<17} {t * h * w:>9,} {extra:>10,.0f} {matrix:>15,.0f} {seconds:>8.1f}")
    verdict = "within" if worst <= LIMIT_MIB else "OVER"
    sys.stdout.write("\n".join(lines) + f"\nmost: {worst:,.0f} MiB, {verdict} the limit of {LIMIT_MIB:,} MiB\n")
    return 0 if worst <= LIMIT_MIB else 1


def main() -> int:
    """The table, or one measurement for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairwise", choices=PAIRWISE, help="measure only this one, in this process")
    parser.add_argument("--backward", action="store_true", help="with --pairwise: a training step instead of inference")
    given = parser.parse_args()
    if given.pairwise is None:
        return table()
    measure(given.pairwise, given.backward)
    return 0


if __name__ == "__main__":
    sys.exit(main())
