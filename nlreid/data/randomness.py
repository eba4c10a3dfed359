"""Random draws from an explicit generator; torch's global one is neither read nor changed."""

from __future__ import annotations

import numpy as np
import torch

from nlreid.errors import InputError


def generator_for(seed: int, *key: int) -> torch.Generator:
    """The generator of one thing that is drawn, such as one item of one epoch: each key has a stream of its own.

    Args:
        seed: Of everything, at least 0.
        key: Which thing this is, numbers of at least 0.
    """
    # as a spawn key: numbers that were simply listed would be padded with zeros, so that (3,) and (3, 0) were one seed
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def below(count: int, generator: torch.Generator) -> int:
    """One of 0..count-1, each equally likely.

    Raises:
        InputError: If `generator` is not a generator of the CPU.
    """
    return int(torch.randint(count, (), generator=checked(generator)))


def between(least: float, most: float, generator: torch.Generator) -> float:
    """A number from `least` to `most`, uniformly.

    Raises:
        InputError: If `generator` is not a generator of the CPU.
    """
    return least + (most - least) * float(torch.rand((), generator=checked(generator), dtype=torch.float64))


def chance(probability: float, generator: torch.Generator) -> bool:
    """True with a probability; one number is drawn even where it is 0 or 1.

    Raises:
        InputError: If `generator` is not a generator of the CPU.
    """
    return between(0, 1, generator) < probability


def checked(generator: torch.Generator) -> torch.Generator:
    """`generator`, if it is one of the CPU.

    Raises:
        InputError: If it is anything else; torch would take None for its global generator.
    """
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise InputError(
            f"generator is a torch.Generator of the CPU; got {generator!r}; torch.Generator().manual_seed(0) is one"
        )
    return generator
