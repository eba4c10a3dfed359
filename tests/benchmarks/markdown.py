"""Tables as Markdown, and their place in a page."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Table = tuple[str, list[str], list[list[str]]]


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A heading and a table; columns are as wide as their widest cell, numbers to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    right = [all(_is_number(row[column]) for row in rows) and bool(rows) for column in range(len(header))]
    lines = [_line(header, widths, right)]
    rules = ("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True))
    lines.append("|" + "|".join(rules) + "|")
    lines += [_line(row, widths, right) for row in rows]
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


def replace_generated(page: Path, generated: str) -> None:
    """Put what was measured between the two marks of a page; the rest of it stays as it is.

    Raises:
        ValueError: If the page does not have each mark once, in order.
    """
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{page} has no part to replace: it wants {BEGIN} and, below it, {END}, once each")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{generated.strip()}\n\n{END}{rest.split(END)[1]}")


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = (cell.rjust(w) if to_right else cell.ljust(w) for cell, w, to_right in zip(cells, widths, right, strict=True))
    return "| " + " | ".join(padded) + " |"


def _is_number(cell: str) -> bool:
    return cell in ("", "-", "exponent") or cell[:1].isdigit() or cell[:1] in "-^"


def time_of(seconds: object) -> str:
    """Milliseconds; what is no time (a contender left out, or wrong) is said as it is."""
    return f"{seconds * 1000:,.1f}" if isinstance(seconds, float) else _said(seconds)


def times(reference: object, contender: object, aim: float | None = None) -> str:
    """How many times faster, or less, the contender is than the reference, and whether that meets the aim."""
    if not isinstance(reference, float) or not isinstance(contender, float):
        return "-"
    return _judged(reference / contender, aim, f"{reference / contender:.2f}")


def share(operations: object, seconds: object, rate: object, aim: float | None = None) -> str:
    """The operations a second as a share of the machine's rate, and whether that meets the aim."""
    if not all(isinstance(number, float | int) for number in (operations, seconds, rate)):
        return "-"
    reached = operations / seconds / rate  # type: ignore[operator]
    return _judged(reached, aim, f"{reached:.0%}")


def part_of(contender: object, reference: object, aim: float | None = None) -> str:
    """How much of the reference's the contender's is, and whether that is at most the aim."""
    if not isinstance(reference, float) or not isinstance(contender, float):
        return "-"
    shown = f"{contender / reference:.2f}"
    return shown if aim is None else _judged(-contender / reference, -aim, shown)


def _judged(reached: float, aim: float | None, shown: str) -> str:
    return shown if aim is None else f"{shown} {'met' if reached >= aim else 'missed'}"


def _said(value: object) -> str:
    return "-" if value is None else str(value)
