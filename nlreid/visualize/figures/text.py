"""Names and titles as matplotlib shows them: as they are, in the room that there is."""

from __future__ import annotations

from typing import Any

from nlreid.errors import escaped

_POINTS = 72  # an inch has


def plain(text: str) -> str:
    r"""A text in one line, with control characters as escapes.

    >>> print(plain("a name\n"))
    a name\n
    """
    return escaped(text)


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """How long a text is, in inches.

    Args:
        text: One line.
        size: Of its font, in points.
        weight: Of its font.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), ismath=False)
    return float(width) / _POINTS


def fitting(text: str, room: float, size: float, weight: str = "normal") -> str:
    """As much of a text as fits: where it is too long, an ellipsis stands for its middle, since names differ at their ends.

    Args:
        text: One line.
        room: How long it may be, in inches.
        size: Of its font, in points.
        weight: Of its font.
    """
    if width_of(text, size, weight) <= room:
        return text
    least, most = 0, len(text) - 1  # signs that are kept: so many fit, and more than so many do not
    while least < most:
        kept = (least + most + 1) // 2
        least, most = (kept, most) if width_of(_shortened(text, kept), size, weight) <= room else (least, kept - 1)
    return _shortened(text, least)


def _shortened(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def words(**options: Any) -> dict[str, Any]:
    """The options of a text that is no mathematics: a name may hold dollar signs and backslashes."""
    return {"parse_math": False, "usetex": False, **options}
