"""Colour histograms agree with a loop over pixels, and say what they refuse."""

from collections import Counter
from colorsys import rgb_to_hsv
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from nlreid.data.histograms import colour_histogram
from nlreid.errors import InputError

CHANNELS = st.integers(0, 255) | st.sampled_from([0, 1, 64, 127, 128, 255])  # ends and edges of cells


def slowly(frames, stripes, bins):
    """Pixel by pixel, in exact fractions (colorsys, which divides with `/`, takes them)."""
    length, height, width, _ = frames.shape
    shares = Counter()
    rows = Counter(y * stripes // height for y in range(height))
    for t in range(length):
        for y in range(height):
            for x in range(width):
                hue, saturation, value = exact_hsv(frames[t, y, x].tolist())
                cell = (int(hue * bins[0]), min(int(saturation * bins[1]), bins[1] - 1), int(value * 255 / 256 * bins[2]))
                stripe = y * stripes // height
                shares[(stripe, *cell)] += Fraction(1, length * width * rows[stripe] * stripes)
    return [
        float(shares[stripe, hue, saturation, value]) ** 0.5
        for stripe in range(stripes)
        for hue in range(bins[0])
        for saturation in range(bins[1])
        for value in range(bins[2])
    ]


def exact_hsv(rgb):
    return rgb_to_hsv(*(Fraction(channel, 255) for channel in rgb))


@st.composite
def pictures(draw):
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 3)), 3)
    count = int(np.prod(shape))
    channels = draw(st.lists(CHANNELS, min_size=count, max_size=count))
    return torch.tensor(channels, dtype=torch.uint8).view(shape)


@settings(deadline=None)
@given(frames=pictures(), data=st.data())
def test_it_is_a_count_of_pixels(frames, data):
    stripes = data.draw(st.integers(1, frames.shape[1]))
    bins = tuple(data.draw(st.integers(1, 9)) for _ in range(3))
    histogram = colour_histogram(frames, stripes=stripes, bins=bins, middle=1)
    assert_close(histogram, torch.tensor(slowly(frames, stripes, bins)))
    assert_close(histogram.norm(), torch.tensor(1.0))


def test_every_hue_falls_into_its_cell():
    """Six pure colours in six cells of hue, each one in its own."""
    pure = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)]
    frames = torch.tensor(pure, dtype=torch.uint8).view(1, 1, 6, 3)
    assert_close(colour_histogram(frames, stripes=1, bins=(6, 1, 1), middle=1), torch.full((6,), (1 / 6) ** 0.5))


@pytest.mark.parametrize(
    ("width", "middle", "columns"),
    [
        (10, 0.6, (2, 8)),
        (64, 0.6, (12, 52)),
        (5, 0.6, (1, 4)),
        (3, 0.01, (1, 2)),
        (2, 0.01, (0, 2)),
        (1, 0.5, (0, 1)),
        (7, 1, (0, 7)),
    ],
)
def test_only_the_middle_of_the_width_is_counted(width, middle, columns):
    frames = torch.randint(256, (2, 6, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(width))
    cut = colour_histogram(frames[:, :, slice(*columns)], middle=1)
    assert torch.equal(colour_histogram(frames, middle=middle), cut)


def test_the_order_of_frames_and_mirroring_change_nothing_and_turning_upside_down_does():
    frames = torch.randint(256, (5, 12, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    histogram = colour_histogram(frames)
    assert histogram.shape == (6 * 16 * 4 * 4,)
    assert histogram.dtype == torch.float32
    assert torch.equal(colour_histogram(frames.flip(0)), histogram)
    assert torch.equal(colour_histogram(frames.flip(2)), histogram)
    assert not torch.equal(colour_histogram(frames.flip(1)), histogram)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (np.zeros((1, 6, 2, 3), np.uint8), {}, "torch.Tensor, uint8 RGB .* got ndarray"),
        (torch.zeros(1, 6, 2, 3), {}, "got torch.float32"),
        (torch.zeros(6, 2, 3, dtype=torch.uint8), {}, r"\(6, 2, 3\)"),
        (torch.zeros(0, 6, 2, 3, dtype=torch.uint8), {}, "no empty axis"),
        (torch.zeros(1, 5, 2, 3, dtype=torch.uint8), {}, "6 stripes of pictures 5 pixels high"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"stripes": 0}, "stripes"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"bins": (8, 8)}, "three numbers"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"bins": (8, 0, 8)}, "each of bins"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"bins": (8, 257, 8)}, "at most 256"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"middle": 0}, "middle"),
        (torch.zeros(1, 6, 2, 3, dtype=torch.uint8), {"middle": 1.1}, "middle"),
    ],
)
def test_what_cannot_be_counted_is_refused(frames, options, message):
    with pytest.raises(InputError, match=message):
        colour_histogram(frames, **options)
