"""How much there is to compute, before anything is: operations, and from them and one measured epoch the time that is left."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass

import nlreid
from nlreid.cli.info import multiply_adds
from nlreid.models.pretrained import aliases

PASSES = 3  # a backward pass costs about two forward passes


@dataclass(frozen=True)
class Cost:
    """What a row's training costs; evaluation comes on top.

    Args:
        clip: Multiply-adds of a clip, forwards.
        clips: How many clips are trained on.
    """

    clip: float
    clips: int

    @property
    def operations(self) -> float:
        """Of the whole training, a multiply-add counted as two."""
        return 2 * PASSES * self.clip * self.clips


def cost_of(arguments: Namespace, identities: int) -> Cost:
    """The cost of a row.

    Args:
        arguments: Of its training.
        identities: How many people there are to train on; an epoch shows each once, with K tracklets.
    """
    per_epoch = identities * arguments.k
    clips = arguments.epochs * per_epoch if arguments.steps is None else arguments.steps * arguments.p * arguments.k
    entry = aliases(arguments.model).get(arguments.pretrained)  # whose non-local blocks may be cheaper
    clip = {name: value for name in ("frames", "stride", "size") if (value := getattr(arguments, name))}
    model = nlreid.create_model(entry.name if entry else arguments.model, **({"clip": clip} if clip else {}))
    return Cost(multiply_adds(model.eval()), clips)


def duration(seconds: float) -> str:
    """A time in words, to two digits.

    >>> [duration(s) for s in (7.4, 95, 4000, 200_000)]
    ['7 s', '1.6 min', '1.1 h', '2.3 days']
    """
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
