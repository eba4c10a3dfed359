"""What the pictures share: colours, text that fits, photographs in frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from nlreid.errors import escaped

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER: Colour = (255, 255, 255)
INK: Colour = (32, 32, 32)
GREY: Colour = (150, 150, 150)
GREEN: Colour = (0, 158, 115)  # of Okabe and Ito's palette: told from the red by those, too, who see no red
RED: Colour = (213, 50, 20)
MARGIN = 12
LINE = 17  # from one line of text to the next, in pixels
_TEXT = 13


def font(size: int = _TEXT) -> Font:
    """Pillow's own font, which is there wherever Pillow is; it has the signs of English, and boxes for others."""
    return ImageFont.load_default(size)


def put_text(canvas: Image.Image, place: tuple[int, int], text: str, width: int, *, colour: Colour = INK) -> None:
    """Write one line, cut where it is too long.

    Args:
        canvas: What is written on.
        place: Its left and upper edge, in pixels.
        text: What to write; control characters are shown as escapes.
        width: How long it may be, in pixels.
        colour: Of the text.
    """
    ImageDraw.Draw(canvas).text(place, fitting(escaped(text), width), font=font(), fill=colour)


def fitting(text: str, width: int) -> str:
    """As much of a text as fits, with an ellipsis in place of the rest.

    Args:
        text: One line.
        width: How long it may be, in pixels.
    """
    own = font()
    if own.getlength(text) <= width:
        return text
    kept = next((end for end in range(len(text) - 1, 0, -1) if own.getlength(f"{text[:end]}…") <= width), 0)
    return f"{text[:kept]}…"


def put_photograph(
    canvas: Image.Image,
    place: tuple[int, int],
    pixels: NDArray[np.uint8],
    size: tuple[int, int],
    *,
    colour: Colour,
    border: int = 3,
) -> None:
    """Put a photograph, scaled to fit, in the middle of a coloured frame.

    Args:
        canvas: What is drawn on.
        place: Left and upper edge of the photograph's room; the frame lies around it.
        pixels: uint8 RGB, `(h, w, 3)`.
        size: Height and width of the room, in pixels.
        colour: Of the frame.
        border: Its thickness.
    """
    (left, top), (height, width) = place, size
    outer = (left - border, top - border, left + width + border - 1, top + height + border - 1)
    ImageDraw.Draw(canvas).rectangle(outer, outline=colour, width=border)
    photograph = ImageOps.contain(Image.fromarray(pixels), (width, height), Image.Resampling.BICUBIC)
    canvas.paste(photograph, (left + (width - photograph.width) // 2, top + (height - photograph.height) // 2))
