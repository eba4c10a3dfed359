"""Blocks that end in a sum, computed by their last convolution: residual and non-local blocks, pairs of convolutions, rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nlreid.layers import NonLocalBlock
from nlreid.optimize.fused_conv import FusedConv3d
from nlreid.optimize.running import is_seen


class FusedPair(nn.Module):
    """Modules one after the other, the last of them a `FusedConv3d` that adds and rectifies.

    Args:
        modules: By name, in order; they are taken, not copied.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor, *, onto: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """What the last gives for `x` and `onto`, see there."""
        *before, last = self.children()
        for module in before:
            x = module(x)
        result: Tensor = last(x, onto=onto, overwrite=overwrite)
        return result


class FusedResidual(nn.Module):
    """`relu(last(before(x)) + downsample(x))`, the sum and the ReLU in the pass of the last convolution.

    Args:
        before: What stands before the last convolution, by name, in order; modules are taken, not copied.
        last: Name of the last convolution, and it, with its ReLU.
        downsample: What is added instead of `x`.
    """

    def __init__(self, before: Mapping[str, nn.Module], last: tuple[str, nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        for name, module in (*before.items(), last):
            self.add_module(name, module)
        self.downsample = downsample
        self._before, self._last = tuple(before), last[0]

    def forward(self, x: Tensor, *, overwrite: bool = False) -> Tensor:
        """What the block answers; in place of `x` where nobody else needs that."""
        y = x
        for name in self._before:
            y = getattr(self, name)(y)
        shortcut = x if self.downsample is None else self.downsample(x)
        overwrite = overwrite or self._makes_its_shortcut()
        result: Tensor = getattr(self, self._last)(y, onto=shortcut, overwrite=overwrite)
        return result

    def _makes_its_shortcut(self) -> bool:
        """Whether what is added is a convolution's result that nobody else sees."""
        if torch.compiler.is_compiling() or type(self.downsample) is not nn.Sequential or is_seen(self.downsample):
            return False
        modules = [module for module in self.downsample if type(module) is not nn.Identity]
        return bool(modules) and type(modules[-1]) is FusedConv3d


class FusedNonLocal(NonLocalBlock):
    """A non-local block whose last convolution adds what came in.

    Args:
        block: The block, its norm folded; its layers are taken, not copied.
    """

    def __init__(self, block: NonLocalBlock) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)

    def forward(self, x: Tensor, *, overwrite: bool = False) -> Tensor:
        """What the block answers; in place of `x` where nobody else needs that."""
        result: Tensor = self.out(self._gathered(x), onto=x, overwrite=overwrite)
        return result


class FusedRow(nn.Sequential):
    """Blocks one after the other, each of which writes over what the one before it gave, where no hook looks at either.

    Args:
        row: The row, whose modules are taken, not copied.
    """

    def __init__(self, row: nn.Sequential) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(row.__dict__)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """What the last block answers; `input` stays as it is."""
        x, ours = input, False  # whether x was made by a block of ours, for the next one alone
        module: nn.Module
        for module in self:
            writes = isinstance(module, FusedResidual | FusedNonLocal) and not torch.compiler.is_compiling()
            if writes and not is_seen(module):
                x, ours = module(x, overwrite=ours), True
            else:
                x, ours = module(x), False
        return x
