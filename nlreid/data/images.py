"""Image files: which files of a folder are pictures, in which order, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nlreid.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class FramePaths(Sequence[Path]):
    """The image files of one tracklet, as their folder and their names: a million whole paths would take a gigabyte.

    Args:
        folder: Where they lie.
        names: Their names, in time order.
    """

    __slots__ = ("folder", "names")

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> FramePaths: ...
    def __getitem__(self, index: int | slice) -> Path | FramePaths:
        if isinstance(index, slice):
            return FramePaths(self.folder, self.names[index])
        return self.folder / self.names[index]


def read_image(path: Path) -> NDArray[np.uint8]:
    """One image file as RGB, upright: the orientation that a camera noted in the file is applied.

    Returns:
        uint8, `(h, w, 3)`.

    Raises:
        DataError: If the file is missing or is not a whole image.
    """
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises each of them
        raise DataError(f"{path}: not a readable image ({error})") from error


def image_files(folder: Path) -> list[Path]:
    """The image files that lie directly in a folder, in natural order (2.jpg before 10.jpg); hidden files are not seen.

    Raises:
        DataError: If the folder cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise DataError(f"{folder}: not a folder that can be read ({error})") from error
    return [path for path in entries if _is_image_name(path.name) and path.is_file()]


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key under which numbers inside a name count as numbers.

    >>> sorted(["10.jpg", "2.jpg", "a1.jpg", "02.jpg"], key=natural_key)
    ['02.jpg', '2.jpg', '10.jpg', 'a1.jpg']
    """
    # split() with a group alternates text and digits and starts with text, so equal places compare equal types
    parts: list[str | int] = [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]
    return parts, name


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
