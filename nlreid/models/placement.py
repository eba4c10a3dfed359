"""Where the non-local blocks stand: behind residual blocks, in the middle stages (paper Sec. 3.2, Fig. 4)."""

from __future__ import annotations

import math

import torch

from nlreid.errors import InputError
from nlreid.inflation.backbone import Backbone3d, insert_after
from nlreid.layers.non_local import NonLocalBlock
from nlreid.models.spec import NonLocalSpec

AT_MOST = (0, 2, 3, 0)


def default_blocks(depths: list[int]) -> tuple[tuple[int, ...], ...]:
    """The paper's placement for any depth: behind every other block of the second and third stage, at most two and three.

    >>> default_blocks([3, 4, 6, 3])  # 50 layers
    ((), (1, 3), (1, 3, 5), ())
    >>> default_blocks([3, 4, 23, 3])  # 101 layers: spread evenly where every other block would be too many
    ((), (1, 3), (6, 13, 20), ())

    Args:
        depths: How many blocks each stage has.

    Returns:
        Per stage, the blocks behind which a non-local block stands, counted from 0.
    """
    return tuple(_spread(depth, most) for depth, most in zip(depths, AT_MOST, strict=False))


def _spread(depth: int, most: int) -> tuple[int, ...]:
    odd = tuple(range(1, depth, 2))
    if len(odd) <= most:
        return odd
    return tuple(step * (depth // most) - 1 for step in range(1, most + 1))


def insert_non_local(backbone: Backbone3d, spec: NonLocalSpec) -> Backbone3d:
    """Put non-local blocks into an inflated network; each is the identity until it is trained.

    A block behind residual block i of a stage is that stage's child `non_local_<i>`; nothing else is renamed.

    Args:
        backbone: The network; it is changed.
        spec: Where the blocks stand and what they compute.

    Returns:
        The same network.

    Raises:
        InputError: If a block of `spec.blocks` does not exist, or no block would be inserted.
    """
    names = [[name for name, _ in backbone.get_submodule(holder).named_children()] for holder in backbone.block_holders]
    depths = [len(stage) for stage in names]
    blocks = default_blocks(depths) if spec.blocks is None else spec.blocks
    if len(blocks) > len(depths) or not any(blocks):
        raise InputError(f"non-local blocks are listed for each of {len(depths)} stages, at least one in all; got {blocks}")
    for stage, indices in enumerate(blocks):
        for index in indices:
            if not 0 <= index < depths[stage]:
                raise InputError(
                    f"stage {stage + 1} has blocks 0 to {depths[stage] - 1}; a non-local block cannot stand behind {index}"
                )
            after = f"{backbone.block_holders[stage]}.{names[stage][index]}"
            block = _block(_output_channels(backbone, after), spec).to(next(backbone.parameters()).device)
            insert_after(backbone, after, f"non_local_{index}", block.train(backbone.training))
    return backbone


def _output_channels(backbone: Backbone3d, name: str) -> int:
    seen: list[int] = []
    handle = backbone.get_submodule(name).register_forward_hook(lambda _m, _x, out: seen.append(out.shape[1]))
    device = next(backbone.parameters()).device
    training = backbone.training
    try:
        with torch.no_grad():
            clip = torch.zeros(1, backbone.in_channels, backbone.min_frames, backbone.stride, backbone.stride, device=device)
            backbone.eval()(clip)
    finally:
        handle.remove()
        backbone.train(training)
    return seen[0]


def _block(channels: int, spec: NonLocalSpec) -> NonLocalBlock:
    inner = max(channels // 2, 1)
    width = channels if spec.pairwise == "gaussian" else inner
    scale = 1 / math.sqrt(width) if isinstance(spec.scale, str) else spec.scale
    return NonLocalBlock(
        channels,
        inner,
        pairwise=spec.pairwise,
        scale=scale,
        subsample=spec.subsample,
        subsample_order=spec.subsample_order,
    )
