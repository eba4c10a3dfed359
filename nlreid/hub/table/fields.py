"""What a JSON object must hold, field by field: the check of every description that is read from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from math import isfinite
from typing import Any, NamedTuple

from nlreid.errors import WeightsError, shorten, some_of


class Kind(NamedTuple):
    """What the value of a field may be.

    Args:
        wanted: In words, for messages.
        fits: Whether a value is one.
    """

    wanted: str
    fits: Callable[[Any], bool]


def matching(pattern: str, wanted: str) -> Kind:
    """Texts that match a pattern as a whole."""
    return Kind(wanted, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def one_of(values: Collection[str]) -> Kind:
    """One of a few texts."""
    return Kind(f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in values)


def list_of(kind: Kind, count: int | None = None) -> Kind:
    """Lists whose elements are all of one kind."""
    length = "" if count is None else f"{count} times "
    return Kind(
        f"a list of {length}{kind.wanted}",
        lambda value: isinstance(value, list) and count in (None, len(value)) and all(kind.fits(item) for item in value),
    )


def or_null(kind: Kind) -> Kind:
    """A kind, or nothing known."""
    return Kind(f"{kind.wanted}, or null", lambda value: value is None or kind.fits(value))


def either(first: Kind, second: Kind) -> Kind:
    """One kind or another."""
    return Kind(f"{first.wanted}, or {second.wanted}", lambda value: first.fits(value) or second.fits(value))


def whole(least: int, most: int | None = None) -> Kind:
    """Whole numbers; a bool is none."""
    limit = "" if most is None else f" to {most}"
    return Kind(
        f"a whole number from {least}{limit}",
        lambda value: type(value) is int and value >= least and (most is None or value <= most),
    )


def number(wanted: str, fits: Callable[[float], bool] = isfinite) -> Kind:
    """Finite numbers with a condition."""
    return Kind(wanted, lambda value: type(value) in (int, float) and _is_finite(value) and fits(value))


LARGEST = 2**20  # of whatever has a size: no file can ask for more memory than there is
_LINE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*"  # no control characters, which a terminal would obey
TEXT = matching(rf"(?=.*\S){_LINE}", "a text of one line")
MAYBE_TEXT = matching(_LINE, "a text of one line, which may be empty")
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
CLIP: Mapping[str, Kind] = {
    "frames": whole(1, LARGEST),
    "stride": whole(1, LARGEST),
    "size": list_of(whole(1, LARGEST), 2),
    "mean": list_of(number("a finite number"), 3),
    "std": list_of(number("a number above 0", lambda value: value > 0), 3),
}


def read_object(text: str | bytes, where: object) -> dict[str, Any]:
    """A JSON object, without anything that JSON does not have and without a field that stands twice.

    Raises:
        WeightsError: If the text is anything else.
    """
    try:
        content = json.loads(text, object_pairs_hook=no_name_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: damaged, not JSON that can be read ({shorten(str(error))})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{where}: a JSON object was expected; it holds {type(content).__name__}")
    return content


def check_fields(where: object, content: Any, required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None) -> None:
    """Refuse an object with fields missing, unknown, or of another kind.

    Args:
        where: What it is and where it was read, for messages.
        content: The object.
        required: Kinds of the fields that it must have, by name.
        optional: Kinds of those that it may have.

    Raises:
        WeightsError: If it does not fit; it names the fields.
    """
    kinds = {**required, **(optional or {})}
    if not isinstance(content, dict):
        raise WeightsError(f"{where}: an object with {', '.join(kinds)} was expected; got {_shown(content)}")
    missing, unknown = required.keys() - content.keys(), content.keys() - kinds.keys()
    if missing or unknown:
        problems = (f"{len(names)} fields {what} ({some_of(names)})" for what, names in _named(missing, unknown) if names)
        raise WeightsError(f"{where}: {'; '.join(problems)}; it has {', '.join(kinds)}")
    check_known(where, content, kinds)


def check_known(where: object, content: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """Refuse an object with a field of another kind; which fields it has is not looked at.

    Raises:
        WeightsError: If one does not fit; it names the field.
    """
    for name, kind in kinds.items():
        if name in content and not kind.fits(content[name]):
            raise WeightsError(f"{where}: {name} is {kind.wanted}; got {_shown(content[name])}")


def _named(missing: set[str], unknown: set[str]) -> tuple[tuple[str, set[str]], ...]:
    return ("missing", missing), ("unknown", {repr(name) for name in unknown})


def _shown(value: Any) -> str:
    return shorten(repr(value))


def _is_finite(value: int | float) -> bool:
    return isfinite(value) if isinstance(value, float) else value.bit_length() <= 1000  # a larger one is no float


def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of a JSON object, for a reader that would take the last of several.

    Raises:
        ValueError: If a name stands in it twice.
    """
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"'{shorten(name)}' stands in it twice")
        entries[name] = value
    return entries


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
