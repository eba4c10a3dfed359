"""Colour histograms of stripes: the description of a person that needs no training, to hold a network against.

Stripes as in Gray & Tao, "Viewpoint Invariant Pedestrian Recognition with an Ensemble of Localized Features" (ECCV 2008).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.errors import InputError, real_number, whole_number

_MOST_BINS = 256  # a channel has no more values


def colour_histogram(
    frames: Tensor, *, stripes: int = 6, bins: tuple[int, int, int] = (16, 4, 4), middle: float = 0.6
) -> Tensor:
    """How often each colour comes in each horizontal stripe of the pictures of one person, over all frames together.

    Colours are cells of hue, saturation and value. Each stripe weighs the same. Only the middle of the width is counted: a
    box is about twice as wide as the person in it, and the rest would say where somebody is, not who.

    The result is the square root of the shares: the scalar product of two results is the Bhattacharyya coefficient of their
    histograms, so that cosine and euclidean distance, which networks are compared by, rank by their Hellinger distance.

    >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(8, 12, 4, 3)
    >>> colour_histogram(red, stripes=4, bins=(2, 1, 1))
    tensor([0.5000, 0.0000, 0.5000, 0.0000, 0.5000, 0.0000, 0.5000, 0.0000])

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        stripes: Into how many stripes the height is divided, as equal as whole rows allow.
        bins: Cells of hue, saturation and value.
        middle: The share of the width that is counted, as many columns left out on the left as on the right.

    Returns:
        float32 `(stripes * hues * saturations * values,)` of length one.

    Raises:
        InputError: If `frames` has another type or shape, or fewer rows than `stripes`; if a number is not whole, is below 1,
            or `bins` has one above 256; if `middle` is not above 0 and at most 1.
    """
    _check(frames)
    stripes = whole_number("stripes", stripes)
    height, width = frames.shape[1:3]
    if height < stripes:
        raise InputError(f"a stripe has at least one row; got {stripes} stripes of pictures {height} pixels high")
    if not 0 < real_number("middle", middle) <= 1:
        raise InputError(f"middle is a share of the width, above 0 and at most 1; got {middle!r}")
    hues, saturations, values = _checked_bins(bins)
    outside = min(int(width * (1 - middle) / 2), (width - 1) // 2)  # at least a column remains
    cells = hues * saturations * values
    hue, saturation, value = _places(frames[:, :, outside : width - outside], hues, saturations, values)  # (t, h, w) each
    colour = (hue * saturations + saturation) * values + value
    stripe = torch.arange(height, device=frames.device) * stripes // height  # (h,)
    counts = torch.bincount((stripe[:, None] * cells + colour).flatten(), minlength=stripes * cells)
    shares = counts.view(stripes, cells).double()
    shares /= shares.sum(1, keepdim=True) * stripes  # all of them sum to one, so that their roots have length one
    return shares.sqrt().flatten().float()


def _places(frames: Tensor, hues: int, saturations: int, values: int) -> tuple[Tensor, Tensor, Tensor]:
    """In which cell of hue, of saturation and of value each pixel is, in whole numbers, so that no cell depends on rounding."""
    red, green, blue = frames.long().unbind(-1)
    most = torch.maximum(torch.maximum(red, green), blue)
    spread = most - torch.minimum(torch.minimum(red, green), blue)
    sixth = spread.clamp(min=1)  # a sixth of the circle of hues, in the units of this pixel; grey is at its beginning
    angle = torch.where(
        most == red,
        (green - blue) % (6 * sixth),
        torch.where(most == green, 2 * spread + blue - red, 4 * spread + red - green),
    )
    hue = angle * hues // (6 * sixth)
    saturation = (spread * saturations // most.clamp(min=1)).clamp(max=saturations - 1)
    value = most * values // 256
    return hue, saturation, value


def _check(frames: Tensor) -> None:
    if not isinstance(frames, Tensor):
        raise InputError(f"frames are a torch.Tensor, uint8 RGB (t, h, w, 3); got {type(frames).__qualname__}")
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or frames.numel() == 0:
        raise InputError(
            f"frames must be uint8 RGB pictures (t, h, w, 3) with no empty axis; got {frames.dtype} {tuple(frames.shape)}"
        )


def _checked_bins(bins: tuple[int, int, int]) -> list[int]:
    if not isinstance(bins, tuple | list) or len(bins) != 3:
        raise InputError(f"bins are three numbers, of hue, saturation and value; got {bins!r}")
    numbers = [whole_number("each of bins", number) for number in bins]
    if max(numbers) > _MOST_BINS:
        raise InputError(f"each of bins is at most {_MOST_BINS}, as many values as a channel has; got {bins!r}")
    return numbers
