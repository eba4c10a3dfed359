"""Where the non-local blocks stand: behind residual blocks, in the middle stages (paper Sec. 3.2, Fig. 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from nlreid.errors import InputError
from nlreid.inflation.backbone import Backbone3d, insert_after
from nlreid.layers.modes import evaluating
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
    names = [_blocks_of(backbone, holder) for holder in backbone.block_holders]
    blocks = _checked(spec.blocks, [len(stage) for stage in names])
    places: dict[str, str] = {}  # the residual blocks, and what is to stand behind each
    for holder, stage, indices in zip(backbone.block_holders, names, blocks, strict=False):
        for index in indices:
            if f"non_local_{index}" in dict(backbone.get_submodule(holder).named_children()):
                raise InputError(f"{holder}.non_local_{index} stands there already")
            places[f"{holder}.{stage[index]}"] = f"non_local_{index}"
    channels = _output_channels(backbone, places)
    device = next(backbone.parameters()).device
    for after, name in places.items():
        with torch.device(device):  # made where it stands: one without memory costs none
            block = _block(channels[after], spec)
        insert_after(backbone, after, name, block.to(backbone.dtype).train(backbone.training))
    return backbone


def non_local_blocks(network: nn.Module) -> dict[str, NonLocalBlock]:
    """The non-local blocks of a model or a backbone, in the order in which they run, by name: `"layer2.non_local_1"`."""
    named = network.named_modules()
    return {name.removeprefix("backbone."): module for name, module in named if isinstance(module, NonLocalBlock)}


def _blocks_of(backbone: Backbone3d, holder: str) -> list[str]:
    return [name for name, _ in backbone.get_submodule(holder).named_children() if not name.startswith("non_local_")]


def _checked(blocks: tuple[tuple[int, ...], ...] | None, depths: list[int]) -> tuple[tuple[int, ...], ...]:
    if blocks is None:
        blocks = default_blocks(depths)
        if not any(blocks):
            raise InputError(
                f"the paper's non-local blocks stand behind every second residual block, and the stages here have {depths}; "
                "name the places, as in non_local={'blocks': [[], [0], [0], []]}"
            )
    if len(blocks) > len(depths) or not any(blocks):
        raise InputError(f"non-local blocks are listed for each of {len(depths)} stages, at least one in all; got {blocks}")
    for stage, (indices, depth) in enumerate(zip(blocks, depths, strict=False), start=1):
        if len(set(indices)) < len(indices):
            raise InputError(f"stage {stage}: one non-local block stands behind a residual block; got {indices}")
        for index in indices:
            if index >= depth:
                raise InputError(f"stage {stage} has blocks 0 to {depth - 1}; a non-local block cannot stand behind {index}")
    return blocks


def _output_channels(backbone: Backbone3d, names: Collection[str]) -> dict[str, int]:
    """How many channels come out of some modules, by name: the network runs once, of shapes alone, as far as they stand."""
    seen: dict[str, int] = {}

    def noted(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _module, _inputs, output: seen.update({name: output.shape[1]})

    handles = [backbone.get_submodule(name).register_forward_hook(noted(name)) for name in names]
    x = torch.empty(
        (1, backbone.in_channels, backbone.min_frames, backbone.stride, backbone.stride), device="meta", dtype=backbone.dtype
    )
    try:
        with torch.no_grad(), evaluating(backbone):
            for child in backbone.children():
                if len(seen) == len(names):
                    break
                state = {**dict(child.named_parameters()), **dict(child.named_buffers())}
                shapes = {name: tensor.detach().to("meta") for name, tensor in state.items()}
                x = torch.func.functional_call(child, shapes, (x,))
    finally:
        for handle in handles:
            handle.remove()
    return seen


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
