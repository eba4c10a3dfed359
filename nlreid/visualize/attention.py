"""Where a point of a clip looks: what a non-local block gathers for it from all frames (paper Fig. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from nlreid.errors import InputError, unknown_name, whole_number
from nlreid.layers.modes import evaluating
from nlreid.layers.non_local import NonLocalBlock
from nlreid.models.network import VideoReID
from nlreid.models.placement import non_local_blocks

Point = tuple[int, int, int]
_TINY = torch.finfo(torch.float32).tiny


class Connection(NamedTuple):
    """From where a point takes much: the middle of a position, in pixels of the frames, and what is taken."""

    frame: int
    y: float
    x: float
    weight: float


@dataclass(frozen=True, eq=False)
class Attention:
    """What some points of a clip gather from where.

    Args:
        block: Name of the non-local block, as `nlreid info` has it.
        frames: The clip, as it was given: uint8 RGB `(t, h, w, 3)`.
        points: The points: frame, y and x, in pixels of `frames`.
        weights: What each point's position takes from each position of the block, float32 `(p, t', h', w')`. Softmax
            affinities sum to 1 over the positions; the others may be negative.
        added: The length of what the block then adds at each point's position, as a share of the length of the feature that
            it is added to, float32 `(p,)`; 0 of a block that is the identity.
    """

    block: str
    frames: Tensor
    points: tuple[Point, ...]
    weights: Tensor
    added: Tensor

    def on_frames(self) -> Tensor:
        """The weights spread over the pixels of the frames, for a picture: float32 `(p, t, h, w)`.

        Of several frames that the network has joined to one position in time, each shows its weight.
        """
        t, h, w = self.frames.shape[:3]
        places = self._places(t)
        spread = F.interpolate(self.weights.flatten(0, 1)[:, None], (h, w), mode="bilinear", align_corners=False)
        return spread.view(*self.weights.shape[:2], h, w)[:, places]

    def strongest(self, count: int) -> list[list[Connection]]:
        """The positions that each point takes most from, the most first; only those with a weight above 0.

        A position that joins several frames is named by the first of them.

        Args:
            count: How many to give at most, of each point.

        Raises:
            InputError: If `count` is no whole number from 1.
        """
        count = whole_number("count", count)
        t, h, w = self.frames.shape[:3]
        first = torch.searchsorted(self._places(t), torch.arange(self.weights.shape[1])).tolist()
        high, wide = h / self.weights.shape[2], w / self.weights.shape[3]
        found = []
        for weights in self.weights:
            values, rows = weights.flatten().sort(descending=True, stable=True)
            chosen = [row for value, row in zip(values[:count].tolist(), rows.tolist(), strict=False) if value > 0]
            places = (torch.unravel_index(torch.tensor(row), weights.shape) for row in chosen)
            found.append(
                [
                    Connection(first[frame], (int(y) + 0.5) * high, (int(x) + 0.5) * wide, float(weights[frame, y, x]))
                    for frame, y, x in places
                ]
            )
        return found

    def _places(self, t: int) -> Tensor:
        """The position in time of each of `t` frames."""
        return torch.arange(t) * self.weights.shape[1] // t


def attend(model: VideoReID, frames: Tensor, points: Sequence[Point], *, block: str | None = None) -> Attention:
    """What the non-local block gathers for the asked points of a clip.

    Only the rows of the asked points are computed, not the affinities of all pairs. A block that has not been trained is the
    identity: it adds nothing of what it gathers (`added` is 0), and what it looks at is chance.

    >>> import nlreid
    >>> frames = torch.zeros(8, 64, 32, 3, dtype=torch.uint8)
    >>> seen = attend(nlreid.create_model("test_r3d_nl"), frames, [(0, 20, 16)])
    >>> seen.block, seen.weights.shape, seen.on_frames().shape
    ('layer2.non_local_0', torch.Size([1, 4, 8, 4]), torch.Size([1, 8, 64, 32]))

    Args:
        model: A network with non-local blocks. It runs in evaluation mode, where it is.
        frames: One clip, uint8 RGB `(t, h, w, 3)`; it is resized to what the model wants.
        points: Frame, y and x of each point, in pixels of `frames`, from 0.
        block: Name of the block; by default the first, whose positions are the finest.

    Raises:
        InputError: If the model has no non-local block, `frames` are no clip or too few for it, a point lies outside, or what
            the block computes is not finite.
        UnknownNameError: If there is no such block.
    """
    name, module = _block(model, block)
    if not isinstance(frames, Tensor):
        raise InputError(f"frames are one tensor, as Tracklet.read gives; got {type(frames).__qualname__}")
    clip = model.clip_spec.transform()(frames)[None]  # 1 3 t h w
    chosen = _checked(points, frames)
    passed: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _module, given, result: passed.append((given[0], result)))
    weight = next(model.parameters())
    try:
        with evaluating(model), torch.inference_mode():
            model.forward_features(clip.to(weight.device, weight.dtype))
            ((x, out),) = passed  # 1 c t' h' w' each
            positions = _positions(chosen, frames, x)
            rows = module.attention(x, positions)[0]  # p t' h' w'
    finally:
        handle.remove()
    if not rows.isfinite().all():
        raise InputError(f"what {name!r} computes is not finite; are the weights? In float16, try bfloat16 or float32")
    t, h, w = torch.tensor(positions).unbind(1)
    before, added = ((tensor[0, :, t, h, w]).float().norm(dim=0) for tensor in (x, out - x))
    return Attention(name, frames, tuple(chosen), rows.float().cpu(), (added / before.clamp_min(_TINY)).cpu())


def _block(model: object, name: str | None) -> tuple[str, NonLocalBlock]:
    if not isinstance(model, VideoReID):
        raise InputError(f"the model is one of nlreid.create_model; got {type(model).__qualname__}")
    blocks = non_local_blocks(model)
    if not blocks:
        raise InputError(f"{model.name!r} has no non-local block; nlreid.list_models('*_nl') lists the models that have")
    if name is None:
        return next(iter(blocks.items()))
    if name not in blocks:
        raise unknown_name(f"non-local block of {model.name!r}", name, blocks)
    return name, blocks[name]


def _checked(points: Sequence[Point], frames: Tensor) -> list[Point]:
    try:
        places = torch.as_tensor(points)
    except (TypeError, ValueError, RuntimeError):  # of what has no numbers, or not as many everywhere
        places = torch.empty(0)
    if places.ndim != 2 or places.shape[1] != 3 or places.dtype not in (torch.int64, torch.int32):
        raise InputError(f"points are (frame, y, x) triples of whole numbers, at least one; got {points!r:.80}")
    size = torch.tensor(frames.shape[:3])
    outside = ((places < 0) | (places >= size)).any(dim=1)
    if outside.any():
        raise InputError(
            f"point {tuple(places[outside][0].tolist())} lies outside the clip; "
            f"frame, y and x are from 0 to below {tuple(size.tolist())}"
        )
    return [(t, y, x) for t, y, x in places.tolist()]


def _positions(points: Sequence[Point], frames: Tensor, x: Tensor) -> list[Point]:
    """The positions of the feature map `(1, c, t', h', w')` in whose share of the clip the points lie."""
    scaled = torch.tensor(points) * torch.tensor(x.shape[2:]) // torch.tensor(frames.shape[:3])
    return [(t, h, w) for t, h, w in scaled.tolist()]
