"""Pictures as files, which are there whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from nlreid.data.disk import as_path
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_QUALITY = 92  # of JPEG


def check_picture_path(path: str | Path) -> None:
    """Refuse a place where no picture can be written, before the work whose result it is for.

    Raises:
        InputError: If it is no path, or its ending is of no known format.
        DataError: If no file can be written there.
    """
    _format(as_path("path", path))
    check_writable(path)


def save_picture(picture: Image.Image, path: str | Path) -> None:
    """Write a picture; whatever goes wrong, Ctrl-C included, an older file of that name stays as it was.

    Args:
        picture: RGB.
        path: The file; its ending says the format, `.png` or `.jpg`.

    Raises:
        InputError: If it is no path, or its ending is of no known format.
        DataError: If it cannot be written.
    """
    content = BytesIO()
    picture.save(content, _format(as_path("path", path)), quality=_QUALITY)
    write_whole(path, content.getvalue())


def _format(path: Path) -> str:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: the ending of a picture's name says its format; wanted one of {', '.join(FORMATS)}")
    return kind
