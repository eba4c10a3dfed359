"""The same on an NVIDIA GPU, in bfloat16: what bounds the parts, versions, inference, the paper's training step, whole tracks.

Where there is no GPU, what was kept from a machine that has one is shown: `--keep`, or one row that says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from benchmarks import cells, gpu_training, machine
from benchmarks import contenders as who
from benchmarks.cells import Values
from benchmarks.markdown import Table, share, time_of, times
from benchmarks.measure import interleaved, operations
from benchmarks.parts import parts, table_of
from benchmarks.reference import draw_clips

import nlreid

DEVICE = "cuda"
MODELS = ("r3d50_nl", "r3d50_nl.pyslowfast", "r3d50", "r3d50_separable_nl")
CLIP = (3, 8, 256, 128)
CLIPS = 32
FASTER, OF_MATMUL = 2.5, 0.45  # the aims
ORDER = (who.REFERENCE_HALF, who.PLAIN_HALF, who.OPTIMISED_HALF, who.COMPILED, who.AUTOTUNED)


def tables(quick: bool) -> list[Table]:
    """Parts, inference, training, tracks, of one device; one row that says so where nothing was measured."""
    seconds = 2 if quick else 20
    device = known("gpu/device", _device)
    if device is None:
        return [("On a GPU", ["measured", "why"], [["nothing: skipped", "PyTorch sees no CUDA device on this machine"]])]
    name = str(device["name"])
    counted = {part: values.scaled(CLIPS, 2) for part, values in parts().items()}
    bounds = table_of(counted, device, f"{CLIPS} clips of 8 x 256 x 128 in bfloat16, {name}")
    inference = _inference_table(("r3d50_nl",) if quick else MODELS, seconds, name)
    return [bounds, inference, *gpu_training.tables(quick, seconds, name, known)]


def known(name: str, measurement: Callable[[], Values]) -> Values | None:
    """A cell: measured where there is a GPU, else as it was kept."""
    return cells.measured(name, measurement) if torch.cuda.is_available() else cells.kept(name)


def _device() -> Values:
    rates: Values = {"matmul": machine.matmul("bfloat16", DEVICE).rate, "copy": machine.copying(DEVICE)}
    cudnn = torch.backends.cudnn.version()
    return rates | {"name": f"{torch.cuda.get_device_name()}, torch {torch.__version__}, cuDNN {cudnn}"}


def _inference_table(models: tuple[str, ...], seconds: float, device: str) -> Table:
    rows = []
    cells = [(f"gpu/inference/{model}", model, (False, True)) for model in models]
    cells.append((f"gpu/autotuned/{models[0]}", models[0], ("max-autotune",)))
    for name, model, ways in sorted(cells, key=lambda cell: models.index(cell[1])):
        values = known(name, lambda model=model, ways=ways: _inference(model, ways, seconds))
        if values is None:
            continue
        for label in ORDER:
            if label not in values:
                continue
            taken = values[label]
            rate = f"{CLIPS / taken:,.0f}" if isinstance(taken, float) else "-"
            aims = (FASTER, OF_MATMUL) if label in (who.COMPILED, who.AUTOTUNED) else (None, None)
            faster = times(values.get(who.REFERENCE_HALF), taken, aims[0])
            done = share(values["operations"], taken, values["matmul"], aims[1])
            rows.append([model, label, time_of(taken), rate, faster, done])
    faster, done = f"times faster than the reference (aim {FASTER})", f"share of the matmul rate (aim {OF_MATMUL:.0%})"
    title = f"Inference in bfloat16, {CLIPS} clips of 8 x 256 x 128, {device}"
    return title, ["model", "network", "ms", "clips/s", faster, done], rows


def _inference(name: str, ways: tuple[bool | str, ...], seconds: float) -> Values:
    model, theirs = (copy.deepcopy(network).to(DEVICE) for network in who.ours_and_theirs(name))
    candidates = {
        who.REFERENCE: who.answering(theirs),  # float32: only what the others must agree with
        who.REFERENCE_HALF: who.autocast(who.answering(theirs)),
        who.PLAIN_HALF: who.autocast(who.answering(model)),
    }
    labels = {False: who.OPTIMISED_HALF, True: who.COMPILED, "max-autotune": who.AUTOTUNED}
    for way in ways:
        faster = nlreid.optimize_for_inference(model, dtype=torch.bfloat16, compile=way)
        candidates[labels[way]] = who.answering(faster)
    clip = draw_clips(CLIPS, *CLIP[1:], seed=1).to(DEVICE)
    steps, wrong = who.steps(candidates, clip)
    del steps[who.REFERENCE]
    for _ in range(2):  # a graph is recorded at the second call
        for step in steps.values():
            step()
    ceiling = machine.matmul("bfloat16", DEVICE)
    taken = interleaved(steps | {"matmul": ceiling}, seconds, DEVICE, warm=True)
    rate = ceiling.operations / taken.pop("matmul")
    torch.compiler.reset()
    return wrong | taken | {"operations": operations(theirs, (CLIPS, *CLIP)), "matmul": rate}
