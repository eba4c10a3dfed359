"""The exceptions of the library: each message says what came, what is allowed and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from heapq import nsmallest
from importlib import import_module
from math import isfinite
from numbers import Real
from operator import index
from types import ModuleType

# What torch makes of an error in another process, a worker of a DataLoader: one of the same type, whose message is this and
# the text of the traceback, at whose end the message stands.
_WRAPPED = re.compile(r"Caught \w+ (?:in|on) ([^\n]+)\.\nOriginal Traceback \(most recent call last\):\n")


class NLReIDError(Exception):
    """Base of every error that the library raises on purpose."""

    def __str__(self) -> str:
        """The message, in one line, whatever a path or a file brought into it: a terminal would obey control characters.

        Of an error in a worker of a DataLoader, the message is the first line, and the worker's traceback follows.
        """
        text = super().__str__()
        wrapped = _WRAPPED.match(text)
        if wrapped is None:
            return escaped(text)
        lines = text.rstrip("\n").split("\n")
        message = lines[-1].partition(": ")[2]  # after the name of its class
        return "\n".join(map(escaped, [f"{message} (in {wrapped[1]})", *lines]))


class UnknownNameError(NLReIDError, ValueError):
    """A name (model, tag, plan, override, pairwise function) that does not exist."""


class InputError(NLReIDError, ValueError):
    """A tensor or an argument whose shape, type or value does not fit."""


class InflationError(NLReIDError, TypeError):
    """A 2D network that the rules cannot turn into a 3D one."""


class WeightsError(NLReIDError, RuntimeError):
    """Weights that cannot be found, read or loaded."""


class DownloadError(WeightsError):
    """Weights that could not be fetched: no connection, no such file, no permission, no place to put them."""


class ChecksumError(WeightsError):
    """Weights whose bytes are not those that were published."""


class DataError(NLReIDError, ValueError):
    """A file or folder of input data (video, tracks, frames, embeddings) that cannot be used as it is."""


class ExportError(NLReIDError, RuntimeError):
    """A network that cannot be exported, or whose export answers otherwise."""


class ProcessesError(NLReIDError, RuntimeError):
    """Another one of the processes that share a work failed, or is gone."""


class MissingExtraError(NLReIDError, ImportError):
    """An optional dependency that is not installed."""


def unknown_name(kind: str, given: object, allowed: Iterable[str], hint: str = "") -> UnknownNameError:
    """The error for a name that does not exist, with the nearest valid spelling.

    >>> print(unknown_name("plan", "i3b", ["c2d", "i3d"]))
    unknown plan 'i3b'; did you mean 'i3d'? Allowed: c2d, i3d.

    Args:
        kind: What the name names, for the message.
        given: What came.
        allowed: Every valid name.
        hint: How to list the valid names, where they are too many for a message.
    """
    names = sorted(allowed)
    near = get_close_matches(str(given), names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ";"
    return UnknownNameError(f"unknown {kind} {given!r}{guess} {hint or 'Allowed: ' + ', '.join(names) + '.'}")


def whole_number(name: str, value: object, least: int = 1) -> int:
    """`value` as an int, if it is a whole number (of Python, NumPy or torch) from `least`.

    >>> whole_number("frames", 8)
    8

    Args:
        name: What the number is, for the message.
        value: What came.
        least: The smallest that is allowed.

    Raises:
        InputError: If it is anything else; a bool is no number.
    """
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise InputError(f"{name} is a whole number from {least}; got {value!r}")
    return number


def real_number(name: str, value: object, wanted: str = "a finite number") -> float:
    """`value` as a float, if it is a finite number.

    Args:
        name: What the number is, for the message.
        value: What came.
        wanted: What is allowed, for the message.

    Raises:
        InputError: If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise InputError(f"{name} is {wanted}; got {value!r}")
    return float(value)


def some_of(names: Collection[str], count: int = 3) -> str:
    """A few of many names, sorted, for a message.

    >>> some_of({"b", "a", "d", "c"})
    'a, b, c, …'
    """
    return ", ".join(map(shorten, nsmallest(count, names))) + (", …" if len(names) > count else "")


def shorten(text: str, longest: int = 100) -> str:
    r"""A text that came from a file, fit for a message: in one line, and not too long.

    >>> print(shorten("conv1\n" + "x" * 99, 10))
    conv1\nxx…
    """
    line = escaped(text[:longest])
    return line if len(text) <= longest and len(line) <= longest else f"{line[: longest - 1]}…"


def escaped(text: str) -> str:
    r"""A text without line breaks and other control characters.

    >>> print(escaped("a path\twith\x1b[31m"))
    a path\twith\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def import_extra(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Args:
        module: The module to import, `"av"`.
        extra: The extra that installs it, `"video"`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{module!r} is not installed; install it with: pip install 'nlreid[{extra}]'") from error
