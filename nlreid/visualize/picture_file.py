"""Figures as files, which are there whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlreid.data.disk import as_path
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import InputError, real_number
from nlreid.visualize.figures.style import check_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_JPEG: dict[str, Any] = {"pil_kwargs": {"quality": 92}}
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {  # of matplotlib, and what it is told: no date, so that files compare
    ".png": ("png", {}),
    ".jpg": ("jpeg", _JPEG),
    ".jpeg": ("jpeg", _JPEG),
    ".pdf": ("pdf", {"metadata": {"CreationDate": None}}),
    ".svg": ("svg", {"metadata": {"Date": None}}),
}
DPI = 110
_LARGEST = 65_000  # pixels a side that a JPEG can have, and matplotlib's oldest drawing


def check_picture_path(path: str | Path) -> None:
    """Refuse a place where no picture can be written, before the work whose result it is for.

    Raises:
        InputError: If it is no path, or its ending is of no known format.
        DataError: If no file can be written there.
    """
    _format(as_path("path", path))
    check_writable(path)


def save_picture(figure: Figure, path: str | Path, *, dpi: float = DPI) -> None:
    """Write a figure; whatever goes wrong, Ctrl-C included, an older file of that name stays as it was.

    Args:
        figure: Any figure of matplotlib.
        path: The file; its ending says the format: `.png`, `.jpg`, or, to be enlarged at will, `.pdf` and `.svg`.
        dpi: Pixels to an inch; in `.pdf` and `.svg` those of photographs.

    Raises:
        InputError: If it is no figure, no path, its ending is of no known format, `dpi` is no number above 0, or the picture
            would have more than 65,000 pixels a side.
        DataError: If it cannot be written.
        MissingExtraError: If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    kind, options = _format(as_path("path", path))
    if not isinstance(figure, Figure):
        raise InputError(f"a picture is a matplotlib.figure.Figure, as draw_… answer; got {type(figure).__qualname__}")
    if real_number("dpi", dpi, "a number above 0") <= 0:
        raise InputError(f"dpi is a number above 0; got {dpi!r}")
    pixels = tuple(round(side * dpi) for side in figure.get_size_inches().tolist())
    if kind in ("png", "jpeg") and max(pixels) > _LARGEST:
        raise InputError(
            f"{path}: a picture has at most {_LARGEST} pixels a side, this one would have {pixels[0]} x {pixels[1]}; "
            "draw less of it, lower dpi, or name it .pdf"
        )
    content = BytesIO()
    figure.savefig(content, format=kind, dpi=dpi, facecolor="auto", edgecolor="auto", transparent=False, **options)
    write_whole(path, content.getvalue())


def _format(path: Path) -> tuple[str, dict[str, Any]]:
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise InputError(f"{path}: the ending of a picture's name says its format; wanted one of {', '.join(FORMATS)}")
    return known
