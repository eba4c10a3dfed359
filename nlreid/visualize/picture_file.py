"""Pictures as files, which are there whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from nlreid.data.disk import as_path
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_QUALITY, _LARGEST = 92, 65_500  # of JPEG; in pixels a side


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
        InputError: If it is no path, its ending is of no known format, or the picture is too large for a JPEG.
        DataError: If it cannot be written.
    """
    kind, content = _format(as_path("path", path)), BytesIO()
    if kind == "JPEG" and max(picture.size) > _LARGEST:
        raise InputError(f"{path}: a JPEG has at most {_LARGEST} pixels a side, the picture {picture.size}; name it .png")
    picture.save(content, kind, quality=_QUALITY)
    write_whole(path, content.getvalue())


def _format(path: Path) -> str:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: the ending of a picture's name says its format; wanted one of {', '.join(FORMATS)}")
    return kind
