"""Blocks that end in a sum, computed by their last convolution: residual and non-local blocks, and pairs of convolutions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nlreid.layers import NonLocalBlock
from nlreid.optimize.overwriting import may_overwrite


class FusedPair(nn.Module):
    """Modules one after the other, the last of them a `FusedConv3d` that adds and rectifies.

    Args:
        modules: By name, in order; they are taken, not copied.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor, onto: Tensor | None = None, *, overwrite: bool = False) -> Tensor:
        """What the last gives for `x` and `onto`, see there."""
        *before, last = self.children()
        for module in before:
            x = module(x)
        result: Tensor = last(x, onto, overwrite=overwrite)
        return result


class FusedResidual(nn.Module):
    """`relu(last(before(x)) + downsample(x))`, the sum and the ReLU in the pass of the last convolution.

    Args:
        before: What stands before the last convolution, by name, in order; modules are taken, not copied.
        last: Name of the last convolution, and it, with its ReLU.
        downsample: What is added instead of `x`.
        overwrites: Whether its input is for nobody else, while the whole network runs.
    """

    def __init__(
        self, before: Mapping[str, nn.Module], last: tuple[str, nn.Module], downsample: nn.Module | None, *, overwrites: bool
    ) -> None:
        super().__init__()
        for name, module in (*before.items(), last):
            self.add_module(name, module)
        self.downsample = downsample
        self._before, self._last, self._overwrites = tuple(before), last[0], overwrites

    def forward(self, x: Tensor) -> Tensor:
        """What the block answers; in place of `x` where nobody else needs that."""
        y = x
        for name in self._before:
            y = getattr(self, name)(y)
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = getattr(self, self._last)(y, shortcut, overwrite=self._overwrites and may_overwrite())
        return result


class FusedNonLocal(NonLocalBlock):
    """A non-local block whose last convolution adds what came in.

    Args:
        block: The block, its norm folded; its layers are taken, not copied.
        overwrites: Whether its input is for nobody else, while the whole network runs.
    """

    def __init__(self, block: NonLocalBlock, *, overwrites: bool) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)
        self._overwrites = overwrites

    def forward(self, x: Tensor) -> Tensor:
        """What the block answers; in place of `x` where nobody else needs that."""
        result: Tensor = self.out(self._gathered(x), x, overwrite=self._overwrites and may_overwrite())
        return result
