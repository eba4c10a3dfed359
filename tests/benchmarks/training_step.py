"""One step of training the paper's network: forward, loss, backward, Adam; its time and the memory of its activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmarks.cells import Values, measured
from benchmarks.markdown import Table, part_of, time_of, times
from benchmarks.measure import apart, interleaved
from benchmarks.memory import peak_mib
from benchmarks.reference import Output, as_if_trained, draw_clips, reference_of

import nlreid

MODEL, PERSONS = "r3d50_nl", 625
REFERENCE, PLAIN, HALF = "reference", "nlreid", "nlreid, bfloat16 autocast"
CHEAP, SAVING = "nlreid, recompute='cheap'", "nlreid, recompute='all'"
HALF_CHEAP = "nlreid, bfloat16 autocast, recompute='cheap'"
LABELS = (REFERENCE, PLAIN, CHEAP, SAVING, HALF, HALF_CHEAP)
RECOMPUTE = {CHEAP: "cheap", SAVING: "all", HALF_CHEAP: "cheap"}
FASTER, LESS = 1.3, 0.5  # the aims
SHAPE, QUICK_SHAPE = (8, 3, 8, 256, 128), (4, 3, 8, 128, 64)
TOLERANCE = {REFERENCE: 0.0, PLAIN: 1e-3, CHEAP: 1e-3, SAVING: 1e-3, HALF: 5e-2, HALF_CHEAP: 5e-2}  # of the first loss
Trainer = Callable[[torch.Tensor], float]


def tables(quick: bool) -> list[Table]:
    """A row a contender."""
    shape = QUICK_SHAPE if quick else SHAPE
    size = "x".join(str(side) for side in (shape[0], *shape[2:]))
    seconds = measured(f"training_step/seconds/{size}", lambda: _seconds(shape, 5 if quick else 60)) or {}
    memory = {
        label: measured(f"training_step/memory/{label}/{size}", lambda label=label: _memory(label, shape)) or {}
        for label in LABELS
    }
    rows = []
    for label in LABELS:
        mib, first = (memory[name].get("mib") for name in (label, REFERENCE))
        rows.append(
            [
                label,
                time_of(seconds.get(label)),
                times(seconds.get(REFERENCE), seconds.get(label), None if label == REFERENCE else FASTER),
                f"{mib:,.0f}" if isinstance(mib, float) else "-",
                part_of(mib, first, None if label == REFERENCE else LESS),
            ]
        )
    title = f"A training step of {MODEL}: {shape[0]} clips of {shape[2]} x {shape[3]} x {shape[4]}, on the CPU"
    memory_header = ["memory beyond weights, gradients and Adam's state, MiB", f"of the reference's (aim {LESS} at most)"]
    return [(title, ["network", "step, ms", f"times faster (aim {FASTER})", *memory_header], rows)]


def trainer(label: str, device: str = "cpu", *, half: bool = False, compiled: bool = False) -> Trainer:
    """A network and its optimiser in training mode; a call moves the weights by a batch and answers the loss before."""
    torch.manual_seed(0)
    model = as_if_trained(nlreid.create_model(MODEL, num_classes=PERSONS)).to(device).train()
    model.set_grad_checkpointing(label in RECOMPUTE, recompute=RECOMPUTE.get(label, "all"))
    network = reference_of(model) if label == REFERENCE else model
    if compiled:
        network.compile(fullgraph=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4)
    criterion = nlreid.VideoReIDLoss()

    def step(clips: torch.Tensor) -> float:
        optimiser.zero_grad(set_to_none=False)  # the memory of gradients stays, and is counted with the weights
        with torch.autocast(device, torch.bfloat16, enabled=half or label in (HALF, HALF_CHEAP)):
            output = network(clips)
        pids = torch.arange(len(clips), device=device) // 2
        loss = criterion(Output(output.embedding.float(), output.logits.float()), pids).total
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def _batch(shape: tuple[int, ...]) -> torch.Tensor:
    return draw_clips(shape[0], *shape[2:], seed=1)


def _seconds(shape: tuple[int, ...], seconds: float) -> Values:
    clips = _batch(shape)
    trainers = {label: trainer(label) for label in LABELS}
    wrong: Values = {}
    losses: dict[str, float] = {}
    for label, step in trainers.items():
        torch.manual_seed(1)  # all drop the same of the embedding
        losses[label] = step(clips)
        error = abs(losses[label] / losses[REFERENCE] - 1)
        if error > TOLERANCE[label]:
            wrong[label] = f"loss wrong by {error:.1e}"
    right = {label: _step(step, clips) for label, step in trainers.items() if label not in wrong}
    return wrong | interleaved(right, seconds, warm=True)


def _step(step: Trainer, clips: torch.Tensor) -> Callable[[], object]:
    return lambda: step(clips)


def _memory(label: str, shape: tuple[int, ...]) -> Values:
    return {"mib": apart("training_step", "memory_mib", label=label, shape=shape)}


def memory_mib(label: str, shape: list[int]) -> float:
    """Of one step, when weights, gradients and the optimiser's state are there already; in this process."""
    step, clips = trainer(label), _batch(tuple(shape))
    step(clips[..., :64, :32].contiguous())  # makes room for gradients and state
    return peak_mib(lambda: step(clips))
