"""Retrieval problems that hypothesis draws: few values, so that distances tie; few people and cameras; junk."""

import numpy as np
import pytest
from evaluation.naive_ranking import side
from hypothesis import strategies as st


@st.composite
def problems(draw):
    """A query and a gallery side of small whole numbers, of which all distances are exact."""
    width = draw(st.integers(1, 3))
    row = st.lists(st.integers(-2, 2), min_size=width, max_size=width)

    def some(most, least_pid):
        rows = draw(st.lists(row, min_size=1, max_size=most))
        pids = draw(st.lists(st.integers(least_pid, 3), min_size=len(rows), max_size=len(rows)))
        camids = draw(st.lists(st.integers(1, 2), min_size=len(rows), max_size=len(rows)))
        return side(np.array(rows, dtype=np.float32), np.array(pids), np.array(camids))

    return some(4, draw(st.sampled_from([-1, 1]))), some(12, -1)


@pytest.fixture(params=[7, 64, 2**19], ids=lambda size: f"block-{size}")
def block(request, monkeypatch):
    """Blocks so small that every problem has several, and the usual ones."""
    for room in ("ranking.counting", "search.neighbours"):
        monkeypatch.setattr(f"nlreid.evaluation.{room}._BLOCK", request.param)
    for room in ("ranking.matches", "search.neighbours"):
        monkeypatch.setattr(f"nlreid.evaluation.{room}._QUERIES", max(1, request.param // 16))
