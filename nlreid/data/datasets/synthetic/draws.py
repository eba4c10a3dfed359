"""Random columns: as many rows as there are people, tracks or frames, all from one explicit generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Draws:
    """Draws for a fixed number of rows.

    Args:
        count: Rows.
        generator: Where all of them are drawn from; of the CPU, so that every device gets the same.
        device: Where they are wanted.
    """

    count: int
    generator: Generator
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def uniform(self, least: float, most: float, *shape: int) -> Tensor:
        """Uniform numbers, `(count, *shape)`; without a shape `(count, 1)`."""
        return self._unit(*shape) * (most - least) + least

    def normal(self, deviation: float, *shape: int) -> Tensor:
        """Normal numbers around 0, `(count, *shape)`; without a shape `(count, 1)`."""
        return torch.randn(self.count, *(shape or (1,)), generator=self.generator).to(self.device) * deviation

    def chance(self, probability: float) -> Tensor:
        """1 with a probability, else 0: float, `(count, 1)`."""
        return (self._unit() < probability).float()

    def sign(self) -> Tensor:
        """-1 or 1: float, `(count, 1)`."""
        return self.chance(0.5) * 2 - 1

    def choice(self, weights: Tensor | Sequence[float]) -> Tensor:
        """Places in a table, each as often as its weight says: int64, `(count,)`."""
        table = torch.as_tensor(weights, dtype=torch.float32)
        return torch.multinomial(table, self.count, replacement=True, generator=self.generator).to(self.device)

    def _unit(self, *shape: int) -> Tensor:
        return torch.rand(self.count, *(shape or (1,)), generator=self.generator).to(self.device)
