"""The steps from the reference to the optimised network, one change at a time, each with what counting promised for it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from benchmarks import contenders as who
from benchmarks import machine
from benchmarks.cells import Values, measured
from benchmarks.markdown import Table, share, time_of, times
from benchmarks.measure import interleaved, operations
from benchmarks.reference import draw_clips
from torch import Tensor, nn
from torch.nn import functional as F

import nlreid
from nlreid.layers import Conv3d, NonLocalBlock
from nlreid.layers import fewest_axes as ways
from nlreid.optimize.folding import fold_norms

MODEL = "r3d50_nl"
STEPS = {  # what changes, and the number that its saving is counted by
    "the reference": "",
    "non-local blocks without the matrix of pairs": "pairs",
    "channels_last_3d throughout": "",
    "kernels of one axis as 2D work, rows and matrix products": "",
    "norms folded": "norms",
    "torch.compile, instead of what follows": "activations",
    "sums and ReLUs in the convolutions, kernels packed": "activations",
    "bfloat16": "",
    "the stem's frames as channels": "",
}
HALF, ASIDE = tuple(STEPS)[-2:], tuple(STEPS)[5]


def tables(quick: bool) -> list[Table]:
    """A row a version."""
    shape = (1, 3, 8, 128, 64) if quick else (4, 3, 8, 256, 128)
    size = "x".join(str(side) for side in (shape[0], *shape[2:]))
    values = measured(f"versions/{size}", lambda: _measure(shape, 5 if quick else 30)) or {}
    rows, before = [], None
    for label in STEPS:
        seconds = values.get(label)
        saved = f"{(before - seconds) * 1000:,.0f}" if isinstance(seconds, float) and isinstance(before, float) else "-"
        promised = values.get(f"promised, {label}")
        rate = values.get("matmul, bfloat16" if label in HALF else "matmul, float32")
        rows.append(
            [
                label,
                f"{promised * 1000:,.0f}" if isinstance(promised, float) else "-",
                saved,
                time_of(seconds),
                times(values.get("the reference"), seconds),
                share(values.get("operations"), seconds, rate),
            ]
        )
        before = seconds if isinstance(seconds, float) and label != ASIDE else before
    header = ["version, with all changes above", "counted saving, ms", "measured saving, ms", "ms", "times faster"]
    title = f"Versions of {MODEL}, inference, {shape[0]} clips of {shape[2]} x {shape[3]} x {shape[4]}, on the CPU"
    return [(title, [*header, "share of the matmul rate"], rows)]


def _measure(shape: tuple[int, ...], seconds: float) -> Values:
    model, theirs = who.ours_and_theirs(MODEL)
    clip = draw_clips(shape[0], *shape[2:], seed=1)
    values: Values = {"operations": operations(theirs, shape)}
    answers = _versions(model, theirs)
    expected = answers["the reference"](clip)
    wrong: Values = {}
    for label, answer in list(answers.items()):
        error = float((answer(clip) - expected).norm() / expected.norm())
        if error > (0.1 if label in HALF else 1e-5):
            del answers[label]
            wrong[label] = f"wrong by {error:.1e}"
    steps = {label: partial(answer, clip) for label, answer in answers.items()}
    ceilings = {f"matmul, {kind}": machine.matmul(kind) for kind in ("float32", "bfloat16")}
    taken = interleaved(steps | ceilings, seconds, warm=True)
    rates: Values = {label: ceiling.operations / taken.pop(label) for label, ceiling in ceilings.items()}
    counted = _counted_bytes(model, shape)
    rate = machine.copying()
    promises: Values = {f"promised, {label}": counted[key] / rate for label, key in STEPS.items() if key}
    return values | wrong | rates | promises | taken


def _versions(model: nn.Module, theirs: nn.Module) -> dict[str, Callable[[Tensor], Tensor]]:
    labels = tuple(STEPS)
    fast = nlreid.optimize_for_inference(model)
    compiled = nlreid.optimize_for_inference(model, compile=True)
    half = nlreid.optimize_for_inference(model, dtype=torch.bfloat16)
    networks = [theirs, _plain(model, last=False), _plain(model, last=True), model, _folded(model), compiled, fast]
    answers = dict(zip(labels, map(who.answering, networks), strict=False))
    whole = who.answering(half)

    def without_folding(clip: Tensor) -> Tensor:
        most, ways.FOLDED_UP_TO = ways.FOLDED_UP_TO, 0
        try:
            return whole(clip.bfloat16())
        finally:
            ways.FOLDED_UP_TO = most

    return answers | {labels[-2]: without_folding, labels[-1]: lambda clip: whole(clip.bfloat16())}


class _Conv3d(nn.Conv3d):
    """Torch's own convolution, whichever layout comes."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return F.conv3d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def _folded(model: nn.Module) -> nn.Module:
    """Our network with its norms folded and no more."""
    model = copy.deepcopy(model)
    side = model.backbone.stride
    fold_norms(model, torch.empty((1, 3, model.backbone.min_frames, side, side), device="meta"))
    return model


def _plain(model: nn.Module, *, last: bool) -> nn.Module:
    """Our network with torch's convolutions, in the layout that they take by default or in `channels_last_3d`."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if type(module) is Conv3d:
            module.__class__ = _Conv3d
    if not last:
        backbone = model.backbone
        backbone.forward = lambda clip: nn.Sequential.forward(backbone, clip)
    return model


def _counted_bytes(model: nn.Module, shape: tuple[int, ...]) -> dict[str, float]:
    """What norms read and write, activations and sums besides them, and the passes over all pairs of positions."""
    counted = dict.fromkeys(("norms", "activations", "pairs"), 0.0)

    def norm(_module: nn.Module, _inputs: object, out: Tensor) -> None:
        counted["norms"] += 8.0 * out.numel()  # read and written

    def activation(_module: nn.Module, _inputs: object, out: Tensor) -> None:
        counted["activations"] += 8.0 * out.numel()

    def pairs(module: NonLocalBlock, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
        positions = inputs[0].shape[2:].numel()
        counted["pairs"] += 4 * 4.0 * inputs[0].shape[0] * positions**2 / module.subsample**2  # made, softmax in and out, used

    network = copy.deepcopy(model).to("meta").eval()
    for module in network.modules():
        hook = {nn.BatchNorm3d: norm, nn.ReLU: activation, NonLocalBlock: pairs}.get(type(module))
        if hook is not None:
            module.register_forward_hook(hook)
    with torch.no_grad():
        network(torch.empty(shape, device="meta"))
    return counted
