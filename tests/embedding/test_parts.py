"""`embed_in_parts` is `embed` part by part; whatever stops it, the next call answers what an undisturbed one answers."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nlreid
from nlreid import Embeddings, Tracklet, embed
from nlreid.data.images import FramePaths
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures("one_thread")


def new_model(seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nlreid.create_model("test_r3d", **options).eval()


@pytest.fixture(scope="module")
def model():
    return new_model()


def tracklet(number, frames=3, **facts):
    generator = np.random.default_rng(number)
    pictures = [generator.integers(0, 256, (8, 4, 3), dtype=np.uint8) for _ in range(frames)]
    return Tracklet(f"t{number}", pictures, **{"pid": number, "camid": number % 2, **facts})


def people(lengths=(3, 9, 1, 4, 6)):
    return [tracklet(number, frames) for number, frames in enumerate(lengths)]


def by_parts(model, tracklets, folder, **options):
    return embed_in_parts(model, tracklets, folder, **{"part": 2, "batch_size": 2, "progress": False, **options})


def assert_same(one, other):
    assert torch.equal(one.features, other.features)
    assert torch.equal(one.pids, other.pids)
    assert torch.equal(one.camids, other.camids)
    assert (tuple(one.tracks), one.model) == (tuple(other.tracks), other.model)


class Counter:
    """How many clips went through a model, and the end of it after some batches."""

    def __init__(self, model, batches=None, error=KeyboardInterrupt):
        self.model, self.batches, self.error, self.clips, self.calls = model, batches, error, 0, 0

    def _seen(self, _module, inputs):
        if self.calls == self.batches:
            raise self.error
        self.calls += 1
        self.clips += len(inputs[0])

    def __enter__(self):
        self.handle = self.model.register_forward_pre_hook(self._seen)
        return self

    def __exit__(self, *_):
        self.handle.remove()


# --- what comes out


@settings(deadline=None, max_examples=8)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), part=st.integers(1, 6), batch_size=st.integers(1, 4))
def test_it_is_embed_part_by_part(model, tmp_path_factory, lengths, part, batch_size):
    tracklets = people(lengths)
    folder = tmp_path_factory.mktemp("kept") / "new" / "folder"
    got = by_parts(model, tracklets, folder, part=part, batch_size=batch_size)
    rows = []
    for start in range(0, len(tracklets), part):
        rows += embed(model, tracklets[start : start + part], batch_size=batch_size, progress=False).features
    whole = embed(model, tracklets, batch_size=batch_size, progress=False)
    assert torch.equal(got.features, torch.stack(rows))
    torch.testing.assert_close(got.features, whole.features, rtol=0, atol=1e-5)
    assert (got.pids.tolist(), got.camids.tolist()) == (whole.pids.tolist(), whole.camids.tolist())
    assert (tuple(got.tracks), got.model) == (whole.tracks, whole.model)
    assert len(list((folder / "parts").iterdir())) == -(-len(tracklets) // part)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(("batches", "clips"), [(0, 0), (1, 0), (2, 4), (3, 6)])
def test_a_run_that_was_stopped_goes_on_where_it_was(model, tmp_path, batches, clips, error):
    """The parts have 4, 2 and 2 clips, of which 2 run together; those of whole parts are not computed again."""
    with Counter(model) as undisturbed:
        expected = by_parts(model, people(), tmp_path / "undisturbed")
    with Counter(model, batches, error), pytest.raises(error):
        by_parts(model, people(), tmp_path / "kept")
    with Counter(model) as second:
        assert_same(by_parts(model, people(), tmp_path / "kept"), expected)
    assert (undisturbed.clips, second.clips) == (8, 8 - clips)


def test_nothing_is_computed_twice(model, tmp_path):
    expected = by_parts(model, people(), tmp_path)
    with Counter(model, 0):
        assert_same(by_parts(model, people(), tmp_path), expected)


def test_each_part_is_a_file_of_embeddings(model, tmp_path):
    got = by_parts(model, people(), tmp_path)
    parts = [Embeddings.load(path) for path in sorted((tmp_path / "parts").iterdir())]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.features for part in parts]), got.features)
    assert {path.name for path in tmp_path.iterdir()} == {"embedding.json", "parts"}


def test_labels_that_are_not_known_stay_unknown(model, tmp_path):
    got = by_parts(model, [tracklet(n, pid=None, camid=None) for n in range(3)], tmp_path)
    assert (got.pids, got.camids) == (None, None)


@pytest.mark.parametrize("damage", ["half", "empty", "zeros"])
def test_a_part_that_is_not_whole_is_embedded_again(model, tmp_path, caplog, damage):
    expected = by_parts(model, people(), tmp_path)
    path = tmp_path / "parts" / "00001.safetensors"
    whole, row = path.read_bytes(), Embeddings.load(path).features[1].numpy().tobytes()
    path.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "zeros": whole.replace(row, bytes(len(row)))}[damage])
    with caplog.at_level(logging.WARNING), Counter(model) as again:
        assert_same(by_parts(model, people(), tmp_path), expected)
    assert again.clips == 2
    assert str(path) in caplog.text
    assert "embedded again" in caplog.text
    assert path.read_bytes() == whole


def test_what_a_killed_process_leaves_does_no_harm(model, tmp_path):
    expected = by_parts(model, people(), tmp_path / "undisturbed")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / ".embedding.json.123.part").write_bytes(b"{")
    assert_same(by_parts(model, people(), tmp_path / "kept"), expected)
    (tmp_path / "kept" / "parts" / "00002.safetensors").rename(tmp_path / "kept" / "parts" / ".00002.safetensors.9.part")
    assert_same(by_parts(model, people(), tmp_path / "kept"), expected)


def test_the_bar_counts_all_tracklets(model, tmp_path, capsys):
    with Counter(model, 3), pytest.raises(KeyboardInterrupt):
        by_parts(model, people(), tmp_path)
    capsys.readouterr()
    by_parts(model, people(), tmp_path, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "5/5" in shown.err


def test_batch_size_may_change_in_between(model, tmp_path):
    expected = by_parts(model, people(), tmp_path / "undisturbed")
    with Counter(model, 3), pytest.raises(KeyboardInterrupt):
        by_parts(model, people(), tmp_path / "kept")
    got = by_parts(model, people(), tmp_path / "kept", batch_size=1, device="cpu")
    torch.testing.assert_close(got.features, expected.features, rtol=0, atol=1e-5)


def test_global_randomness_is_not_touched(model, tmp_path):
    before = torch.get_rng_state()
    by_parts(model, people(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# --- what it refuses


def renamed(name):
    model = new_model()
    model.name = name
    return model


def changed():
    """Trained further since it was made: the name and the source are the same."""
    model = new_model()
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-3
    return model


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        (lambda: renamed("test_other"), "model: 'test_r3d' there, 'test_other' here"),
        (lambda: new_model(seed=1), r"weights: random \(tensors .*\) there, random \(tensors .*\) here; .* of the same seed"),
        (changed, "weights: "),
        (lambda: new_model().double(), "weights: "),
        (lambda: new_model(clip={"frames": 8}), "clips, frames: 4 there, 8 here"),
        (lambda: new_model(clip={"size": (64, 64)}), r"clips, size: \[64, 32\] there, \[64, 64\] here"),
        (lambda: new_model(clip={"mean": (0.5, 0.5, 0.5)}), "clips, mean: "),
        (lambda: new_model(plan={"name": "i3d", "stem_stride": 2}), "network, plan, stem_stride: 1 there, 2 here"),
    ],
)
def test_another_model_is_refused(model, tmp_path, other, answer):
    by_parts(model, people(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(DataError, match=rf"{tmp_path}: holds embeddings that differ in .*{answer}.*; .*name another folder"):
        by_parts(other(), people(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_the_stride_of_training_clips_does_not_matter(model, tmp_path):
    expected = by_parts(model, people(), tmp_path)
    assert_same(by_parts(new_model(clip={"stride": 7}), people(), tmp_path), expected)


@pytest.mark.parametrize(
    ("others", "answer"),
    [
        (people()[:4], "tracklets: 5 there, 4 here, the first that differs is number 4: 't4', none"),
        ([*people(), tracklet(9)], "tracklets: 5 there, 6 here, the first that differs is number 5: none, 't9'"),
        (people()[::-1], "the first that differs is number 0: 't0', 't4'"),
        ([*people()[:4], tracklet(4, 6, pid=77)], "number 4: 't4', 't4'"),
        ([*people()[:4], tracklet(4, 6, camid=5)], "number 4: 't4', 't4'"),
        ([*people()[:4], tracklet(4, 7)], "number 4: 't4', 't4'"),
        ([*people()[:4], Tracklet("t4", people()[4].frames[::-1], 4, 0)], "number 4: 't4', 't4'"),
        ([*people()[:4], tracklet(4, 6, frame_numbers=(1, 2, 3, 4, 5, 6))], "number 4: 't4', 't4'"),
    ],
)
def test_other_tracklets_are_refused(model, tmp_path, others, answer):
    by_parts(model, people(), tmp_path)
    with pytest.raises(DataError, match=answer):
        by_parts(model, others, tmp_path)


def test_the_type_of_a_label_does_not_matter(model, tmp_path):
    expected = by_parts(model, people(), tmp_path)
    again = [tracklet(n, len(t), pid=np.int64(t.pid), camid=np.int32(t.camid)) for n, t in enumerate(people())]
    assert_same(by_parts(model, again, tmp_path), expected)


@pytest.mark.parametrize(
    ("options", "answer"),
    [({"autocast": torch.bfloat16}, "precision: 'None' there, 'torch.bfloat16' here"), ({"part": 3}, "part: 2 there, 3 here")],
)
def test_other_options_are_refused(model, tmp_path, options, answer):
    by_parts(model, people(), tmp_path)
    with pytest.raises(DataError, match=answer):
        by_parts(model, people(), tmp_path, **options)


def test_a_folder_of_other_things_is_refused_and_left_alone(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files \(thesis.tex\), and no embedding.json; name an empty folder"):
        by_parts(model, people(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b"\xff"])
def test_a_description_that_is_none_is_refused(model, tmp_path, content):
    (tmp_path / "embedding.json").write_bytes(content)
    with pytest.raises(DataError, match=r"embedding.json: does not say what .*; name another folder, or delete this one"):
        by_parts(model, people(), tmp_path)


def test_descriptions_with_fields_of_other_types_are_refused(model, tmp_path):
    by_parts(model, people(), tmp_path)
    about = json.loads((tmp_path / "embedding.json").read_text())
    for key in about.keys() - {"format", "pictures in", "weights from"}:
        (tmp_path / "embedding.json").write_text(json.dumps({**about, key: 7}))
        with pytest.raises(DataError, match=f"differ in {key}"):
            by_parts(model, people(), tmp_path)


def test_parts_that_were_exchanged_are_refused(model, tmp_path):
    by_parts(model, people(), tmp_path)
    (tmp_path / "parts" / "00000.safetensors").replace(tmp_path / "parts" / "00001.safetensors")
    with pytest.raises(DataError, match=r"00001.safetensors: holds other tracklets than it should; delete it"):
        by_parts(model, people(), tmp_path)


def test_parts_of_another_model_are_refused(model, tmp_path):
    by_parts(model, people(), tmp_path / "kept")
    by_parts(renamed("test_other"), people(), tmp_path / "other")
    name = "parts/00001.safetensors"
    (tmp_path / "other" / name).replace(tmp_path / "kept" / name)
    with pytest.raises(DataError, match=r"00001.safetensors: is no part of what embedding.json describes.*; delete it"):
        by_parts(model, people(), tmp_path / "kept")


# --- two processes, one folder


class Meanwhile:
    """Runs something once, when a model is in the middle of its first batch."""

    def __init__(self, model, act):
        self.model, self.acts = model, [act]

    def _act(self, *_):
        if self.acts:
            self.acts.pop()()

    def __enter__(self):
        self.handle = self.model.register_forward_pre_hook(self._act)

    def __exit__(self, *_):
        self.handle.remove()
        assert self.acts == []


@pytest.mark.parametrize("end", [None, 2])
def test_of_two_models_that_begin_at_once_one_is_refused(model, tmp_path, end):
    """The second finds a new folder; before its first part is done, the first has kept one part, or all."""
    other = new_model(seed=1)
    expected = by_parts(model, people(), tmp_path / "undisturbed")

    def begin():
        with Counter(model, end):
            by_parts(model, people(), tmp_path / "kept")

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            begin()

    with Meanwhile(other, begin if end is None else interrupted), pytest.raises(DataError, match="differ in weights: "):
        by_parts(other, people(), tmp_path / "kept")
    assert_same(by_parts(model, people(), tmp_path / "kept"), expected)


def test_two_equal_runs_at_once_help_each_other(model, tmp_path):
    expected = by_parts(model, people(), tmp_path / "undisturbed")
    again, results = new_model(), []
    with Meanwhile(model, lambda: results.append(by_parts(again, people(), tmp_path / "kept"))), Counter(model) as counter:
        assert_same(by_parts(model, people(), tmp_path / "kept"), expected)
    assert_same(results[0], expected)
    assert counter.calls == 2  # of its first part, and none of the others


def test_no_file_system_without_hard_links_is_in_the_way(model, tmp_path, monkeypatch):
    def unknown(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unknown)
    other = new_model(seed=1)
    expected = by_parts(model, people(), tmp_path / "undisturbed")
    with (
        Meanwhile(other, lambda: by_parts(model, people(), tmp_path / "kept")),
        pytest.raises(DataError, match="differ in weights: "),
    ):
        by_parts(other, people(), tmp_path / "kept")
    assert_same(by_parts(model, people(), tmp_path / "kept"), expected)


# --- descriptions that were lost


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
@pytest.mark.parametrize("whole", [0, 2])
def test_a_description_that_was_lost_is_made_anew_from_the_parts(model, tmp_path, caplog, content, whole):
    expected = by_parts(model, people(), tmp_path)
    before = (tmp_path / "embedding.json").read_bytes()
    (tmp_path / "embedding.json").unlink()
    if content is not None:
        (tmp_path / "embedding.json").write_bytes(content)
    for number in {0, 1, 2} - {whole}:
        (tmp_path / "parts" / f"{number:05d}.safetensors").write_bytes(b"")
    with caplog.at_level(logging.WARNING), Counter(model) as counter:
        assert_same(by_parts(model, people(), tmp_path), expected)
    assert counter.clips == 8 - (4, 2, 2)[whole]
    assert "embedding.json" in caplog.text
    assert "made anew" in caplog.text
    assert (tmp_path / "embedding.json").read_bytes() == before


@pytest.mark.parametrize("content", [None, b""])
def test_a_description_is_not_made_anew_from_other_parts(model, tmp_path, content):
    by_parts(new_model(seed=1), people(), tmp_path)
    (tmp_path / "embedding.json").unlink()
    if content is not None:
        (tmp_path / "embedding.json").write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(DataError, match=r"no embedding.json|does not say what"):
        by_parts(model, people(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


# --- picture files


@pytest.fixture
def pictures(tmp_path):
    """Two tracklets of two files each, of names that every data set could have."""

    def write(root, seed=0):
        generator = np.random.default_rng(seed)
        for place in ("1", "2"):
            (tmp_path / root / place).mkdir(parents=True)
            for number in range(2):
                picture = generator.integers(0, 256, (8, 4, 3), dtype=np.uint8)
                Image.fromarray(picture).save(tmp_path / root / place / f"{number}.bmp")  # all of one size
        return read(root)

    def read(root, kind=FramePaths):
        names = ["0.bmp", "1.bmp"]
        wrap = {
            FramePaths: lambda folder: FramePaths(folder, names),
            Path: lambda folder: [folder / name for name in names],
            str: lambda folder: [str(folder / name) for name in names],
        }[kind]
        return [Tracklet(place, wrap(tmp_path / root / place), int(place), 1) for place in ("1", "2")]

    write.read = read
    return write


def test_other_pictures_of_the_same_names_are_refused(model, tmp_path, pictures):
    by_parts(model, pictures("one"), tmp_path / "kept")
    with pytest.raises(DataError, match=rf"number 0: '1', '1', of other pictures, then in {tmp_path}/one/1, now in .*/two/1"):
        by_parts(model, pictures("two", seed=1), tmp_path / "kept")


@pytest.mark.parametrize("kind", [Path, str])
def test_a_data_set_may_move_and_be_read_otherwise(model, tmp_path, pictures, kind):
    expected = by_parts(model, pictures("one"), tmp_path / "kept")
    (tmp_path / "one").rename(tmp_path / "moved")
    with Counter(model, 0):
        assert_same(by_parts(model, pictures.read("moved", kind), tmp_path / "kept"), expected)


def test_a_changed_size_of_any_picture_is_seen(model, tmp_path, pictures):
    tracklets = pictures("one")
    by_parts(model, tracklets, tmp_path / "kept")
    with tracklets[1].frames[1].open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="number 1: '2', '2', of other pictures;"):
        by_parts(model, tracklets, tmp_path / "kept")


def test_other_labels_of_the_same_pictures_are_told_apart(model, tmp_path, pictures):
    by_parts(model, pictures("one"), tmp_path / "kept")
    other = [Tracklet(t.name, t.frames, t.pid, 2) for t in pictures.read("one")]
    with pytest.raises(DataError, match="number 0: '1', '1', of another pid, camid, length or frame numbers;"):
        by_parts(model, other, tmp_path / "kept")


def test_a_missing_picture_is_named_before_anything_is_embedded(model, tmp_path, pictures):
    tracklets = pictures("one")
    tracklets[1].frames[1].unlink()
    with Counter(model, 0), pytest.raises(DataError, match=r"one/2/1.bmp: cannot be read \(No such file or directory\)"):
        by_parts(model, tracklets, tmp_path / "kept")


# --- parts that were tampered with


def rewrite(path, **tensors):
    """Other tensors in a file, under what it says of itself."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata, all_of_them = file.metadata(), {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    kept = {name: tensor for name, tensor in {**all_of_them, **tensors}.items() if tensor is not None}
    safetensors.torch.save_file(kept, path, metadata)


@pytest.mark.parametrize(
    ("tensors", "answer"),
    [
        ({"pids": torch.tensor([2, 99])}, r"00001.safetensors: holds other tracklets than it should; delete it"),
        ({"camids": torch.tensor([7, 1])}, r"00001.safetensors: holds other tracklets than it should; delete it"),
        ({"pids": None}, r"00001.safetensors: holds other tracklets than it should; delete it"),
        (
            {"features": torch.eye(2)},
            r"parts: holds parts of several kinds \(2 values by test_r3d.*; 96 values by .*delete the",
        ),
    ],
)
def test_a_part_of_other_labels_or_another_width_is_refused(model, tmp_path, tensors, answer):
    by_parts(model, people(), tmp_path)
    rewrite(tmp_path / "parts" / "00001.safetensors", **tensors)
    with pytest.raises(DataError, match=answer):
        by_parts(model, people(), tmp_path)


# --- folders and arguments that cannot be


@pytest.mark.parametrize("name", ["n" * 300, "loop", "loop/kept", os.fsdecode(b"caf\xe9")])
def test_folders_that_cannot_keep_anything_are_named_before_the_work(model, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with Counter(model, 0), pytest.raises(DataError) as caught:
        by_parts(model, people(), tmp_path / name)
    shown = str(tmp_path / name).replace("\udce9", "\\udce9")
    assert str(caught.value).startswith(shown)


def test_parts_that_cannot_be_looked_at_are_an_error(model, tmp_path):
    by_parts(model, people(), tmp_path)
    shutil.rmtree(tmp_path / "parts")
    (tmp_path / "parts").symlink_to("parts")
    with pytest.raises(DataError, match=r"parts/00000.safetensors: cannot be read \(Too many levels of symbolic links\)"):
        by_parts(model, people(), tmp_path)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"one of nlreid\.create_model; got Linear"):
        by_parts(torch.nn.Linear(2, 2), people(), tmp_path / "kept")


def test_what_is_no_folder_is_refused(model):
    with pytest.raises(InputError, match="folder is the path of a file or folder; got None"):
        by_parts(model, people(), None)


def test_a_file_is_no_folder(model, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(DataError, match="no folder that can be written"):
            by_parts(model, people(), place)


@pytest.mark.parametrize(
    ("tracklets", "options", "answer"),
    [
        ([], {}, "no tracklet to embed"),
        (iter(people()), {}, "a list or tuple of nlreid.Tracklet"),
        (["t0"], {}, "a list or tuple of nlreid.Tracklet"),
        ([tracklet(1), tracklet(2), tracklet(1, 5)], {}, "'t1' came twice"),
        ([tracklet(1), tracklet(2, pid=None)], {}, "either all tracklets have a pid or none has; 't1' has one, and 't2' not"),
        ([tracklet(1, camid=None), tracklet(2)], {}, "a camid or none has; 't2' has one, and 't1' not"),
        (people(), {"part": 0}, "part is a whole number from 1; got 0"),
        (people(), {"batch_size": 0}, "batch_size is a whole number from 1; got 0"),
        (people(), {"autocast": torch.float32}, "autocast is"),
        (people(), {"device": "quantum"}, "device 'quantum' cannot be used here"),
        ([Tracklet("t", [np.zeros((4, 4), np.uint8)])], {}, "must be uint8 RGB"),
        (None, {}, "a list or tuple of nlreid.Tracklet"),
        (tracklet(1), {}, "a list or tuple of nlreid.Tracklet"),
        (people(), {"batch_size": 2.5}, "batch_size is a whole number from 1; got 2.5"),
    ],
)
def test_arguments_that_cannot_be_leave_nothing(model, tmp_path, tracklets, options, answer):
    with pytest.raises(InputError, match=answer):
        by_parts(model, tracklets, tmp_path / "kept", **options)
    assert not list(tmp_path.rglob("*.*"))
