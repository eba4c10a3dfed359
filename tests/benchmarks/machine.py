"""What the numbers were measured on: the processor, its instructions, its rates, the versions."""

from __future__ import annotations

import datetime
import functools
import platform
from pathlib import Path

import timm
import torch
import torchvision
from benchmarks.measure import Matmul, copy_rate

MATTERING = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16")


@functools.cache
def matmul(kind: str, device: str = "cpu") -> Matmul:
    """The ceiling of a type, `"float32"` or `"bfloat16"`; found once a run."""
    return Matmul(getattr(torch, kind), device)


@functools.cache
def copying(device: str = "cpu") -> float:
    """Bytes a second; found once a run."""
    return copy_rate(device)


def facts() -> list[list[str]]:
    """What to know of the machine, a row each: what, and how much."""
    rows = [
        ["processor", f"{_cpu('model name')}, family {_cpu('cpu family')}, model {_cpu('model')}"],
        ["threads", str(torch.get_num_threads())],
        ["instructions", ", ".join(name for name in MATTERING if name in _cpu("flags").split())],
        ["memory", f"{_memory_gib():.0f} GiB"],
        ["accelerator", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"],
    ]
    for kind in ("float32", "bfloat16"):
        ceiling = matmul(kind)
        shape = " x ".join(str(side) for side in ceiling.shape)
        rows.append([f"matmul rate, {kind}", f"{ceiling.rate / 1e9:,.0f} billion operations/s (best of some shapes: {shape})"])
    rows.append(["copy rate", f"{copying() / 1e9:.1f} GB/s (read and written)"])
    rows.append(["versions", f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}"])
    rows.append(["", f"Python {platform.python_version()}, {platform.system()}"])
    rows.append(["date", datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()])
    return rows


def _cpu(field: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return "unknown"


def _memory_gib() -> float:
    return int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
