"""What is on a figure, read from its artists: frames, photographs, signs and texts, in inches from the upper left."""

from typing import NamedTuple

import matplotlib.colors
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other, slack=0.02):
        return (
            self.left - slack <= other.left
            and self.top - slack <= other.top
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )

    def meets(self, other, slack=0.005):
        across = min(self.right, other.right) - max(self.left, other.left)
        return across > slack and min(self.bottom, other.bottom) - max(self.top, other.top) > slack


def sheet(figure):
    width, height = figure.get_size_inches()
    return Box(0, 0, width, height)


def frames(figure):
    """Colour, line style and box of each frame of a photograph, in the order in which they were drawn."""
    (axes,) = figure.axes
    found = []
    for patch in axes.patches:
        assert isinstance(patch, Rectangle)
        x, y = patch.get_xy()
        colour = matplotlib.colors.to_hex(patch.get_edgecolor())
        found.append((colour, patch.get_linestyle(), Box(x, y, x + patch.get_width(), y + patch.get_height())))
    return found


def photographs(figure):
    """Pixels and box of each photograph."""
    (axes,) = figure.axes
    found = []
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        found.append((image.get_array().filled(), Box(left, top, right, bottom)))
    return found


def drawn(figure, label):
    """The lines of a label, as lists of (x, y)."""
    (axes,) = figure.axes
    return [line.get_xydata().tolist() for line in axes.lines if line.get_label() == label]


def texts(figure):
    """Each text and the box of its letters."""
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    height, dpi = figure.get_size_inches()[1], figure.dpi
    found = []
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        found.append((text.get_text(), Box(box.x0 / dpi, height - box.y1 / dpi, box.x1 / dpi, height - box.y0 / dpi)))
    return found


def check_legible(figure):
    """Everything lies on the sheet, and no text on another or on a photograph."""
    whole, written = sheet(figure), [(text, box) for text, box in texts(figure) if text]
    taken = [box for _, _, box in frames(figure)]
    for place, (text, box) in enumerate(written):
        assert whole.holds(box), text
        for other, another in written[:place]:
            assert not box.meets(another), (text, other)
        assert not any(box.meets(room) for room in taken), text
    assert all(whole.holds(room) for room in taken)
