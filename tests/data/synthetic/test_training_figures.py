"""Figures that are kept: whole or not at all, mapped, and not drawn twice."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.training import training_figures
from nlreid.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = {"seed": 4, "identities": 0, "train_identities": 12, "train_cameras": 3, "frames": 2, "size": (16, 8)}


def people(**changes):
    return SyntheticPeople(**(SETTINGS | changes))


@pytest.fixture(scope="module")
def expected():
    return training_figures(people())[0]


def kept(folder):
    """The only thing in the folder."""
    [path] = folder.iterdir()
    return path


def test_everybody_walks_in_front_of_every_camera(expected):
    figures, pids = training_figures(people(identities=7, tracklets=2, train_cameras=1, train_identities=3))
    assert pids == (8, 8, 9, 9, 10, 10)
    assert (figures.shape, figures.dtype) == ((6, 2, 4, 16, 8), torch.uint8)
    assert expected.shape == (36, 2, 4, 16, 8)
    assert expected[:, :, 3].unique().tolist() == [0, 255]
    assert len(expected.flatten(1).unique(dim=0)) == 36


def test_people_to_search_for_change_nothing(expected):
    figures, _ = training_figures(people(identities=5, cameras=4, strength=0.9))
    assert torch.equal(figures, expected)
    assert not torch.equal(training_figures(people(seed=5))[0], expected)


def test_what_is_kept_is_mapped_and_not_drawn_again(tmp_path, monkeypatch, expected):
    counts = []
    folder = tmp_path / "new" / "figures"
    first, pids = training_figures(people(), folder=folder, progress=lambda *count: counts.append(count))
    assert counts == [(32, 36), (36, 36)]
    assert torch.equal(first, expected)
    before = kept(folder).read_bytes()
    assert np.array_equal(np.load(kept(folder)), expected.numpy())
    monkeypatch.setattr(Renderer, "tracks", lambda *_: pytest.fail("drawn again"))
    again, same_pids = training_figures(people(), folder=str(folder), progress=lambda *_: pytest.fail("drawn again"))
    assert torch.equal(again, expected)
    assert same_pids == pids
    again[0] = 0  # a copy of what is mapped: the file stays as it is
    assert kept(folder).read_bytes() == before
    training_figures(people(identities=5, strength=0.1), folder=folder)  # of those to train on, the same
    with pytest.raises(pytest.fail.Exception, match="drawn again"):
        training_figures(people(seed=5), folder=folder)


def test_an_interruption_leaves_nothing(tmp_path, expected):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training_figures(people(), folder=tmp_path, progress=interrupt)
    assert not list(tmp_path.iterdir())
    assert torch.equal(training_figures(people(), folder=tmp_path)[0], expected)


KILLED = """
import os, signal, sys
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.datasets.synthetic.training import training_figures

people = SyntheticPeople(**eval(sys.argv[2]))
training_figures(people, folder=sys.argv[1], progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_kill_leaves_no_file_that_is_taken_for_a_whole_one(tmp_path, expected):
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), repr(SETTINGS)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert all(path.suffix == ".part" for path in tmp_path.iterdir())
    assert torch.equal(training_figures(people(), folder=tmp_path)[0], expected)
    assert len(list(tmp_path.glob("*.npy"))) == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged, or no file of figures"),
        (lambda path: path.write_bytes(b""), "damaged, or no file of figures"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x06\x00{'a':}" + bytes(99)), "damaged, or no file of figures"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "damaged, or no file of figures"),
        (lambda path: np.save(path, np.zeros((3, 2), np.uint8)), r"holds uint8 \(3, 2\), wanted uint8 \(36, 2, 4, 16, 8\)"),
        (lambda path: np.save(path, np.zeros((36, 2, 4, 16, 8), np.int8)), "holds int8"),
        (lambda path: np.save(path, np.zeros((8, 16, 4, 2, 36), np.uint8).T), "holds uint8"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, message):
    training_figures(people(), folder=tmp_path)
    path = kept(tmp_path)
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        training_figures(people(), folder=tmp_path)
    assert str(path) in str(caught.value)


def test_places_where_nothing_can_be_kept(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="no folder that can be written"):
        training_figures(people(), folder=tmp_path / "file" / "figures")
    with pytest.raises(InputError, match="folder is the path of a file or folder; got 7"):
        training_figures(people(), folder=7)
    with pytest.raises(InputError, match="there is nobody to train on: train_identities is 0"):
        training_figures(people(identities=1, train_identities=0))
