"""How time and memory grow with the frames of a clip: the non-local block, and the network that has five of them."""

from __future__ import annotations

import torch
from benchmarks.cells import Values, measured
from benchmarks.contenders import ours_and_theirs
from benchmarks.markdown import Table
from benchmarks.measure import apart, available, interleaved, slope
from benchmarks.memory import peak_mib
from benchmarks.reference import NonLocal, draw_clips
from torch import Tensor, nn

import nlreid

MODEL, CHANNELS = "r3d50_nl", 512
FRAMES, QUICK_FRAMES = (4, 8, 16, 32, 64, 128), (4, 8, 16)
SIZE = (256, 128)
REFERENCE, OURS = "reference", "nlreid"
KINDS = {"block": "One non-local block of layer2", "network": f"Inference of {MODEL}"}
TIMED = {(REFERENCE, "seconds"): "reference, ms", (OURS, "seconds"): "nlreid, ms"}
HELD = {(REFERENCE, "mib"): "reference, MiB", (OURS, "mib"): "nlreid, MiB"}
HEADER = ["frames", "positions", "one N x N, MiB", *TIMED.values(), *HELD.values()]


def tables(quick: bool) -> list[Table]:
    """A row a length, and below them the exponents: time and memory grow as this power of the frames, over the last three."""
    frames = QUICK_FRAMES if quick else FRAMES
    size = f"a clip of {SIZE[0]} x {SIZE[1]}, float32, on the CPU"
    return [(f"{title}: {size}", HEADER, _rows(kind, frames, 5 if quick else 30)) for kind, title in KINDS.items()]


def positions(frames: int) -> int:
    """Of the feature map of layer2: half of the frames, an eighth of height and width."""
    return frames // 2 * (SIZE[0] // 8) * (SIZE[1] // 8)


def _rows(kind: str, lengths: tuple[int, ...], seconds: float) -> list[list[str]]:
    rows: list[list[str]] = []
    points: dict[tuple[str, str], list[tuple[float, float]]] = {column: [] for column in (*TIMED, *HELD)}
    for frames in lengths:
        matrix = positions(frames) ** 2 * 4
        known = measured(f"growth/{kind}/{frames}", lambda frames=frames: _measure(kind, frames, seconds))
        if known is None:
            continue
        row = [str(frames), f"{positions(frames):,}", f"{matrix / 2**20:,.0f}"]
        for label, what in (*TIMED, *HELD):
            value = known[f"{label}, {what}"]
            if isinstance(value, float):
                points[label, what].append((frames, value))
                row.append(f"{value * 1000:,.1f}" if what == "seconds" else f"{value:,.0f}")
            else:
                row.append(str(value))
        rows.append(row)
    exponents = [f"^{slope(found):.2f}" if len(found) > 2 else "-" for found in points.values()]
    return [*rows, ["exponent", "", "", *exponents]]


def _measure(kind: str, frames: int, seconds: float) -> Values:
    labels = [OURS]
    values: Values = {}
    need = 3 * 4 * positions(frames) ** 2  # the products, their softmax, a copy in another order
    if need < 0.8 * available():
        labels.append(REFERENCE)
    else:
        values = {f"{REFERENCE}, {what}": f"no room: {need / 2**30:,.0f} GiB" for what in ("seconds", "mib")}
    for label in labels:
        values[f"{label}, mib"] = apart("growth", "memory_mib", kind=kind, label=label, frames=frames)
    x = input_of(kind, frames)
    networks = {label: network_of(kind, label) for label in labels}
    with torch.inference_mode():
        answers = [_tensor(network(x)) for network in networks.values()]
        torch.testing.assert_close(answers[0], answers[-1], rtol=1e-3, atol=1e-3 * float(answers[-1].abs().max()))
        times = interleaved({label: lambda n=network: n(x) for label, network in networks.items()}, seconds, warm=True)
    return values | {f"{label}, seconds": time for label, time in times.items()}


def memory_mib(kind: str, label: str, frames: int) -> float:
    """Of one pass in evaluation mode, in this process."""
    network, x = network_of(kind, label), input_of(kind, frames)
    with torch.inference_mode():
        return peak_mib(lambda: network(x))


def network_of(kind: str, label: str) -> nn.Module:
    """The whole network, or one block of it alone, in evaluation mode, with the weights that the other one has."""
    if kind == "network":
        ours, theirs = ours_and_theirs(MODEL)
        return ours if label == OURS else theirs
    torch.manual_seed(0)
    block = nlreid.NonLocalBlock(CHANNELS).eval()
    nn.init.ones_(block.norm.weight)  # else it is the identity
    if label == OURS:
        return block
    reference = NonLocal(CHANNELS).eval()
    reference.load_state_dict(block.state_dict())
    return reference


def input_of(kind: str, frames: int) -> Tensor:
    """A clip, or what the block of layer2 sees of it."""
    if kind == "network":
        return draw_clips(1, frames, *SIZE, seed=1)
    generator = torch.Generator().manual_seed(0)
    return 0.05 * torch.randn(1, CHANNELS, frames // 2, SIZE[0] // 8, SIZE[1] // 8, generator=generator)


def _tensor(output: Tensor | nlreid.ReIDOutput) -> Tensor:
    return output if isinstance(output, Tensor) else output.embedding
