"""`embed_in_parts` is `embed` part by part; whatever stops it, the next call answers what an undisturbed one answers."""

import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlreid
from nlreid import Embeddings, Tracklet, embed
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import DataError, InputError


def new_model(seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nlreid.create_model("test_r3d", **options).eval()


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """So small a network is not faster on several, and far slower where they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
        (lambda: new_model(seed=1), "weights: 'random, tensors .* there, 'random, tensors .* here .*is the seed the same"),
        (changed, "weights: "),
        (lambda: new_model().double(), "weights: "),
        (lambda: new_model(clip={"frames": 8}), "clips, frames: 4 there, 8 here"),
        (lambda: new_model(clip={"size": (64, 64)}), r"clips, size: \[64, 32\] there, \[64, 64\] here"),
        (lambda: new_model(clip={"mean": (0.5, 0.5, 0.5)}), "clips, mean: "),
        (lambda: new_model(plan={"name": "i3d", "stem_stride": 2}), "network, plan: "),
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


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"format": 2}', b"\xff"])
def test_a_description_that_is_none_is_refused(model, tmp_path, content):
    (tmp_path / "embedding.json").write_bytes(content)
    with pytest.raises(DataError, match=r"embedding.json: does not say what .*; name another folder, or delete this one"):
        by_parts(model, people(), tmp_path)


def test_descriptions_with_fields_of_other_types_are_refused(model, tmp_path):
    by_parts(model, people(), tmp_path)
    about = json.loads((tmp_path / "embedding.json").read_text())
    for key in about.keys() - {"format"}:
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
    with pytest.raises(DataError, match=r"holds parts of several models \(test_other, weights: random; test_r3d,"):
        by_parts(model, people(), tmp_path / "kept")


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
    ],
)
def test_arguments_that_cannot_be_leave_nothing(model, tmp_path, tracklets, options, answer):
    with pytest.raises(InputError, match=answer):
        by_parts(model, tracklets, tmp_path / "kept", **options)
    assert not list(tmp_path.rglob("*.*"))
