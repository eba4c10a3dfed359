"""The colours that clothes, hair and skin have, and how often: dark coats and jeans are the rule."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.draws import Draws

Use = Literal["upper", "lower", "shoe"]

# Weight as upper garment, as lower garment, as shoe; then hue, saturation and value, each 0..1.
_GARMENTS = {
    "black": (0.22, 0.24, 0.36, 0.60, 0.08, 0.07),
    "charcoal": (0.08, 0.07, 0.08, 0.60, 0.06, 0.19),
    "navy": (0.09, 0.07, 0.05, 0.62, 0.50, 0.17),
    "grey": (0.08, 0.06, 0.09, 0.60, 0.05, 0.45),
    "white": (0.09, 0.03, 0.18, 0.10, 0.04, 0.86),
    "brown": (0.05, 0.03, 0.12, 0.06, 0.50, 0.27),
    "beige": (0.05, 0.07, 0.06, 0.10, 0.30, 0.62),
    "red": (0.07, 0.01, 0.02, 0.99, 0.80, 0.58),
    "burgundy": (0.03, 0.01, 0.01, 0.96, 0.65, 0.30),
    "blue": (0.07, 0.02, 0.02, 0.60, 0.60, 0.45),
    "sky": (0.03, 0.01, 0.00, 0.57, 0.33, 0.70),
    "green": (0.04, 0.01, 0.00, 0.38, 0.50, 0.35),
    "olive": (0.03, 0.03, 0.01, 0.17, 0.40, 0.30),
    "yellow": (0.02, 0.00, 0.00, 0.14, 0.75, 0.85),
    "pink": (0.03, 0.00, 0.01, 0.93, 0.42, 0.80),
    "purple": (0.02, 0.00, 0.00, 0.78, 0.45, 0.40),
    "orange": (0.02, 0.00, 0.00, 0.06, 0.85, 0.80),
    "indigo denim": (0.01, 0.12, 0.00, 0.62, 0.45, 0.24),
    "denim": (0.02, 0.17, 0.00, 0.60, 0.42, 0.42),
    "pale denim": (0.01, 0.08, 0.00, 0.58, 0.28, 0.62),
    "teal": (0.02, 0.00, 0.00, 0.48, 0.55, 0.40),
}
_TABLE = torch.tensor(list(_GARMENTS.values()))
_SPREAD = (0.02, 0.10, 0.07)  # standard deviation of hue, saturation and value
_COLUMN: dict[Use, int] = {"upper": 0, "lower": 1, "shoe": 2}

HAIR = torch.tensor(
    [
        [0.05, 0.04, 0.04],
        [0.12, 0.08, 0.06],
        [0.24, 0.15, 0.09],
        [0.42, 0.29, 0.16],
        [0.68, 0.54, 0.34],
        [0.55, 0.54, 0.53],
        [0.40, 0.17, 0.08],
    ]
)
SKIN = torch.tensor([[0.86, 0.68, 0.58], [0.78, 0.58, 0.47], [0.66, 0.46, 0.35], [0.48, 0.32, 0.24], [0.32, 0.21, 0.16]])
SOLES = torch.tensor([[0.1, 0.1, 0.1], [0.3, 0.25, 0.2], [0.85, 0.85, 0.85]])


def cloth(draws: Draws, use: Use) -> Tensor:
    """Colours of garments, RGB 0..1, `(count, 3)`."""
    rows = _TABLE[draws.choice(_TABLE[:, _COLUMN[use]]), 3:]
    return hsv_to_rgb(rows + draws.normal(1.0, 3) * torch.tensor(_SPREAD))


def near(draws: Draws, table: Tensor) -> Tensor:
    """Colours of a table, each row equally likely, a little lighter or darker: RGB 0..1, `(count, 3)`."""
    return (table[draws.choice(torch.ones(len(table)))] * draws.uniform(0.85, 1.15)).clamp(0.02, 1)


def hsv_to_rgb(colours: Tensor) -> Tensor:
    """Hue, saturation and value to red, green and blue, all 0..1 along the last axis; hue wraps, the others are clamped.

    >>> hsv_to_rgb(torch.tensor([[0.0, 1.0, 1.0], [1 / 3, 1.0, 1.0]])).round().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    hue, saturation, value = colours[..., :1] % 1, colours[..., 1:2].clamp(0, 1), colours[..., 2:].clamp(0.02, 1)
    k = (torch.tensor([5.0, 3.0, 1.0]) + hue * 6) % 6
    return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)
