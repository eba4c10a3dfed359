"""Embeddings as a map: where persons lie, and how far their cameras pull them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError
from nlreid.evaluation.labelled import JUNK, whole_numbers
from nlreid.visualize.figures import style
from nlreid.visualize.figures.text import words
from nlreid.visualize.projection import Projection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (5.2, 4.2)  # inches
_OTHERS = "#b0b0b0"
_MARKERS = (*style.MARKERS, "<", ">", "*", "d")  # of cameras; from the twelfth on they come again
_MANY = 300  # so many points are drawn smaller


def draw_embedding_map(projection: Projection, *, persons: Sequence[int] | None = None) -> Figure:
    """Draw embeddings as points: a camera is a marker; a person a colour, a number, and lines from the middle to its points.

    More persons than there are colours cannot be told apart by them: some stand out, and all others are small and grey.

    Args:
        projection: From `project`.
        persons: Whose pids stand out, at most seven. By default those with the most points, of equally many the lowest pids.

    Returns:
        A `matplotlib.figure.Figure`, for `save_picture` or a notebook.

    Raises:
        InputError: If `projection` is none, or `persons` are no pids of it, come twice, or are more than seven.
        MissingExtraError: If matplotlib is not installed.
    """
    style.check_matplotlib()
    if not isinstance(projection, Projection):
        raise InputError(f"a map is drawn of what nlreid.visualize.project answers; got {type(projection).__qualname__}")
    pids, points = projection.pids, projection.points.numpy()
    shown = _chosen(pids, persons)
    colours = np.full(len(points), style.BLUE if pids is None else _OTHERS)
    for colour, pid in zip(style.COLOURS, shown, strict=False):
        colours[pids == pid] = colour
    figure = style.new_figure(*_SIZE, fitted=True)
    axes = style.plain_axes(figure)
    for some, prominent in ((colours == _OTHERS, False), (colours != _OTHERS, True)):
        _scatter(axes, points, some, colours, projection.camids, prominent=prominent)
    for colour, pid in zip(style.COLOURS, shown, strict=False):
        _star(axes, points[pids == pid], pid, colour)
    _scale(axes, projection)
    _legend(figure, projection, shown)
    return figure


def _chosen(pids: NDArray[np.int64] | None, persons: Sequence[int] | None) -> list[int]:
    """Whose pids stand out."""
    most = len(style.COLOURS)
    values, counts = np.unique([] if pids is None else pids[pids != JUNK], return_counts=True)
    if persons is None:
        by_count = np.lexsort((values, -counts))[:most]
        return sorted(values[by_count].astype(int).tolist())
    asked: list[int] = whole_numbers("persons", persons).tolist()
    missing = [pid for pid in asked if pid not in values]
    if missing or len(set(asked)) < len(asked) or len(asked) > most:
        raise InputError(f"persons are at most {most} pids of the projection, each once; got {persons!r:.80}")
    return asked


def _scatter(
    axes: Axes,
    points: NDArray[np.float64],
    some: NDArray[np.bool_],
    colours: NDArray[np.str_],
    camids: NDArray[np.int64] | None,
    *,
    prominent: bool,
) -> None:
    """Some of the points, those of each camera with its marker."""
    area = (18 if prominent else 8) if len(points) > _MANY else (32 if prominent else 16)
    for marker, camera in zip(_markers(camids), _cameras(camids), strict=True):
        rows = some if camids is None else some & (camids == camera)
        if rows.any():
            look: dict[str, Any] = {"edgecolors": style.PAPER, "linewidths": 0.4, "zorder": 3 if prominent else 1}
            axes.scatter(points[rows, 0], points[rows, 1], s=area, c=colours[rows].tolist(), marker=marker, **look)


def _cameras(camids: NDArray[np.int64] | None) -> list[int | None]:
    return [None] if camids is None else np.unique(camids).tolist()


def _markers(camids: NDArray[np.int64] | None) -> list[str]:
    return [_MARKERS[place % len(_MARKERS)] for place in range(len(_cameras(camids)))]


def _star(axes: Axes, points: NDArray[np.float64], pid: int, colour: str) -> None:
    """Lines from the middle of a person's points to each, and there the number."""
    from matplotlib.patheffects import withStroke

    x, y = points.mean(0).tolist()
    for end in points.tolist():
        axes.plot([x, end[0]], [y, end[1]], color=colour, linewidth=0.7, linestyle="-", marker="", alpha=0.7, zorder=2)
    look = words(fontsize=style.USUAL, color=style.INK, fontweight="bold", ha="center", va="center", zorder=4)
    axes.text(x, y, str(pid), path_effects=[withStroke(linewidth=2.2, foreground=style.PAPER)], **look)


def _scale(axes: Axes, projection: Projection) -> None:
    """Both axes in one unit; each says how much of the variance it shows."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    for axis, name, share in zip((axes.xaxis, axes.yaxis), ("first", "second"), projection.explained, strict=True):
        axis.set_label_text(f"{name} principal component, {100 * share:.0f} % of the variance")


def _legend(figure: Figure, projection: Projection, shown: Sequence[int]) -> None:
    """What the markers and the grey mean."""
    from matplotlib.lines import Line2D

    def entry(marker: str, colour: str, label: str) -> Line2D:
        return Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=4.5, label=label)

    handles = []
    if projection.camids is not None:
        cameras = zip(_markers(projection.camids), _cameras(projection.camids), strict=True)
        handles += [entry(marker, style.INK, f"camera {camera}") for marker, camera in cameras]
    if shown:
        handles.append(Line2D([], [], color=style.GREY, linewidth=0.7, label="person (pid)"))
    if projection.pids is not None:
        others = len(np.unique(projection.pids)) - len(shown)
        handles += [entry("o", _OTHERS, f"{others} others")] if others else []
    if handles:
        legend = figure.legend(
            handles=handles, loc="outside right upper", frameon=False, handlelength=1.2, fontsize=style.USUAL
        )
        for text in legend.get_texts():
            text.set(color=style.INK)
