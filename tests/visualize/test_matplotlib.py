"""The drawing leaves matplotlib as it was, takes no colours from the user's settings, and says what is missing without it."""

import subprocess
import sys

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
import torch

from nlreid import Tracklet
from nlreid.errors import MissingExtraError
from nlreid.visualize import (
    Attention,
    Projection,
    RankedList,
    attend,
    draw_attention,
    draw_cmc,
    draw_embedding_map,
    draw_ranked_lists,
    project,
    save_picture,
)

SCRIPT = """
import gc, sys
import nlreid.cli
assert "matplotlib" not in sys.modules, "the command line starts without it"
import matplotlib
before = dict(dict.items(matplotlib.rcParams))  # asked in the usual way, the key of the backend would import pyplot
from visualize.test_matplotlib import FIGURES
from nlreid.visualize import save_picture
for place, draw in enumerate(FIGURES.values()):
    for ending in ("png", "pdf", "svg"):
        save_picture(draw(), f"{place}.{ending}")
assert "matplotlib.pyplot" not in sys.modules
assert dict(dict.items(matplotlib.rcParams)) == before
gc.collect()
left = [thing for thing in gc.get_objects() if type(thing).__name__ == "Figure"]
assert not left, left
print("fine")
"""


def _scores():
    from visualize.test_cmc import scores

    return {"a": scores(0), "b": [scores(1), scores(2)]}


def _ranked():
    one = Tracklet("a", [np.zeros((8, 4, 3), np.uint8)], pid=1, camid=1)
    return [RankedList(one, [one, one], [0.0, 0.5], "title")]


def _attention():
    weights = torch.arange(8.0).view(1, 2, 2, 2) / 28
    return Attention("block", torch.zeros(2, 8, 4, 3, dtype=torch.uint8), ((0, 1, 1),), weights, torch.zeros(1))


def _projection():
    return Projection(torch.eye(2, dtype=torch.float64), (1.0, 0.0), np.array([1, 1]), np.array([1, 2]))


FIGURES = {
    "ranked lists": lambda: draw_ranked_lists(_ranked()),
    "attention": lambda: draw_attention(_attention(), strongest=1),
    "cmc": lambda: draw_cmc(_scores(), title="title"),
    "map": lambda: draw_embedding_map(_projection()),
}


def test_nothing_global_is_touched_and_no_figure_is_left(tmp_path, pytestconfig):
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT],
        cwd=tmp_path,
        env={
            "PYTHONPATH": f"{pytestconfig.rootpath / 'tests'}:{pytestconfig.rootpath}",
            "OMP_NUM_THREADS": "1",
            "MPLCONFIGDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr
    assert {path.suffix for path in tmp_path.iterdir()} >= {".png", ".pdf", ".svg"}


DARK = {
    "text.color": "white",
    "axes.labelcolor": "white",
    "axes.titlecolor": "white",
    "axes.facecolor": "black",
    "axes.edgecolor": "white",
    "figure.facecolor": "black",
    "savefig.facecolor": "black",
    "savefig.transparent": True,
    "xtick.color": "white",
    "ytick.color": "white",
    "legend.labelcolor": "white",
    "image.origin": "lower",
    "figure.autolayout": True,
    "axes.grid": True,
    "font.size": 30,
}


@pytest.mark.parametrize("name", FIGURES)
def test_colours_and_sizes_are_not_those_of_the_users_settings(name, tmp_path):
    save_picture(FIGURES[name](), tmp_path / "usual.png", dpi=50)
    with matplotlib.rc_context(DARK):
        save_picture(FIGURES[name](), tmp_path / "dark.png", dpi=50)
        assert all(matplotlib.rcParams[key] == value for key, value in DARK.items())
    usual, dark = (matplotlib.image.imread(tmp_path / f"{which}.png") for which in ("usual", "dark"))
    assert usual.shape == dark.shape
    assert np.array_equal(usual, dark)


@pytest.mark.parametrize("name", FIGURES)
def test_without_matplotlib_the_extra_is_named(name, monkeypatch, tmp_path):
    figure = FIGURES[name]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (FIGURES[name], lambda: save_picture(figure, tmp_path / "a.png")):
        with pytest.raises(
            MissingExtraError, match=r"'matplotlib' is not installed; install it with: pip install 'nlreid\[viz\]'"
        ):
            call()


def test_what_is_computed_needs_no_matplotlib(monkeypatch):
    import nlreid

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert _ranked()[0].right(0)
    assert project(nlreid.Embeddings(torch.eye(3))).points.shape == (3, 2)
    frames = torch.zeros(4, 64, 32, 3, dtype=torch.uint8)
    assert len(attend(nlreid.create_model("test_r3d_nl"), frames, [(0, 1, 1)]).strongest(2)[0]) == 2
