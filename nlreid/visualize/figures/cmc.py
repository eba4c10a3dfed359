"""CMC curves as a figure: the share of queries that have a right answer among their first k, of several systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlreid.errors import InputError, whole_number
from nlreid.evaluation import RankingScores
from nlreid.visualize.figures.style import INK, LIGHT, PAPER, USUAL, check_matplotlib, look, new_figure, plain_axes
from nlreid.visualize.figures.text import fitting, plain, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_WIDTH, _HEIGHT, _LINE = 4.6, 3.2, 0.17  # inches: the figure, its curves, a line of the legend
_MARKED = 25  # so many ranks have a marker each, of more only some

Scores = RankingScores | Sequence[RankingScores]


def draw_cmc(systems: Mapping[str, Scores], *, max_rank: int = 20, title: str = "") -> Figure:
    """Draw the CMC of one or several systems, in per cent; the legend gives rank-1 and mAP of each.

    Of several splits, the curve is their mean, and a band reaches one standard deviation (n - 1) to each side. The lower end of
    the axis is not 0 where all curves lie far above it.

    Args:
        systems: What `nlreid.evaluate` answers, by the name of what was evaluated; a sequence of them is of several splits.
        max_rank: The last rank that is drawn, at most as many as the scores have.
        title: What is written above.

    Returns:
        A `matplotlib.figure.Figure`, for `save_picture` or a notebook.

    Raises:
        InputError: If there is no system, a value is no score of `nlreid.evaluate`, or `max_rank` no whole number from 1.
        MissingExtraError: If matplotlib is not installed.
    """
    check_matplotlib()
    splits = _checked(systems)
    most = min(whole_number("max_rank", max_rank), max(len(each.cmc) for some in splits.values() for each in some))
    figure = new_figure(_WIDTH, _HEIGHT + _LINE * len(splits), fitted=True)
    axes = plain_axes(figure)
    curves = [_draw(axes, some, place, most) for place, some in enumerate(splits.values())]
    _scale(axes, most, curves)
    axes.set_xlabel("rank")
    axes.set_ylabel("cumulative matching rate, per cent")
    if title:
        shown = fitting(plain(title), _WIDTH - 0.8, USUAL, "bold")
        axes.set_title(shown, loc="left", color=INK, fontsize=USUAL, fontweight="bold", **words())
    _legend(figure, curves, splits)
    return figure


def _checked(systems: Mapping[str, Scores]) -> dict[str, list[RankingScores]]:
    """The splits of each system."""
    if not isinstance(systems, Mapping) or not systems:
        raise InputError(f"systems are scores of nlreid.evaluate by name, at least one; got {systems!r:.80}")
    splits = {}
    for name, given in systems.items():
        some = [given] if isinstance(given, RankingScores) else list(given) if isinstance(given, Sequence) else [given]
        if not some or not all(isinstance(each, RankingScores) for each in some):
            kind = ", ".join(type(each).__qualname__ for each in some) or "an empty sequence"
            raise InputError(f"{name!r} wants the scores of nlreid.evaluate, of one split or a sequence of several; got {kind}")
        splits[str(name)] = some
    return splits


def _draw(axes: Axes, splits: Sequence[RankingScores], place: int, most: int) -> Line2D:
    """The curve of one system."""
    last = min(most, *(len(each.cmc) for each in splits))
    shares: NDArray[np.float64] = 100 * np.stack([each.cmc[:last] for each in splits])
    ranks, mean, (colour, marker, dashes) = np.arange(1, last + 1), shares.mean(0), look(place)
    edge: dict[str, Any] = {"markersize": 5, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
    often = 1 if most <= _MARKED else (place % 3, max(1, most // 12))
    (curve,) = axes.plot(ranks, mean, color=colour, marker=marker, linestyle=dashes, linewidth=1.4, markevery=often, **edge)
    if len(splits) > 1:
        spread = shares.std(0, ddof=1)
        axes.fill_between(ranks, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    return curve


def _scale(axes: Axes, most: int, curves: Sequence[Line2D]) -> None:
    """From rank 1 on, and from the tens below the lowest value up to 100 per cent; ticks at rank 1 and every fifth."""
    step = max(1, 5 * (most // 20)) if most > 10 else 1
    axes.set_xticks([1, *range(max(step, 2), most + 1, step)])
    axes.set_xlim(1 - 0.02 * most, most + 0.02 * most)
    lowest = min(float(np.min(curve.get_ydata())) for curve in curves)
    axes.set_ylim(max(0, 10 * ((lowest - 5) // 10)), 101)
    axes.grid(visible=True, axis="y", color=LIGHT, linewidth=0.6, linestyle="-")


def _legend(figure: Figure, curves: Sequence[Line2D], splits: Mapping[str, Sequence[RankingScores]]) -> None:
    """Below the curves, where it hides none; names are set afterwards, for a legend leaves out those that begin with `_`."""
    legend = figure.legend(
        curves,
        ["-"] * len(curves),
        loc="outside lower left",
        frameon=False,
        fontsize=USUAL,
        handlelength=3.2,
        labelspacing=0.35,
    )
    for text, (name, some) in zip(legend.get_texts(), splits.items(), strict=True):
        rank1, precision = (100 * float(np.mean(values)) for values in zip(*((s.cmc[0], s.mAP) for s in some), strict=True))
        several = f", {len(some)} splits" if len(some) > 1 else ""
        figures = f": rank-1 {rank1:.1f}, mAP {precision:.1f}{several}"
        text.set(text=fitting(plain(name), 2.0, USUAL) + figures, color=INK, **words())
