"""A file of embeddings holds every bit, is whole or not there, and anything else is refused by name."""

import json
import os
import stat

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid import Embeddings
from nlreid.embedding import TrackInfo
from nlreid.errors import DataError, InputError, UnknownNameError

TRACKS = (
    TrackInfo("7", frames=8, first=3, last=10),
    TrackInfo("cam1/Zoë", frames=5),
    TrackInfo("9", frames=1),
)


@pytest.fixture
def people():
    return Embeddings(torch.randn(3, 5), [7, -1, 4], [1, 2, 1], TRACKS, "r3d50_nl, weights: random")


def write_raw(path, about, tensors=None):
    """A file like that of `save`, with anything in it."""
    metadata = None if about is None else {"nlreid": about if isinstance(about, str) else json.dumps(about)}
    safetensors.torch.save_file({"features": torch.eye(1)} if tensors is None else tensors, path, metadata)


# --- the object


def test_rows_are_found_by_name(people):
    assert [people.index(track.name) for track in TRACKS] == [0, 1, 2]
    with pytest.raises(UnknownNameError, match=r"did you mean 'cam1/Zoë'\? There are 3: 7, cam1/Zoë, 9\."):
        people.index("cam1/Zoe")


def test_whole_numbers_of_numpy_and_torch_become_pythons():
    track = TrackInfo("a", frames=np.int64(3), first=np.uint8(1), last=torch.tensor(3))
    assert track == TrackInfo("a", 3, 1, 3)
    assert {type(value) for value in (track.frames, track.first, track.last)} == {int}


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda values: np.array(values, dtype=np.int16)])
def test_labels_of_any_kind_become_int64(kind):
    people = Embeddings(torch.eye(3), kind([7, -1, 4]), kind([1, 2, 1]))
    assert people.pids.dtype == people.camids.dtype == torch.int64
    assert (people.pids.tolist(), people.camids.tolist()) == ([7, -1, 4], [1, 2, 1])


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], [True, False, True], ["1", "2", "3"], [[1, 2, 3]], [1, None, 3], torch.eye(3), 7]
)
@pytest.mark.parametrize("name", ["pids", "camids"])
def test_labels_that_are_no_whole_numbers_are_refused(name, values):
    with pytest.raises(InputError, match=f"{name} are whole numbers"):
        Embeddings(torch.eye(3), **{name: values})


def test_labels_are_as_many_as_features():
    with pytest.raises(InputError, match="camids has an entry for each of 3 features; got 2"):
        Embeddings(torch.eye(3), camids=[1, 2])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_may_be_mapped_from_files(tmp_path, dtype):
    np.save(tmp_path / "features.npy", np.eye(3, dtype=dtype))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    people = Embeddings(mapped, [1, 2, 3])
    assert people.features is mapped
    people.save(tmp_path / "people")
    assert Embeddings.load(tmp_path / "people").features.tolist() == np.eye(3).tolist()


def test_rows_are_selected_with_what_is_known_about_them(people):
    some = people.select([2, 0])
    assert torch.equal(some.features, people.features[[2, 0]])
    assert (some.pids.tolist(), some.camids.tolist(), some.model) == ([4, 7], [1, 1], people.model)
    assert some.tracks == (TRACKS[2], TRACKS[0])
    bare = Embeddings(np.eye(3)).select([1])
    assert (bare.features.tolist(), bare.pids, bare.tracks) == ([[0, 1, 0]], None, ())


@pytest.mark.parametrize("kind", [tuple, np.array, torch.tensor, lambda rows: torch.tensor(rows, dtype=torch.int16)])
@pytest.mark.parametrize("features", [torch.eye(3), np.eye(3)])
def test_rows_may_be_of_any_kind_of_whole_numbers(kind, features):
    some = Embeddings(features, [7, 8, 9], [1, 2, 1], TRACKS).select(kind([2, 0]))
    assert (some.features.tolist(), some.pids.tolist(), some.tracks) == ([[0, 0, 1], [1, 0, 0]], [9, 7], (TRACKS[2], TRACKS[0]))
    assert len(Embeddings(features, [7, 8, 9], [1, 2, 1], TRACKS).select([])) == 0


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([5], "rows are from 0 to 2; row 5 was asked for"),
        ([0, -1], "row -1 was asked for"),
        ([True, False, True], "rows are whole numbers .*; got bool"),
        (torch.tensor([True, False, True]), "rows are whole numbers .*; got bool"),
        ([1.0], "rows are whole numbers .*; got float64"),
        (["1"], "rows are whole numbers"),
        ([[0, 1]], "rows are whole numbers"),
        (None, "rows are whole numbers"),
        (1, "rows are whole numbers"),
        ([1, 0, 1], "each row is selected once; given more than once: 1"),
    ],
)
@pytest.mark.parametrize("tracks", [(), TRACKS])
def test_rows_that_cannot_be_selected_are_refused(rows, answer, tracks):
    with pytest.raises(InputError, match=answer):
        Embeddings(torch.eye(3), [7, 8, 9], tracks=tracks).select(rows)


@pytest.mark.parametrize(
    "kind", [list, lambda values: np.array(values, np.uint64), lambda values: torch.tensor(values, dtype=torch.uint64)]
)
@pytest.mark.parametrize("name", ["pids", "camids"])
def test_numbers_that_do_not_fit_do_not_become_negative(kind, name):
    with pytest.raises(InputError, match=f"{name} are whole numbers"):
        Embeddings(torch.eye(3), **{name: kind([2**64 - 1, 5, 6])})
    assert getattr(Embeddings(torch.eye(3), **{name: kind([2**63 - 1, 5, 6])}), name).tolist() == [2**63 - 1, 5, 6]


@pytest.mark.parametrize("model", [None, 7, b"r3d50"])
def test_a_model_is_named_in_text(model):
    with pytest.raises(InputError, match="model is text"):
        Embeddings(torch.eye(3), model=model)


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"name": 7, "frames": 3}, "name of a track is text; got 7"),
        ({"name": "7", "frames": 0}, "at least 1 frame"),
        ({"name": "7", "frames": None}, "frames of a track is a whole number; got None"),
        ({"name": "7", "frames": True}, "got True"),
        ({"name": "7", "frames": 3, "first": 1.0}, "first of a track is a whole number; got 1.0"),
        ({"name": "7", "frames": 3, "last": "1"}, "last of a track"),
    ],
)
def test_wrong_facts_are_refused(fields, answer):
    with pytest.raises(InputError, match=answer):
        TrackInfo(**fields)


@pytest.mark.parametrize(
    ("features", "tracks", "answer"),
    [
        (torch.eye(2), TRACKS, r"a row for each of 3 tracks; got \(2, 2\)"),
        (torch.eye(3).int(), TRACKS, "got torch.int32"),
        (np.eye(3, dtype=np.int64), TRACKS, "got int64"),
        ([[1.0, 2.0]], TRACKS[:1], "got list"),
        (None, TRACKS, "got NoneType"),
        (torch.eye(3).to_sparse(), TRACKS, "dense tensor with data; got torch.sparse_coo on cpu"),
        (torch.empty(3, 3, device="meta"), TRACKS, "dense tensor with data; got torch.strided on meta"),
        (torch.eye(3), None, "tracks are a sequence of nlreid.embedding.TrackInfo"),
        (torch.eye(3), ["a", "b", "c"], "tracks are a sequence of nlreid.embedding.TrackInfo"),
        (torch.eye(3), iter(TRACKS), "tracks are a sequence of nlreid.embedding.TrackInfo"),
        (torch.tensor([[0.0], [float("nan")], [float("inf")]]), (), "those of row 1 are not"),
        (np.array([[0.0], [float("nan")], [float("inf")]]), (), "those of row 1 are not"),
        (torch.zeros(3), TRACKS, r"got torch.float32 \(3,\)"),
        (torch.tensor([[0.0], [float("nan")], [float("inf")]]), TRACKS, "track 'cam1/Zoë' are not"),
        (torch.eye(3), (*TRACKS[:2], TRACKS[0]), "more than once: 7$"),
    ],
)
def test_features_and_tracks_must_agree(features, tracks, answer):
    with pytest.raises(InputError, match=answer):
        Embeddings(features, tracks=tracks)


# --- the file


def bits(features):
    return features.contiguous().view(torch.int32).tolist()


names = st.lists(st.text(max_size=8), min_size=0, max_size=6, unique=True)
number = st.none() | st.integers(-(2**60), 2**60)


@settings(deadline=None)
@given(names=names, width=st.integers(1, 5), model=st.text(max_size=10), data=st.data())
def test_the_file_holds_every_bit(tmp_path_factory, names, width, model, data):
    value = st.floats(width=32, allow_nan=False, allow_infinity=False)
    rows = [data.draw(st.lists(value, min_size=width, max_size=width)) for _ in names]
    tracks = tuple(TrackInfo(name, data.draw(st.integers(1, 2**40)), data.draw(number), data.draw(number)) for name in names)
    labels = st.none() | st.lists(st.integers(-(2**60), 2**60), min_size=len(names), max_size=len(names))
    features = torch.tensor(rows, dtype=torch.float32).reshape(len(names), width)
    before = Embeddings(features, data.draw(labels), data.draw(labels), tracks, model)
    path = tmp_path_factory.getbasetemp() / "people.safetensors"
    before.save(path)
    after = Embeddings.load(path)
    assert bits(after.features) == bits(before.features)
    assert (tuple(after.tracks), after.model) == (before.tracks, before.model)
    for one, other in ((after.pids, before.pids), (after.camids, before.camids)):
        assert one is other is None or one.tolist() == other.tolist()


def test_any_tensor_of_features_can_be_saved(tmp_path, people):
    turned = Embeddings(people.features.T.contiguous().T.requires_grad_(), people.pids, people.camids, TRACKS, people.model)
    turned.save(tmp_path / "turned")
    people.save(tmp_path / "plain")
    assert (tmp_path / "turned").read_bytes() == (tmp_path / "plain").read_bytes()


def test_the_same_embeddings_give_the_same_bytes(tmp_path, people):
    for name in ("a", "b"):
        people.save(tmp_path / name)
    Embeddings.load(tmp_path / "a").save(tmp_path / "c")
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


def test_the_file_has_the_rights_of_any_other(tmp_path, people):
    people.save(tmp_path / "people")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "people").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_an_older_file_is_replaced_also_behind_a_link(tmp_path, people):
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there")
    people.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert bits(Embeddings.load(tmp_path / "there").features) == bits(people.features)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_after_a_failure_the_older_file_stands_and_nothing_else(tmp_path, people, monkeypatch, error, step):
    path = tmp_path / "people"
    path.write_bytes(b"old")

    def fails(*_):
        raise error

    monkeypatch.setattr(os if step == "fsync" else type(path), step, fails)
    with pytest.raises(DataError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        people.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["people"]
    assert path.read_bytes() == b"old"
    if isinstance(error, OSError):
        assert f"{path}: cannot be written (No space left on device)" in str(caught.value)


def test_places_where_nothing_can_be_written_are_named(tmp_path, people, monkeypatch):
    with pytest.raises(DataError, match=r"there is no folder .*/no; make it first"):
        people.save(tmp_path / "no" / "people")
    with pytest.raises(DataError, match="is no regular file"):
        people.save(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null, which a root's renaming would replace
    with pytest.raises(DataError, match=r"pipe: .* is no regular file"):
        people.save(tmp_path / "pipe")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(DataError, match="no permission to write"):
        people.save(tmp_path / "people")


def test_a_power_cut_takes_nothing_away(tmp_path, people, monkeypatch):
    """The bytes are on the disk before the file has its name, and the name before the call returns."""
    events, fsync, replace = [], os.fsync, type(tmp_path).replace

    def synchronised(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(self, target):
        events.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synchronised)
    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    people.save(tmp_path / "people")
    assert events == ["file", "name", "folder"]


def test_a_folder_that_cannot_be_synchronised_does_no_harm(tmp_path, people, monkeypatch):
    fsync = os.fsync

    def no_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    people.save(tmp_path / "people")
    assert bits(Embeddings.load(tmp_path / "people").features) == bits(people.features)


def test_two_writers_at_once_do_not_disturb_each_other(tmp_path, people, monkeypatch):
    """One begins while the other is about to rename its file; their process ids may be equal, on two machines."""
    other = people.select([2, 0])
    fsync, writers = os.fsync, [other]

    def meanwhile(descriptor):
        fsync(descriptor)
        if writers:
            writers.pop().save(tmp_path / "people")

    monkeypatch.setattr(os, "fsync", meanwhile)
    people.save(tmp_path / "people")
    assert writers == []
    assert bits(Embeddings.load(tmp_path / "people").features) == bits(people.features)
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


def test_the_longest_name_that_there_can_be_is_written(tmp_path, people):
    people.save(tmp_path / ("n" * 255))
    assert len(Embeddings.load(tmp_path / ("n" * 255))) == 3


@pytest.mark.parametrize("act", [lambda people, path: people.save(path), lambda _, path: Embeddings.load(path)])
@pytest.mark.parametrize("wrong", [None, 7, ["people"], "zero\0byte"])
def test_what_is_no_path_is_refused(people, act, wrong):
    with pytest.raises(InputError, match="path is the path of a file or folder; got"):
        act(people, wrong)


@pytest.mark.parametrize("act", [lambda people, path: people.save(path), lambda _, path: Embeddings.load(path)])
@pytest.mark.parametrize("name", ["n" * 300, "loop", f"{'n' * 300}/people", "loop/people"])
def test_paths_that_lead_nowhere_are_named(tmp_path, people, act, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError) as caught:
        act(people, tmp_path / name)
    place = tmp_path / name
    said = tuple(f"{path}: " for path in (place, place.parent))
    assert str(caught.value).startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


@pytest.mark.parametrize("act", [lambda people, path: people.save(path), lambda _, path: Embeddings.load(path)])
def test_places_that_may_not_be_entered_are_named(tmp_path, people, act, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "stat", forbidden)  # root may enter any
    with pytest.raises(DataError, match=rf"{tmp_path}.*: cannot be read \(Permission denied\)"):
        act(people, tmp_path / "people")


def test_files_that_may_not_be_read_are_told_from_damaged_ones(tmp_path, people, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    people.save(tmp_path / "people")
    monkeypatch.setattr(type(tmp_path), "open", forbidden)  # root may read any
    with pytest.raises(DataError, match=rf"{tmp_path}/people: cannot be read \(Permission denied\)"):
        Embeddings.load(tmp_path / "people")


def test_a_name_that_could_not_be_read_again_is_refused(tmp_path, people):
    path = tmp_path / os.fsdecode(b"caf\xe9") / "people"
    path.parent.mkdir()
    with pytest.raises(DataError, match="the path is not UTF-8, so it could not be read again"):
        people.save(path)
    assert list(path.parent.iterdir()) == []


# --- reading what is no such file


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 40, -1])
def test_truncated_files_are_refused(tmp_path, people, kept):
    path = tmp_path / "people"
    people.save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=f"{path}: not a file of embeddings, or a damaged one"):
        Embeddings.load(path)


@settings(deadline=None)
@given(place=st.integers(0, 250), value=st.integers(0, 255))
def test_a_damaged_header_is_an_error_or_changes_what_it_says(tmp_path_factory, place, value):
    path = tmp_path_factory.getbasetemp() / "damaged"
    Embeddings(torch.eye(3), tracks=TRACKS).save(path)
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(content)
    try:
        Embeddings.load(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x80\x02}.", b"<html></html>", b"{}", bytes(100)])
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a file of embeddings"):
        Embeddings.load(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file; nlreid embed writes"):
        Embeddings.load(tmp_path / "no")
    with pytest.raises(DataError, match="a folder without files of embeddings"):
        Embeddings.load(tmp_path)


GOOD = {"format": 1, "model": "m", "tracks": [{"name": "7", "frames": 8}]}


def test_the_raw_file_of_these_tests_is_read(tmp_path):
    write_raw(tmp_path / "raw", GOOD)
    assert Embeddings.load(tmp_path / "raw").tracks == (TrackInfo("7", 8),)


@pytest.mark.parametrize(
    ("about", "answer"),
    [
        (None, "does not describe embeddings"),
        ("[1]", "does not describe embeddings"),
        ("{", "not a file of embeddings"),
        ("[" * 100_000, "not a file of embeddings"),
        ({**GOOD, "format": 2}, "format 2 is newer than 1, .*update nlreid"),
        ({**GOOD, "format": "1"}, "its format is '1'"),
        ({**GOOD, "format": True}, "its format is True"),
        ({**GOOD, "format": 0}, "its format is 0"),
        ({**GOOD, "extra": 1}, "not what format 1 has"),
        ({**GOOD, "part_of": 1}, "not what format 1 has"),
        ({"format": 1, "tracks": []}, "not what format 1 has"),
        ({**GOOD, "model": None}, "not what format 1 has"),
        ({**GOOD, "tracks": {"7": 8}}, "not what format 1 has"),
        ({**GOOD, "tracks": ["7"]}, "damaged"),
        ({**GOOD, "tracks": [{"name": "7"}]}, "frames"),
        ({**GOOD, "tracks": [{"name": "7", "frames": 8, "colour": "red"}]}, "colour"),
        ({**GOOD, "tracks": [{"name": 7, "frames": 8}]}, "name of a track is text"),
        ({**GOOD, "tracks": [{"name": "7", "frames": 8.5}]}, "frames of a track is a whole number"),
        ({**GOOD, "tracks": [{"name": "7", "frames": 8, "first": "x"}]}, "first of a track"),
        ({**GOOD, "tracks": [{"name": "7", "frames": 8}, {"name": "8", "frames": 8}]}, "a row for each of 2 tracks"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path, about, answer):
    write_raw(tmp_path / "raw", about)
    with pytest.raises(DataError, match=answer) as caught:
        Embeddings.load(tmp_path / "raw")
    assert str(tmp_path / "raw") in str(caught.value)


@pytest.mark.parametrize(
    ("tensors", "answer"),
    [
        ({}, "its tensors are none"),
        ({"weights": torch.eye(1)}, "its tensors are weights"),
        ({"features": torch.eye(1), "more": torch.eye(1)}, "its tensors are features, more; wanted are features, pids, camids"),
        ({"features": torch.eye(1).int()}, "torch.int32"),
        ({"features": torch.eye(1), "pids": torch.eye(1)}, "pids are whole numbers"),
        ({"features": torch.eye(1), "pids": torch.ones(2).int()}, "an entry for each of 1 features; got 2"),
        ({"features": torch.tensor([[float("nan")]])}, "features are finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, tensors, answer):
    write_raw(tmp_path / "raw", GOOD, tensors)
    with pytest.raises(DataError, match=answer):
        Embeddings.load(tmp_path / "raw")
