"""Values of options, checked while the command line is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that is a whole number in a range; anything else is a usage error that says so.

    >>> whole_number(1)("16")
    16

    Args:
        least: The smallest number allowed.
        most: The largest, where there is one.
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            upto = "" if most is None else f" to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}{upto}")
        return value

    return convert
