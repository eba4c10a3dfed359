"""Sums and ReLUs computed by the convolutions before them, in the same pass over memory."""

from __future__ import annotations

from typing import TypeGuard

from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from nlreid.layers import Conv3d, FactorisedConv3d, NonLocalBlock, SeparableConv3d
from nlreid.optimize.fused_conv import FusedConv3d
from nlreid.optimize.readers import is_linear, is_plain, is_watched, named_once, sole_readers
from nlreid.optimize.residual import FusedNonLocal, FusedPair, FusedResidual, FusedRow

BLOCKS: dict[type[nn.Module], tuple[tuple[str, ...], str, str, str]] = {
    # what timm's residual blocks run before the last convolution, it, its norm, and the ReLU behind the sum
    Bottleneck: (("conv1", "bn1", "act1", "conv2", "bn2", "drop_block", "act2", "aa"), "conv3", "bn3", "act3"),
    BasicBlock: (("conv1", "bn1", "drop_block", "act1", "aa"), "conv2", "bn2", "act2"),
}
PAIRS = (FactorisedConv3d, SeparableConv3d)
FUSED = (FusedResidual, FusedNonLocal)


def fuse(network: nn.Module, clip: Tensor) -> None:
    """Have convolutions compute the ReLUs behind them and the sums that blocks end in; the network is changed.

    Blocks of other kinds than timm's plain residual ones keep their sums, and modules with hooks are left as they are.

    Args:
        network: The network, in evaluation mode, its norms folded.
        clip: A clip that it takes, on the device `"meta"`.
    """
    pairs = [(network.get_submodule(layer), layer, act) for layer, act in sole_readers(network, clip, (nn.ReLU,))]
    rectified = {layer: act for conv, layer, act in pairs if _is_conv(conv) and type(network.get_submodule(act)) is nn.ReLU}
    for name, module in named_once(network):
        if _is_conv(module):
            network.set_submodule(name, FusedConv3d(module, relu=name in rectified))
    for act in rectified.values():
        network.set_submodule(act, nn.Identity())
    for name, module in named_once(network):
        if type(module) in PAIRS and _is_free(module) and isinstance(list(module.children())[-1], FusedConv3d):
            network.set_submodule(name, FusedPair(dict(module.named_children())))
    for name, module in named_once(network):
        if isinstance(module, BasicBlock | Bottleneck) and type(module) in BLOCKS:
            _fuse_residual(network, name, module)
        elif type(module) is NonLocalBlock:
            _fuse_non_local(network, name, module)
    for name, module in named_once(network):
        if type(module) is nn.Sequential and _is_free(module) and any(isinstance(part, FUSED) for part in module):
            network.set_submodule(name, FusedRow(module))
    network.eval()


def _fuse_residual(network: nn.Module, name: str, block: BasicBlock | Bottleneck) -> None:
    before, last, norm, act = BLOCKS[type(block)]
    children = {part: block.get_submodule(part) for part in (*before, last, norm, act)}
    plain = block.se is None and (block.drop_path is None or type(block.drop_path) is nn.Identity)
    ends = isinstance(children[last], FusedConv3d | FusedPair) and type(children[norm]) is nn.Identity
    if not (plain and ends and type(children[act]) is nn.ReLU) or not all(_is_free(part) for part in block.modules()):
        return
    conv = children[last]
    final = conv if isinstance(conv, FusedConv3d) else list(conv.children())[-1]
    assert isinstance(final, FusedConv3d)
    if final.relu:  # before the sum
        return
    final.relu = True
    network.set_submodule(name, FusedResidual({part: children[part] for part in before}, (last, conv), block.downsample))


def _fuse_non_local(network: nn.Module, name: str, block: NonLocalBlock) -> None:
    norm, out = block.get_submodule("norm"), block.out
    if isinstance(out, FusedConv3d) and not out.relu and type(norm) is nn.Identity and _is_free(norm) and _is_free(block):
        network.set_submodule(name, FusedNonLocal(block))


def _is_free(module: nn.Module) -> bool:
    """Whether a module runs what its type says, and nobody looks."""
    return is_plain(module) and not is_watched(module)


def _is_conv(module: nn.Module) -> TypeGuard[Conv3d]:
    """Whether a module is a convolution of ours, padded with zeros, into which nobody looks."""
    return (
        isinstance(module, Conv3d)
        and is_linear(module)
        and not is_watched(module)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )
