"""The same on an NVIDIA GPU, in bfloat16: inference, the paper's training step, non-local blocks over whole tracks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from benchmarks import contenders as who
from benchmarks import growth, machine
from benchmarks.cells import Values, measured
from benchmarks.markdown import Table, part_of, share, time_of, times
from benchmarks.measure import Step, interleaved, operations
from benchmarks.reference import draw_clips
from benchmarks.training_step import CHEAP, MODEL, PLAIN, REFERENCE, SAVING, trainer
from torch import Tensor, nn

import nlreid

DEVICE = "cuda"
MODELS = ("r3d50", "r3d50_nl.pyslowfast", "r3d50_nl", "r3d50_separable_nl")
CLIP = (3, 8, 256, 128)
CLIPS, TRAINED, TRACK = 32, (128, 64, 32, 16), 64  # clips of a batch, of the paper's batch and what may fit instead, frames
NO_ROOM = "out of memory"


def tables(quick: bool) -> list[Table]:
    """Inference, training, whole tracks; one row that says so where there is no GPU."""
    if not torch.cuda.is_available():
        return [("On a GPU", ["measured", "why"], [["nothing: skipped", "PyTorch sees no CUDA device on this machine"]])]
    seconds = 2 if quick else 20
    models = ("r3d50_nl",) if quick else MODELS
    sizes = TRAINED[-1:] if quick else TRAINED
    return [_inference_table(models, seconds), _training_table(sizes, seconds), _track_table(seconds)]


def _inference_table(models: tuple[str, ...], seconds: float) -> Table:
    labels = (who.REFERENCE_HALF, who.PLAIN_HALF, who.OPTIMISED_HALF, who.COMPILED)
    rows = []
    for name in models:
        values = measured(f"gpu/inference/{name}", lambda name=name: _inference(name, seconds))
        if values is None:
            continue
        for label in labels:
            taken = values.get(label)
            rate = f"{CLIPS / taken:,.0f}" if isinstance(taken, float) else time_of(taken)
            done = share(values["operations"], taken, values["matmul"])
            rows.append([name, label, rate, times(values.get(who.REFERENCE_HALF), taken), done])
    header = ["model", "network", "clips/s", "times faster than the reference", "share of the matmul rate"]
    return f"Inference in bfloat16, {CLIPS} clips of 8 x 256 x 128, {_device()}", header, rows


def _inference(name: str, seconds: float) -> Values:
    model, theirs = (copy.deepcopy(network).to(DEVICE) for network in who.ours_and_theirs(name))
    candidates = {
        who.REFERENCE: who.answering(theirs),  # float32: only what the others must agree with
        who.REFERENCE_HALF: who.autocast(who.answering(theirs)),
        who.PLAIN_HALF: who.autocast(who.answering(model)),
    }
    for label, compiled in ((who.OPTIMISED_HALF, False), (who.COMPILED, True)):
        faster = nlreid.optimize_for_inference(model, dtype=torch.bfloat16, compile=compiled)
        candidates[label] = who.answering(faster)
    clip = draw_clips(CLIPS, *CLIP[1:], seed=1).to(DEVICE)
    steps, wrong = who.steps(candidates, clip)
    del steps[who.REFERENCE]
    ceiling = machine.matmul("bfloat16", DEVICE)
    taken = interleaved(steps | {"matmul": ceiling}, seconds, DEVICE)
    rate = ceiling.operations / taken.pop("matmul")
    return wrong | taken | {"operations": operations(theirs, (CLIPS, *CLIP)), "matmul": rate}


def _training_table(sizes: tuple[int, ...], seconds: float) -> Table:
    """Each network at the paper's 128 clips, or at half of them, and half again, where that does not fit."""
    rows = []
    for label in (REFERENCE, PLAIN, CHEAP, SAVING):
        for clips in sizes:
            values = measured(f"gpu/training/{label}/{clips}", partial(_training, label, clips, seconds))
            if values is None:
                break
            taken, mib = values.get("seconds"), values.get("mib")
            rate = f"{clips / taken:,.0f}" if isinstance(taken, float) else "-"
            held = f"{mib:,.0f}" if isinstance(mib, float) else "-"
            rows.append([label, str(clips), time_of(taken), rate, held])
            if taken != NO_ROOM:
                break
    header = [
        "network, under bfloat16 autocast",
        "clips",
        "step, ms",
        "clips/s",
        "memory beyond weights, gradients, Adam's state, MiB",
    ]
    return f"A training step of {MODEL}, clips of 8 x 256 x 128, {_device()}", header, rows


def _training(label: str, clips: int, seconds: float) -> Values:
    torch.cuda.empty_cache()
    step = trainer(label, DEVICE, half=True)
    batch = draw_clips(clips, *CLIP[1:], seed=1).to(DEVICE)
    step(batch[:8])
    try:
        mib = _peak_mib(lambda: step(batch))
        taken = interleaved({label: lambda: step(batch)}, seconds, DEVICE, warm=True)[label]
    except torch.OutOfMemoryError:
        return {"seconds": NO_ROOM, "mib": None}
    return {"seconds": taken, "mib": mib}


def _track_table(seconds: float) -> Table:
    labels = (growth.REFERENCE, growth.OURS)
    values = measured(f"gpu/track/{TRACK}", lambda: _track(seconds)) or {}
    rows = []
    for label in labels:
        mib, theirs = (values.get(f"{name}, mib") for name in (label, growth.REFERENCE))
        taken = values.get(f"{label}, seconds")
        faster = times(values.get(f"{growth.REFERENCE}, seconds"), taken)
        rows.append([label, time_of(taken), faster, f"{mib:,.0f}" if isinstance(mib, float) else "-", part_of(mib, theirs)])
    title = f"A non-local block of layer2 over a track of {TRACK} frames ({growth.positions(TRACK):,} positions), {_device()}"
    return title, ["block", "ms", "times faster", "memory, MiB", "of the reference's"], rows


def _track(seconds: float) -> Values:
    x = growth.input_of("block", TRACK).to(DEVICE, torch.bfloat16)
    steps: dict[str, Step] = {}
    values: Values = {}
    for label in (growth.REFERENCE, growth.OURS):
        steps[label] = _pass(growth.network_of("block", label).to(DEVICE, torch.bfloat16), x)
        steps[label]()
        values[f"{label}, mib"] = _peak_mib(steps[label])
    taken = interleaved(steps, seconds, DEVICE, warm=True)
    return values | {f"{label}, seconds": time for label, time in taken.items()}


def _pass(network: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    return torch.inference_mode()(lambda: network(x))


def _peak_mib(step: Step) -> float:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _device() -> str:
    return torch.cuda.get_device_name()
