"""The map of embeddings: every point once, where it was projected to, in the colour of its person, the marker of its camera."""

import matplotlib.colors
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.visualize import Projection, draw_embedding_map
from nlreid.visualize.figures.embedding_map import _MARKERS, _OTHERS
from nlreid.visualize.figures.style import BLUE, COLOURS


def projection(pids=None, camids=None, count=None, seed=0):
    count = len(pids if pids is not None else camids) if count is None else count
    points = torch.randn(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    labels = [None if labels is None else np.asarray(labels, dtype=np.int64) for labels in (pids, camids)]
    return Projection(points, (0.5, 0.25), *labels)


def drawn_points(figure):
    """Colour and number of corners by point."""
    (axes,) = figure.axes
    found = {}
    for group in axes.collections:
        colours = group.get_facecolors()
        shape = group.get_paths()[0].vertices.tobytes()
        for place, point in enumerate(group.get_offsets().filled().tolist()):
            assert tuple(point) not in found
            found[tuple(point)] = matplotlib.colors.to_hex(colours[place % len(colours)]), shape
    return found


def labels(figure):
    (axes,) = figure.axes
    return {text.get_text(): text.get_position() for text in axes.texts}


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(-1, 9), st.integers(1, 4)), min_size=2, max_size=40))
def test_every_point_is_drawn_once_in_its_look(rows):
    pids, camids = (np.array(column) for column in zip(*rows, strict=True))
    shown = projection(pids, camids)
    figure = draw_embedding_map(shown)
    counts = {pid: (pids == pid).sum() for pid in set(pids.tolist()) - {-1}}
    chosen = sorted(sorted(counts, key=lambda pid: (-counts[pid], pid))[: len(COLOURS)])
    found = drawn_points(figure)
    assert len(found) == len(rows)
    shapes = {}
    for point, pid, camid in zip(shown.points.tolist(), pids.tolist(), camids.tolist(), strict=True):
        colour, shape = found[tuple(point)]
        assert colour == (COLOURS[chosen.index(pid)] if pid in chosen else _OTHERS)
        assert shapes.setdefault(camid, shape) == shape
    assert len(set(shapes.values())) == len(shapes)
    assert set(labels(figure)) == {str(pid) for pid in chosen}
    for pid in chosen:
        assert labels(figure)[str(pid)] == pytest.approx(shown.points[torch.from_numpy(pids == pid)].mean(0).tolist())
    (axes,) = figure.axes
    assert len(axes.lines) == sum(counts[pid] for pid in chosen)  # from the middle of each person to its points
    others = len(set(pids.tolist())) - len(chosen)
    wanted = [f"camera {camid}" for camid in sorted(set(camids.tolist()))]
    assert legend_of(figure) == [*wanted, *["person (pid)"] * bool(chosen), *[f"{others} others"] * bool(others)]


def test_without_labels_all_points_look_alike():
    figure = draw_embedding_map(projection(count=5))
    assert {colour for colour, _ in drawn_points(figure).values()} == {BLUE}
    assert len({shape for _, shape in drawn_points(figure).values()}) == 1
    assert labels(figure) == {}
    assert legend_of(figure) == []
    assert legend_of(draw_embedding_map(projection(camids=[3, 3, 5]))) == ["camera 3", "camera 5"]


def test_persons_can_be_chosen():
    figure = draw_embedding_map(projection([4, 4, 5, 6, 6]), persons=[5, 4])
    assert set(labels(figure)) == {"5", "4"}
    assert legend_of(figure) == ["person (pid)", "1 others"]


def test_axes_have_one_unit_and_say_what_they_show():
    (axes,) = draw_embedding_map(projection([1, 1, 2])).axes
    assert axes.get_aspect() == 1
    assert axes.get_xlabel() == "first principal component, 50 % of the variance"
    assert axes.get_ylabel() == "second principal component, 25 % of the variance"


@pytest.mark.parametrize("count", [2, 2000])
def test_all_points_lie_within_the_axes(count):
    shown = projection(np.arange(count) % 300, np.arange(count) % 6)
    figure = draw_embedding_map(shown)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for axis, (low, high) in enumerate((axes.get_xlim(), axes.get_ylim())):
        assert low < shown.points[:, axis].min()
        assert shown.points[:, axis].max() < high


def test_cameras_differ_as_long_as_there_are_markers():
    many = range(len(_MARKERS))
    assert len({shape for _, shape in drawn_points(draw_embedding_map(projection(camids=many))).values()}) == len(_MARKERS)


@pytest.mark.parametrize("persons", [[7], [1, 1], [1, 2, 3, 4, 5, 6, 8, 9]])
def test_persons_that_cannot_stand_out(persons):
    with pytest.raises(InputError, match="persons are at most 7 pids of the projection, each once; got"):
        draw_embedding_map(projection([1, 2, 3, 4, 5, 6, 8, 9]), persons=persons)
    with pytest.raises(InputError, match="persons are whole numbers"):
        draw_embedding_map(projection([1, 2]), persons=["a"])


def test_what_is_no_projection_is_told_who_makes_one():
    with pytest.raises(InputError, match=r"what nlreid\.visualize\.project answers; got Tensor"):
        draw_embedding_map(torch.zeros(3, 2))
