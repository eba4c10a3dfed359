"""Image files: which files of a folder are pictures, in which order, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nlreid.data.disk import contents
from nlreid.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # of Pillow, 8 bits a channel or fewer
_ORIENTATION = 0x0112  # of EXIF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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

    Grey pictures of 16 bits become 8 bits by a factor of 1/257, rounded, so that white stays white. An orientation that
    cannot be read, in a damaged EXIF block, counts as none.

    Returns:
        uint8, `(h, w, 3)`.

    Raises:
        DataError: If the file is missing, is not a whole image, or has pixels of floats or of 32 bits, whose black and white
            are not known.
    """
    try:
        with Image.open(path) as image:
            picture = _eight_bits(image, path)
            method = _UPRIGHT.get(_orientation(image))
            return np.array((picture if method is None else picture.transpose(method)).convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # damaged bytes raise whatever they lead to, in Pillow's reader of each format
        raise DataError(f"{path}: not a readable image ({error or type(error).__name__})") from error


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    image.load()
    if image.mode in _MODES:
        return image
    # PNG and PGM hold no more than 16 bits, which some versions of Pillow give as 32
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray(np.rint(np.array(image) / 257).astype(np.uint8))
    raise DataError(
        f"{path}: an image of mode {image.mode}; wanted {', '.join(_MODES)}, or grey of 16 bits: convert it, for only you "
        "know which of its values are black and white"
    )


def _orientation(image: Image.Image) -> Any:
    """What the EXIF block says of it; the rest of the block, which may be damaged, is not looked at."""
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # the picture itself is whole
        return None


def image_files(folder: Path) -> list[Path]:
    """The image files that lie directly in a folder, in natural order (2.jpg before 10.jpg); hidden files are not seen.

    Raises:
        DataError: If the folder cannot be listed.
    """
    return [folder / name for name in sorted(filter(is_image_name, contents(folder).files), key=natural_key)]


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key under which numbers inside a name count as numbers.

    >>> sorted(["10.jpg", "2.jpg", "a1.jpg", "02.jpg"], key=natural_key)
    ['02.jpg', '2.jpg', '10.jpg', 'a1.jpg']
    """
    # split() with a group alternates text and digits and starts with text, so equal places compare equal types
    parts: list[str | int] = [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]
    return parts, name


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for a picture: by its suffix, in any case, and not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
