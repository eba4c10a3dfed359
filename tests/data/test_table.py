from __future__ import annotations

import inspect

import pytest
from data.miniature import publish_ls_vid, publish_mars, write_ls_vid, write_mars

from nlreid.data.datasets.table import DATASETS, Dataset, read_splits
from nlreid.data.split import Split
from nlreid.errors import InputError, UnknownNameError


@pytest.mark.parametrize("name", DATASETS)
def test_the_options_are_those_of_the_reader(name):
    dataset = DATASETS[name]
    common = {"partial": dataset.published, "split": dataset.splits > 1, "progress": dataset.drawn}
    wanted = {*dataset.options, *(option for option, taken in common.items() if taken)}
    options = {key for key, value in inspect.signature(dataset.read).parameters.items() if value.kind is value.KEYWORD_ONLY}
    assert options == wanted


def test_a_data_set_of_one_split(tmp_path, monkeypatch):
    publish_mars(monkeypatch)
    root = write_mars(tmp_path / "MARS")
    [split] = read_splits("mars", root)
    assert "official" in split.name
    [split] = read_splits("mars", str(root), split=0, protocol="community")
    assert "community" in split.name


def test_partial_is_passed_on(tmp_path, monkeypatch):
    publish_ls_vid(monkeypatch)
    root = write_ls_vid(tmp_path / "LS-VID")
    next((root / "tracklet_train" / "0002").iterdir()).unlink()
    [split] = read_splits("ls_vid", root, partial=True)
    assert split.notes


@pytest.fixture
def _toy(monkeypatch):
    def read(root, *, split, partial, colour="red"):
        return Split(f"{root} {split} {partial} {colour}", (), (), ())

    monkeypatch.setitem(DATASETS, "toy", Dataset(read, "three splits", splits=3, options=("colour",)))


@pytest.mark.usefixtures("_toy")
def test_all_splits_or_one():
    assert [split.name for split in read_splits("toy", "root")] == [f"root {n} False red" for n in range(3)]
    assert [split.name for split in read_splits("toy", "root", split=2, partial=True, colour="blue")] == ["root 2 True blue"]


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("split", [3, -1, 1.0, "1", True])
def test_a_split_that_is_not_there(split):
    with pytest.raises(InputError, match="split"):
        read_splits("toy", "root", split=split)


@pytest.mark.usefixtures("_toy")
def test_an_option_that_is_not_taken():
    with pytest.raises(InputError, match="'toy' does not take 'color', 'protocol'; it takes split, partial, colour"):
        read_splits("toy", "root", color="red", protocol="official")


@pytest.mark.parametrize("name", ["mar", "", None, ["mars"]])
def test_an_unknown_name(name):
    with pytest.raises(
        UnknownNameError, match=r"unknown data set .* Allowed: ilids_vid, ls_vid, mars, people, prid2011, synthetic"
    ):
        read_splits(name, "root")


def test_people_have_no_published_numbers(tmp_path):
    from data.miniature import write_picture

    for camera in ("1", "2"):
        write_picture(tmp_path / "7" / camera / "1" / "0001.png")
    [split] = read_splits("people", tmp_path, partial=True)
    assert {tracklet.pid for tracklet in split.gallery} == {7}


def test_drawn_people_lie_nowhere():
    seen = []
    [split] = read_splits(
        "synthetic", seed=3, identities=2, cameras=3, frames=1, size=(8, 8), progress=lambda *counts: seen.append(counts)
    )
    assert split.name == "synthetic people, seed 3"
    assert (len(split.train), len(split.query), len(split.gallery)) == (0, 2, 4)
    assert split.query[0].frames.shape == (1, 8, 8, 3)
    assert seen == [(6, 6)]
    with pytest.raises(InputError, match="'synthetic' is drawn and lies nowhere; got root='here': leave it out"):
        read_splits("synthetic", "here")
    with pytest.raises(InputError, match=r"'mars' is read from a folder; say which: read_splits\('mars', root\)"):
        read_splits("mars")
    with pytest.raises(InputError, match="'synthetic' does not take 'protocol'; it takes split, partial, seed, identities"):
        read_splits("synthetic", protocol="official")
