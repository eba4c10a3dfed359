"""CMC curves: what is drawn is what was answered, and no two systems look alike."""

import numpy as np
import pytest
import torch

import nlreid
from nlreid.errors import InputError
from nlreid.visualize import draw_cmc


def scores(seed=0, noise=2.0, max_rank=50, count=30):
    generator = torch.Generator().manual_seed(seed)
    centres, pids = torch.randn(count, 16, generator=generator), torch.arange(count)
    query, gallery = (
        nlreid.Embeddings(centres + noise * torch.randn(count, 16, generator=generator), pids, torch.full((count,), camid))
        for camid in (1, 2)
    )
    return nlreid.evaluate(query, gallery, max_rank=max_rank)


def legend_of(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_curves_are_the_scores_in_per_cent():
    systems = {"one": scores(0), "other": scores(1, 0.5), "short": scores(2, max_rank=7)}
    (axes,) = draw_cmc(systems, title="toy").axes
    for line, each in zip(axes.lines, systems.values(), strict=True):
        last = min(20, len(each.cmc))
        assert line.get_xdata().tolist() == list(range(1, last + 1))
        assert np.array_equal(line.get_ydata(), 100 * each.cmc[:last])
    assert axes.get_title(loc="left") == "toy"


@pytest.mark.parametrize("max_rank", [1, 2, 7, 20, 50, 90])
def test_every_value_lies_within_the_axes_and_rank_1_has_a_tick(max_rank):
    some = scores(0, 0.3), scores(1, 4.0)
    (axes,) = draw_cmc({str(place): each for place, each in enumerate(some)}, max_rank=max_rank).axes
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    last = min(max_rank, 50)
    assert left < 1
    assert last < right < last * 1.1 + 0.1
    assert 0 <= low <= min(100 * each.cmc[0] for each in some)
    assert 100 <= high <= 102
    ticks = axes.get_xticks().tolist()
    assert ticks[0] == 1
    assert ticks[-1] <= last
    assert len(ticks) <= 12


def test_the_axis_does_not_begin_at_0_where_all_are_far_above():
    (axes,) = draw_cmc({"perfect": scores(0, 0.0)}).axes
    assert axes.get_ylim()[0] == 90


def test_of_several_splits_the_mean_is_drawn_and_the_standard_deviation_as_a_band():
    some = [scores(seed) for seed in range(4)]
    figure = draw_cmc({"ten": some, "one": [scores(9)]})
    (axes,) = figure.axes
    shares = 100 * np.stack([each.cmc[:20] for each in some])
    assert np.allclose(axes.lines[0].get_ydata(), shares.mean(0))
    (band,) = axes.collections
    edge = band.get_paths()[0].vertices
    for rank in range(1, 21):
        heights = edge[edge[:, 0] == rank, 1]
        assert heights.max() == pytest.approx(shares[:, rank - 1].mean() + shares[:, rank - 1].std(ddof=1))
        assert heights.min() == pytest.approx(shares[:, rank - 1].mean() - shares[:, rank - 1].std(ddof=1))
    assert legend_of(figure)[0].endswith(", 4 splits")
    assert np.allclose(axes.lines[1].get_ydata(), 100 * scores(9).cmc[:20])


def test_the_legend_names_every_system_with_rank_1_and_map():
    systems = {"_private": scores(0), "$x$\n": scores(1), "long " * 30: scores(2)}
    for shown, (name, each) in zip(legend_of(draw_cmc(systems)), systems.items(), strict=True):
        said, figures = shown.rsplit(": ", 1)
        assert figures == f"rank-1 {100 * each.rank(1):.1f}, mAP {100 * each.mAP:.1f}"
        assert said in (name, r"$x$\n") or (said.startswith("long") and "…" in said)
    assert not any(text.get_parse_math() for text in draw_cmc(systems).legends[0].get_texts())


def test_systems_differ_without_colour():
    (axes,) = draw_cmc({str(place): scores(0) for place in range(28)}).axes
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in axes.lines}
    assert len(looks) == 28
    first = list(axes.lines)[:6]
    assert len({line.get_marker() for line in first}) == len({line.get_color() for line in first}) == 6


@pytest.mark.parametrize(
    ("systems", "answer"),
    [
        ({}, "at least one"),
        ([1], r"scores of nlreid\.evaluate by name"),
        ({"a": []}, "'a' wants the scores of nlreid.evaluate, of one split or a sequence of several; got an empty sequence"),
        ({"a": 0.9}, "got float"),
        ({"a": [scores(), 3]}, "got RankingScores, int"),
    ],
)
def test_what_are_no_scores_is_refused(systems, answer):
    with pytest.raises(InputError, match=answer):
        draw_cmc(systems)


def test_the_last_rank_is_a_whole_number():
    with pytest.raises(InputError, match="max_rank is a whole number from 1; got 0"):
        draw_cmc({"a": scores()}, max_rank=0)
