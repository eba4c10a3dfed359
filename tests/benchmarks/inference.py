"""How long networks take for clips, beside the reference and beside what the machine can do at all."""

from __future__ import annotations

from benchmarks import contenders as who
from benchmarks import machine
from benchmarks.cells import Values, measured
from benchmarks.markdown import Table, share, time_of, times
from benchmarks.measure import available, interleaved, operations
from benchmarks.reference import draw_clips

MODELS = ("c2d50", "r3d50", "r3d50_nl.pyslowfast", "r3d50_nl", "r3d50_separable_nl")
CLIPS, FRAMES, SIZE = (1, 4, 16), (8, 32), (256, 128)
FASTER, OF_MATMUL, FASTER_HALF, FASTER_UPSTREAM = 1.6, 0.95, 2.5, 1.3  # the aims
SECONDS = 20  # a cell, about; at least three rounds
NO_ROOM = "no room"
Cell = tuple[str, int, int]


def tables(quick: bool) -> list[Table]:
    """The networks of the paper in float32 and in bfloat16, and torchvision's."""
    seconds = 2 if quick else SECONDS
    sizes = [(1, 8)] if quick else [(clips, frames) for frames in FRAMES for clips in CLIPS]
    models = ("r3d50", "r3d50_nl.pyslowfast") if quick else MODELS
    ours = _known([(name, clips, frames) for name in models for clips, frames in sizes], seconds)
    theirs = _known([(name, clips, 16) for name in who.UPSTREAM for clips in (CLIPS[:1] if quick else CLIPS)], seconds)
    size = f"clips of {SIZE[0]} x {SIZE[1]}, on the CPU"
    return [
        (f"Inference in float32, {size}", FLOAT_HEADER, [_float_row(cell, values) for cell, values in ours]),
        (f"Inference in bfloat16, {size}", HALF_HEADER, [_half_row(cell, values) for cell, values in ours]),
        (f"torchvision's networks, {size}", UPSTREAM_HEADER, [_upstream_row(cell, values) for cell, values in theirs]),
    ]


def _known(cells: list[Cell], seconds: float) -> list[tuple[Cell, Values]]:
    measurements = ((cell, _cell(cell, seconds)) for cell in cells)
    return [(cell, values) for cell, values in measurements if values is not None]


def _cell(cell: Cell, seconds: float) -> Values | None:
    name, clips, frames = cell
    shape = (clips, 3, frames, *SIZE)
    return measured(f"inference/{name}/{clips}x{frames}x{SIZE[0]}x{SIZE[1]}", lambda: _measure(name, shape, seconds))


def _measure(name: str, shape: tuple[int, ...], seconds: float) -> Values:
    _, theirs = who.ours_and_theirs(name)
    values: Values = {"operations": operations(theirs, shape)}
    candidates = dict(who.inference(name))
    if who.pairs_bytes(name, shape) > 0.8 * available():
        for label in (who.REFERENCE, who.REFERENCE_HALF):
            del candidates[label]
            values[label] = NO_ROOM
    clip = draw_clips(shape[0], *shape[2:], seed=1)
    steps, wrong = who.steps(candidates, clip)
    ceilings = {f"matmul, {kind}": machine.matmul(kind) for kind in ("float32", "bfloat16")}
    seconds_of = interleaved(steps | ceilings, seconds, warm=True)
    rates: Values = {label: ceiling.operations / seconds_of.pop(label) for label, ceiling in ceilings.items()}
    return values | wrong | rates | seconds_of


FLOAT_HEADER = [
    "model",
    "clips",
    "frames",
    "GFLOP",
    "reference, ms",
    "plain, ms",
    "optimised, ms",
    "plain: times faster",
    f"optimised: times faster (aim {FASTER})",
    f"share of the matmul rate (aim {OF_MATMUL:.0%})",
]
HALF_HEADER = [
    "model",
    "clips",
    "frames",
    "reference under autocast, ms",
    "optimised bfloat16, ms",
    "times faster than that",
    f"times faster than the reference in float32 (aim {FASTER_HALF})",
    "share of bfloat16's matmul rate",
]
UPSTREAM_HEADER = [
    "model",
    "clips",
    "frames",
    "torchvision, ms",
    "plain, ms",
    "optimised, ms",
    "plain: times faster",
    f"optimised: times faster (aim {FASTER_UPSTREAM})",
    "optimised bfloat16, ms",
]


def _float_row(cell: Cell, values: Values) -> list[str]:
    reference, plain, fast = (values.get(label) for label in (who.REFERENCE, who.PLAIN, who.OPTIMISED))
    done = share(values["operations"], fast if fast is not None else plain, values["matmul, float32"], OF_MATMUL)
    gflop = f"{float(values['operations'] or 0) / 1e9:,.1f}"
    return [
        *(str(part) for part in cell),
        gflop,
        *(time_of(seconds) for seconds in (reference, plain, fast)),
        times(reference, plain),
        times(reference, fast, FASTER),
        done,
    ]


def _half_row(cell: Cell, values: Values) -> list[str]:
    half, fast = values.get(who.REFERENCE_HALF), values.get(who.OPTIMISED_HALF)
    return [
        *(str(part) for part in cell),
        time_of(half),
        time_of(fast),
        times(half, fast),
        times(values.get(who.REFERENCE), fast, FASTER_HALF),
        share(values["operations"], fast, values["matmul, bfloat16"]),
    ]


def _upstream_row(cell: Cell, values: Values) -> list[str]:
    theirs, plain, fast = (values.get(label) for label in (who.REFERENCE, who.PLAIN, who.OPTIMISED))
    return [
        *(str(part) for part in cell),
        *(time_of(seconds) for seconds in (theirs, plain, fast)),
        times(theirs, plain),
        times(theirs, fast, FASTER_UPSTREAM),
        time_of(values.get(who.OPTIMISED_HALF)),
    ]
