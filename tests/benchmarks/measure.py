"""Time and memory, measured so that what else the machine does weighs on all contenders alike, and the machine's own limits."""

from __future__ import annotations

import copy
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Step = Callable[[], object]
LEAST, MOST = 3, 25  # rounds
SHAPES = (  # rows, inner, columns: squares, and what convolutions of the networks come to
    (8192, 8192, 8192),
    (4096, 4096, 4096),
    (2048, 2048, 2048),
    (4096, 1024, 1024),
    (16384, 576, 64),
    (16384, 512, 512),
    (8192, 2304, 256),
)
LONG_ENOUGH = 0.1  # seconds
COPIED = 2**29  # bytes: more than caches hold, in and out together


def interleaved(contenders: Mapping[str, Step], seconds: float, device: str = "cpu", *, warm: bool = False) -> dict[str, float]:
    """The median seconds of each contender, all of them taking turns.

    Args:
        contenders: What to run, by name; each has run once before its time counts.
        seconds: About how long all of it may take; there are at least 3 rounds, whatever they take.
        device: `"cuda"` waits for the device at the beginning and the end of each turn.
        warm: Whether each has run already.
    """
    for step in () if warm else contenders.values():
        step()
    order = random.Random(0)  # a turn is not always behind the same one: each leaves caches and clocks as it does
    rounds: list[dict[str, float]] = []
    wanted = 1
    while len(rounds) < wanted:
        turns = order.sample(sorted(contenders), len(contenders))
        rounds.append({name: timed(contenders[name], device) for name in turns})
        wanted = min(MOST, max(LEAST, int(seconds / sum(rounds[0].values()))))
    return {name: statistics.median(times[name] for times in rounds) for name in contenders}


def timed(step: Step, device: str = "cpu") -> float:
    """Seconds of one call."""
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


class Matmul:
    """The best of several products of matrices, to be run beside the contenders: what the machine can do at that moment.

    Args:
        dtype: Of the matrices.
        device: Where they are.

    Attributes:
        shape: Rows, inner and columns of the best product.
        operations: Of one call, which takes about a tenth of a second, a multiply-add counted as two.
        rate: Operations a second, the best of some calls.
    """

    def __init__(self, dtype: torch.dtype, device: str = "cpu") -> None:
        self.rate, self.shape = 0.0, SHAPES[-1]
        for shape in SHAPES[0 if device == "cuda" else 1 :]:  # the largest is for accelerators
            self._set(shape, dtype, device)
            self()
            rate = self.operations / min(timed(self, device) for _ in range(5))
            if rate > self.rate:
                self.rate, self.shape = rate, shape
        self._set(self.shape, dtype, device)
        self._repeats = max(1, int(LONG_ENOUGH * self.rate / self.operations))
        self.operations *= self._repeats

    def _set(self, shape: tuple[int, int, int], dtype: torch.dtype, device: str) -> None:
        rows, inner, columns = shape
        self.operations = 2 * rows * inner * columns
        self._repeats = 1
        self._left = torch.randn(rows, inner, device=device).to(dtype)
        self._right = torch.randn(inner, columns, device=device).to(dtype)
        self._out = torch.empty(rows, columns, device=device, dtype=dtype)

    def __call__(self) -> None:
        """Some products, for about as long as a short contender takes."""
        for _ in range(self._repeats):
            torch.mm(self._left, self._right, out=self._out)


def copy_rate(device: str = "cpu") -> float:
    """Bytes a second that a copy moves, read and written counted both; the best of some calls."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * COPIED / min(timed(lambda: target.copy_(source), device) for _ in range(7))


def operations(network: torch.nn.Module, clip: tuple[int, ...]) -> int:
    """Of a forward pass, a multiply-add counted as two: convolutions, products of matrices, nothing else.

    In this count a clip of 8 x 256 x 128 costs PySlowFast's network with non-local blocks 46.4 billion, and the paper's own
    58.0; papers often count half of it, multiply-adds.
    """
    shapes = copy.deepcopy(network).to("meta").eval()  # nothing is computed
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(torch.empty(clip, device="meta"))
    return int(counter.get_total_flops())


def apart(module: str, function: str, **options: Any) -> Any:
    """What a function of a benchmark answers in a process of its own, since the highest mark of a process never falls."""
    command = [sys.executable, str(Path(__file__).parent / "apart.py"), module, function, json.dumps(options)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def available() -> int:
    """Bytes of memory that can be had without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no MemAvailable; this benchmark needs Linux")


def slope(points: list[tuple[float, float]], last: int = 3) -> float:
    """The exponent of growth: the slope of the line through the logarithms of the last points (least squares)."""
    x = torch.tensor([point[0] for point in points[-last:]], dtype=torch.float64).log()
    y = torch.tensor([point[1] for point in points[-last:]], dtype=torch.float64).log()
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())
