"""What bounds each part of the paper's network: its operations, the bytes that it moves, and which of the two takes longer.

Counted layer by layer as written, nothing fused: each reads its input and its weights and writes its output, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from benchmarks import machine
from benchmarks.cells import Values, measured
from benchmarks.contenders import ours_and_theirs
from benchmarks.markdown import Table
from benchmarks.measure import operations
from benchmarks.reference import NonLocal
from torch import Tensor, nn

MODEL, CLIP = "r3d50_nl", (1, 3, 8, 256, 128)
FLOAT = 4  # bytes
HEADER = [
    "part",
    "GFLOP",
    "share",
    "weights, MB",
    "moved, MB",
    "FLOP/byte",
    "bound by",
    "at the matmul rate, ms",
    "at the copy rate, ms",
]
PAIRS, ADDITIONS = "non-local: all pairs", "additions"
POINTWISE = {nn.BatchNorm3d: "batch norms", nn.ReLU: "ReLUs", nn.MaxPool3d: "max-pools"}


@dataclass
class Part:
    """What one part comes to."""

    operations: float = 0
    weights: float = 0
    moved: float = 0

    def add(self, operations: float, weights: float, values: float) -> None:
        """Count a layer: its operations, its weights, and the values that it reads and writes; the last two in numbers."""
        self.operations += operations
        self.weights += weights * FLOAT
        self.moved += (values + weights) * FLOAT

    def scaled(self, clips: int, width: int) -> Part:
        """The same for a batch of clips, in a type of `width` bytes."""
        weights = self.weights * width / FLOAT
        return Part(self.operations * clips, weights, (self.moved - self.weights) * clips * width / FLOAT + weights)


def tables(quick: bool) -> list[Table]:
    """A row a part; `quick` changes nothing, since nothing is run."""
    del quick
    rates = measured("parts/rates", lambda: {"matmul": machine.matmul("float32").rate, "copy": machine.copying()})
    if rates is None:
        return []
    return [table_of(parts(), rates, "one clip of 8 x 256 x 128 in float32")]


def table_of(counted: dict[str, Part], rates: Values, of_what: str) -> Table:
    """A row a part, at the rates `"matmul"` and `"copy"` of a machine."""
    total = Part(*(sum(getattr(part, field) for part in counted.values()) for field in ("operations", "weights", "moved")))
    rows = [_row(name, part, total, rates) for name, part in (*sorted(counted.items(), key=_last), ("all", total))]
    balance = float(rates["matmul"] or 0) / float(rates["copy"] or 1)
    return f"What bounds the parts of {MODEL}, {of_what}; the machine's balance is {balance:.0f}", HEADER, rows


def parts() -> dict[str, Part]:
    """The parts of the reference by name, counted while shapes pass through it.

    Raises:
        RuntimeError: If the operations are not those that PyTorch's own counter finds.
    """
    _, theirs = ours_and_theirs(MODEL)
    counted: dict[str, Part] = {}
    handles = [module.register_forward_hook(_counter(counted, name, module)) for name, module in theirs.named_modules()]
    try:
        expected = operations(theirs, CLIP)
    finally:
        for handle in handles:
            handle.remove()
    found = sum(part.operations for part in counted.values())
    if found != expected:
        raise RuntimeError(f"the parts come to {found} operations, PyTorch counts {expected}: a layer is left out, or twice")
    return counted


def _counter(counted: dict[str, Part], name: str, module: nn.Module) -> Callable[..., None]:
    def count(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for part, done, weights, values in _layers(name, module, inputs[0], output):
            counted.setdefault(part, Part()).add(done, weights, values)

    return count


def _layers(name: str, module: nn.Module, x: Tensor, y: Tensor) -> Iterator[tuple[str, float, float, float]]:
    """Part, operations, weights, and values read and written."""
    if isinstance(module, nn.Conv3d):
        done = 2 * y.numel() * module.in_channels * torch.Size(module.kernel_size).numel()
        yield _convolutions(name), done, sum(p.numel() for p in module.parameters()), x.numel() + y.numel()
    elif type(module) in POINTWISE:
        yield POINTWISE[type(module)], 0, sum(p.numel() for p in module.parameters()), x.numel() + y.numel()
    elif isinstance(module, NonLocal):
        n, width = x[:, 0].numel(), module.theta.out_channels
        # theta and phi are read, the matrix written, read and written by the softmax, read again with g, the result written
        yield PAIRS, 2 * 2 * n * n * width, 0, 4 * n * n + 4 * n * width
        yield ADDITIONS, 0, 0, 3 * y.numel()
    elif hasattr(module, "downsample"):
        yield ADDITIONS, 0, 0, 3 * y.numel()


def _convolutions(name: str) -> str:
    if "non_local" in name:
        return "non-local: convolutions"
    stage = name.split(".")[1]
    return "stem: convolution" if stage == "conv1" else f"{stage}: convolutions"


def _last(named: tuple[str, Part]) -> bool:
    return named[0] in (*POINTWISE.values(), ADDITIONS)


def _row(name: str, part: Part, total: Part, rates: Values) -> list[str]:
    intensity = part.operations / part.moved
    compute, memory = part.operations / float(rates["matmul"] or 1), part.moved / float(rates["copy"] or 1)
    return [
        name,
        f"{part.operations / 1e9:.2f}",
        f"{part.operations / total.operations:.0%}",
        f"{part.weights / 1e6:.1f}",
        f"{part.moved / 1e6:,.0f}",
        f"{intensity:.0f}",
        "-" if name == "all" else ("compute" if compute > memory else "memory"),
        f"{compute * 1000:.1f}",
        f"{memory * 1000:.1f}",
    ]
