"""On an NVIDIA GPU: the paper's training step, and non-local blocks over whole tracks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from benchmarks import growth
from benchmarks.cells import Values
from benchmarks.markdown import Table, part_of, time_of, times
from benchmarks.measure import Step, interleaved
from benchmarks.reference import draw_clips
from benchmarks.training_step import CHEAP, MODEL, PLAIN, REFERENCE, SAVING, trainer
from torch import Tensor, nn

DEVICE, SIZE = "cuda", (8, 256, 128)
TRAINED, TRACK = (128, 64, 32, 16), 64  # clips of the paper's batch and what may fit instead, frames
FASTER = 2.5  # the aim
NO_ROOM = "out of memory"
COMPILED = ", compiled"
CONTENDERS = (REFERENCE, PLAIN, CHEAP, SAVING, PLAIN + COMPILED, CHEAP + COMPILED)
Known = Callable[[str, Callable[[], Values]], Values | None]


def tables(quick: bool, seconds: float, device: str, known: Known) -> list[Table]:
    """A row a contender, twice."""
    sizes = TRAINED[-1:] if quick else TRAINED
    return [_training_table(sizes, seconds, device, known), _track_table(seconds, device, known)]


def _training_table(sizes: tuple[int, ...], seconds: float, device: str, known: Known) -> Table:
    """Each network at the paper's 128 clips, or at half of them, and half again, where that does not fit."""
    rows, of_reference = [], None
    for label in CONTENDERS:
        for clips in sizes:
            values = known(f"gpu/training/{label}/{clips}", partial(_training, label, clips, seconds))
            if values is None:
                break
            taken, mib = values.get("seconds"), values.get("mib")
            a_clip = taken / clips if isinstance(taken, float) else None
            of_reference = a_clip if label == REFERENCE else of_reference
            rate = f"{1 / a_clip:,.0f}" if a_clip else "-"
            held = f"{mib:,.0f}" if isinstance(mib, float) else "-"
            faster = times(of_reference, a_clip, None if label == REFERENCE else FASTER)
            rows.append([label, str(clips), time_of(taken), rate, faster, held])
            if taken != NO_ROOM:
                break
    header = [
        "network, under bfloat16 autocast",
        "clips",
        "step, ms",
        "clips/s",
        f"times faster than the reference (aim {FASTER})",
        "memory beyond weights, gradients, Adam's state, MiB",
    ]
    return f"A training step of {MODEL}, clips of 8 x 256 x 128, {device}", header, rows


def _training(label: str, clips: int, seconds: float) -> Values:
    torch.cuda.empty_cache()
    step = trainer(label.removesuffix(COMPILED), DEVICE, half=True, compiled=label.endswith(COMPILED))
    batch = draw_clips(clips, *SIZE, seed=1).to(DEVICE)
    try:
        step(batch)
        mib = peak_mib(lambda: step(batch))
        taken = interleaved({label: lambda: step(batch)}, seconds, DEVICE, warm=True)[label]
    except torch.OutOfMemoryError:
        return {"seconds": NO_ROOM, "mib": None}
    finally:
        torch.compiler.reset()
    return {"seconds": taken, "mib": mib}


def _track_table(seconds: float, device: str, known: Known) -> Table:
    values = known(f"gpu/track/{TRACK}", lambda: _track(seconds)) or {}
    rows = []
    for label in (growth.REFERENCE, growth.OURS):
        mib, theirs = (values.get(f"{name}, mib") for name in (label, growth.REFERENCE))
        taken = values.get(f"{label}, seconds")
        faster = times(values.get(f"{growth.REFERENCE}, seconds"), taken)
        rows.append([label, time_of(taken), faster, f"{mib:,.0f}" if isinstance(mib, float) else "-", part_of(mib, theirs)])
    title = f"A non-local block of layer2 over a track of {TRACK} frames ({growth.positions(TRACK):,} positions), {device}"
    return title, ["block", "ms", "times faster", "memory, MiB", "of the reference's"], rows


def _track(seconds: float) -> Values:
    x = growth.input_of("block", TRACK).to(DEVICE, torch.bfloat16)
    steps: dict[str, Step] = {}
    values: Values = {}
    for label in (growth.REFERENCE, growth.OURS):
        steps[label] = _pass(growth.network_of("block", label).to(DEVICE, torch.bfloat16), x)
        steps[label]()
        values[f"{label}, mib"] = peak_mib(steps[label])
    taken = interleaved(steps, seconds, DEVICE, warm=True)
    return values | {f"{label}, seconds": time for label, time in taken.items()}


def _pass(network: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    return torch.inference_mode()(lambda: network(x))


def peak_mib(step: Step) -> float:
    """The highest memory of the device in a step, less what was taken before."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
