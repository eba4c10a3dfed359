"""A recurrent cell stepped through the frames of clips: one step after the other, or a loop in an exported graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlreid.layers.exporting import exporting

Cell = nn.LSTMCell | nn.GRUCell
State = tuple[Tensor, ...]  # (output, memory) of an LSTM, (output,) of a GRU


def stepped(cell: Cell, frames: Tensor, *, last_only: bool) -> Tensor:
    """What a cell answers at the last frame, or on average over the frames, started from zeros.

    Args:
        cell: The cell, from c to d numbers.
        frames: `(b, c, t)`.
        last_only: Whether the answer is the last one, not the mean.

    Returns:
        `(b, d)`.
    """
    if exporting() and isinstance(frames.shape[2], torch.SymInt):
        return _in_a_loop(cell, frames, last_only)
    state: Tensor | State | None = None
    outputs: list[Tensor] = []
    for frame in frames.unbind(2):  # t times b c
        state = cell(frame, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return outputs[-1] if last_only else torch.stack(outputs).mean(dim=0)


def _in_a_loop(cell: Cell, frames: Tensor, last_only: bool) -> Tensor:
    """The same for clips of which only whoever runs the graph knows how long they are."""
    from torch._higher_order_ops.while_loop import while_loop  # torch has no public name for it

    step, parts = (_lstm_step, 2) if isinstance(cell, nn.LSTMCell) else (_gru_step, 1)
    length = frames.shape[2]
    start = frames.new_zeros(frames.shape[0], cell.hidden_size)

    def unfinished(place: Tensor, _total: Tensor, *_state: Tensor) -> Tensor:
        return place < length

    def advance(place: Tensor, total: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        frame = frames.index_select(2, place.reshape(1)).squeeze(2)  # b c
        given = F.linear(frame, cell.weight_ih, cell.bias_ih)  # b (gates d)
        new = step(given, F.linear(state[0], cell.weight_hh, cell.bias_hh), state)
        return place + 1, total + new[0], *new

    first = torch.zeros((), dtype=torch.int64, device=frames.device)
    carried = (first, start, *(start.clone() for _ in range(parts)))
    _, total, output, *_ = while_loop(unfinished, advance, carried)  # type: ignore[no-untyped-call]
    answer: Tensor = output if last_only else total / length
    return answer


# What torch's cells compute, in operators whose shapes say nothing about the size of a batch.


def _lstm_step(given: Tensor, kept: Tensor, state: State) -> State:
    enter, forget, value, leave = (given + kept).chunk(4, dim=1)
    memory = forget.sigmoid() * state[1] + enter.sigmoid() * value.tanh()
    return leave.sigmoid() * memory.tanh(), memory


def _gru_step(given: Tensor, kept: Tensor, state: State) -> State:
    (reset, update, value), (kept_reset, kept_update, kept_value) = given.chunk(3, dim=1), kept.chunk(3, dim=1)
    keep = (update + kept_update).sigmoid()
    new = (value + (reset + kept_reset).sigmoid() * kept_value).tanh()
    return (keep * state[0] + (1 - keep) * new,)
