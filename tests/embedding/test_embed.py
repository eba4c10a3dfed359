"""`embed` is a loop over tracklets and their clips, run in batches: same vectors, same order, bounded memory."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

import nlreid
from nlreid import Tracklet, embed
from nlreid.data.clips import dense
from nlreid.embedding import TrackInfo
from nlreid.errors import DataError, InputError


@pytest.fixture(scope="module")
def model():
    return new_model()


def new_model(name="test_r3d_nl", **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nlreid.create_model(name, **options).eval()


def tracklet(name, frames, *, seed=None, size=(40, 24), **facts):
    generator = np.random.default_rng(len(name) * 1000 + frames if seed is None else seed)
    return Tracklet(name, [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(frames)], **facts)


def tracklets():
    return [tracklet("7", 11), tracklet("12", 3), tracklet("3", 1, size=(90, 30)), tracklet("100", 4), tracklet("nine", 8)]


def one_by_one(model, tracklets):
    """Every clip alone through the network, the mean over the clips of a tracklet, scaled to length one."""
    rows = []
    for tracklet in tracklets:
        frames = max(model.clip_spec.frames, model.backbone.min_frames)
        embeddings = []
        for indices in dense(len(tracklet), frames):
            clip = model.clip_spec.transform()(tracklet.read(indices, model.clip_spec.size))
            with torch.no_grad():
                embeddings.append(model(clip[None].to(next(model.parameters()).dtype)).embedding[0].float())
        rows.append(F.normalize(torch.stack(embeddings).mean(0), dim=0))
    return torch.stack(rows)


# --- what comes out


@pytest.mark.parametrize("name", ["test_r3d_nl", "test_c2d", "test_c2d_rnn"])
def test_embed_is_the_loop(name):
    model = new_model(name)
    people = embed(model, tracklets(), batch_size=3, progress=False)
    torch.testing.assert_close(people.features, one_by_one(model, tracklets()), rtol=0, atol=1e-5)
    assert [track.name for track in people.tracks] == ["7", "12", "3", "100", "nine"]
    assert people.model == f"{name}, weights: random"
    assert not people.features.is_inference()


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 13), min_size=1, max_size=5),
    batch_size=st.integers(1, 9),
    order=st.randoms(use_true_random=False),
)
def test_neither_batch_size_nor_order_matters(model, lengths, batch_size, order):
    people = [tracklet(str(index), length, seed=index) for index, length in enumerate(lengths)]
    reference = embed(model, people, batch_size=1, progress=False)
    order.shuffle(people)
    other = embed(model, people, batch_size=batch_size, progress=False)
    assert [track.name for track in other.tracks] == [person.name for person in people]
    rows = [reference.index(person.name) for person in people]
    torch.testing.assert_close(other.features, reference.features[rows], rtol=0, atol=1e-5)
    torch.testing.assert_close(other.features.norm(dim=1), torch.ones(len(people)))


def test_what_is_known_of_a_tracklet_is_kept(model):
    known = tracklet("7", 3, pid=np.int64(4), camid=2, frame_numbers=(11, 12, 15))
    people = embed(model, [known, tracklet("8", 2, pid=-1, camid=1)], progress=False)
    assert people.tracks == (TrackInfo("7", 3, first=11, last=15), TrackInfo("8", 2))
    assert (people.pids.tolist(), people.camids.tolist()) == ([4, -1], [2, 1])
    unknown = embed(model, [tracklet("8", 2)], progress=False)
    assert (unknown.pids, unknown.camids) == (None, None)


@pytest.mark.parametrize("labels", [{}, {"pid": 1}, {"camid": 1}])
def test_a_label_is_known_of_all_tracklets_or_of_none(model, labels):
    people = [tracklet("7", 3, pid=4, camid=2), tracklet("8", 2, **labels)]
    with pytest.raises(InputError, match="'7' has pid 4 and camid 2, '8' has pid"):
        embed(model, people, progress=False)


def test_tracks_shorter_than_the_plan_can_reduce_are_stretched():
    model = new_model("test_r3d", clip={"frames": 1}, plan={"name": "i3d", "stem_stride": 2, "stem_pool_stride": 2})
    assert model.backbone.min_frames == 5
    people = embed(model, [tracklet("7", 1), tracklet("8", 7)], progress=False)
    torch.testing.assert_close(people.features, one_by_one(model, [tracklet("7", 1), tracklet("8", 7)]), rtol=0, atol=1e-5)


def test_frames_may_be_files(model, tmp_path):
    pictures = tracklet("7", 6)
    files = [tmp_path / f"{index}.png" for index in range(6)]
    for path, frame in zip(files, pictures.frames, strict=True):
        Image.fromarray(frame).save(path)
    from_files = embed(model, [Tracklet("7", files)], progress=False)
    assert torch.equal(from_files.features, embed(model, [pictures], progress=False).features)
    files[5].unlink()
    with pytest.raises(DataError, match=r"5\.png"):
        embed(model, [Tracklet("7", files)], progress=False)


def test_a_model_of_another_type_runs_in_its_own():
    double = new_model().double()
    people = embed(double, tracklets(), progress=False)
    assert people.features.dtype == torch.float32
    torch.testing.assert_close(people.features, one_by_one(double, tracklets()), rtol=0, atol=1e-6)
    assert {parameter.dtype for parameter in double.parameters()} == {torch.float64}


def test_mixed_precision_comes_close_and_is_really_mixed(model):
    seen = []
    handle = model.aggregate.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    mixed = embed(model, tracklets(), autocast=torch.bfloat16, progress=False)
    handle.remove()
    exact = embed(model, tracklets(), progress=False)
    assert torch.bfloat16 in seen
    assert mixed.features.dtype == torch.float32
    assert (mixed.features * exact.features).sum(1).min() > 0.999
    assert not torch.equal(mixed.features, exact.features)


def test_lengths_survive_extreme_scales():
    model, names = new_model(head="bnneck"), ["7", "9"]
    reference = embed(model, [tracklet(name, 5) for name in names], progress=False)
    for scale in (1e-25, 1e25):
        with torch.no_grad():
            model.head.norm.weight.fill_(scale)
        people = embed(model, [tracklet(name, 5) for name in names], progress=False)
        torch.testing.assert_close(people.features, reference.features, rtol=0, atol=1e-5)


# --- what it needs and what it leaves behind


def test_tracklets_are_taken_one_at_a_time_and_let_go(model):
    given, batches = [], []

    def watched():
        for index in range(7):
            assert [reference() for reference in given] == [None] * index  # those before are gone
            person = tracklet(str(index), 4, seed=index)
            given.append(weakref.ref(person))
            yield person
            del person

    handle = model.register_forward_hook(lambda *_: batches.append(len(given)))
    people = embed(model, watched(), batch_size=2, prefetch=0, progress=False)
    handle.remove()
    assert batches == [2, 4, 6, 7]  # nothing was taken ahead of the batch that it is in
    assert len(people) == 7


def test_a_long_tracklet_is_not_held_as_clips(model):
    sizes = []
    handle = model.register_forward_hook(lambda _module, inputs, _output: sizes.append(len(inputs[0])))
    embed(model, [tracklet("7", 18), tracklet("8", 4)], batch_size=2, progress=False)
    handle.remove()
    assert sizes == [2, 2, 2]


def test_every_part_is_left_in_its_mode():
    model = new_model()
    model.train()
    model.backbone.layer2.eval()  # someone fine-tunes with this stage's statistics fixed
    modes = [module.training for module in model.modules()]
    statistics = model.backbone.bn1.running_mean.clone()
    embed(model, tracklets(), progress=False)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.backbone.bn1.running_mean, statistics)

    def broken():
        yield tracklet("7", 9)
        assert not any(module.training for module in model.modules())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(model, broken(), batch_size=1, progress=False)
    assert [module.training for module in model.modules()] == modes


def test_embeddings_can_be_trained_on(model):
    weight = torch.ones(96, requires_grad=True)
    (embed(model, tracklets(), progress=False).features @ weight).sum().backward()
    assert weight.grad.abs().sum() > 0


def test_global_randomness_is_not_touched(model):
    before = torch.get_rng_state()
    embed(model, tracklets(), progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_progress_bar_can_be_switched_off(model, capsys):
    embed(model, tracklets(), progress=False)
    assert capsys.readouterr() == ("", "")
    embed(model, tracklets())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "embedding: 100%" in shown.err
    assert "5/5" in shown.err


def test_the_progress_bar_ends_before_an_error_is_told(model, capsys):
    with pytest.raises(InputError) as caught:
        embed(model, [tracklet("7", 3), Tracklet("8", [np.zeros((4, 4), np.uint8)])])
    assert caught.tb is not None  # still held, as it is where an error is told
    assert capsys.readouterr().err.endswith("\n")


# --- what it refuses


@pytest.mark.parametrize(
    ("people", "options", "answer"),
    [
        ([], {}, "no tracklet to embed"),
        (iter(()), {}, "no tracklet to embed"),
        ([tracklet("7", 3), tracklet("8", 3), tracklet("7", 5)], {}, "'7' came twice"),
        ([tracklet("7", 3)], {"batch_size": 0}, "batch_size is a whole number from 1; got 0"),
        ([tracklet("7", 3)], {"batch_size": "3"}, "batch_size is a whole number from 1; got '3'"),
        ([tracklet("7", 3)], {"batch_size": 2.5}, "batch_size is a whole number from 1; got 2.5"),
        ([tracklet("7", 3)], {"batch_size": float("nan")}, "batch_size is a whole number from 1; got nan"),
        ([tracklet("7", 3)], {"prefetch": -1}, "prefetch is a whole number from 0; got -1"),
        ([tracklet("7", 3)], {"prefetch": 1.5}, "prefetch is a whole number from 0; got 1.5"),
        ([tracklet("7", 3)], {"autocast": "bfloat16"}, "torch.bfloat16, torch.float16 or None; got bfloat16"),
        ([tracklet("7", 3)], {"device": ["cpu"]}, r"device .* cannot be used here"),
        ([tracklet("7", 3)], {"autocast": torch.float32}, "torch.bfloat16, torch.float16 or None; got torch.float32"),
        ([tracklet("7", 3)], {"device": "cuda:-1"}, "device 'cuda:-1' cannot be used here"),
        ([tracklet("7", 3)], {"device": "meta"}, "device 'meta' cannot be used here"),
        ([tracklet("7", 3)], {"device": "cuda:99"}, r"device 'cuda:99' cannot be used here .*devices that can: 'cpu'"),
        ([Tracklet("7", [np.zeros((4, 4), np.uint8)])], {}, r"tracklet '7' must be uint8 RGB"),
    ],
)
def test_what_cannot_be_embedded_is_refused(model, people, options, answer):
    with pytest.raises(InputError, match=answer):
        embed(model, people, progress=False, **options)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_embedding_that_is_not_finite_names_its_track_at_once(model, value):
    """Only the bright tracklet breaks the network: a hook stands for weights that overflow."""

    def overflow(_module, inputs, output):
        bright = inputs[0].amax(dim=(1, 2, 3, 4)) > 2.3
        return output._replace(embedding=torch.where(bright[:, None], value, output.embedding))

    def people():
        yield Tracklet("dark", [np.zeros((8, 8, 3), np.uint8)] * 4)
        yield Tracklet("bright", [np.full((8, 8, 3), 255, np.uint8)] * 4)
        yield Tracklet("grey", [np.full((8, 8, 3), 9, np.uint8)] * 4)
        pytest.fail("the error comes with its batch")

    handle = model.register_forward_hook(overflow)
    try:
        with pytest.raises(InputError, match="embedding of track 'bright' is zero or not finite"):
            embed(model, people(), batch_size=2, prefetch=0, progress=False)
    finally:
        handle.remove()


def test_an_embedding_of_zeros_has_no_direction():
    model = new_model(head="bnneck")
    torch.nn.init.zeros_(model.head.norm.weight)
    with pytest.raises(InputError, match="embedding of track '7' is zero or not finite"):
        embed(model, [tracklet("7", 3)], progress=False)


@pytest.mark.parametrize("wrong", ["people", ["people/person_0"], torch.zeros(2, 3, 4, 64, 32), tracklet("7", 3), None])
def test_what_is_no_tracklet_is_refused(model, wrong):
    with pytest.raises(InputError, match=r"embed takes nlreid.Tracklet objects"):
        embed(model, wrong, progress=False)


@pytest.mark.parametrize("wrong", [torch.nn.Linear(2, 2), "r3d50_nl", None])
def test_what_is_no_model_is_refused(wrong):
    with pytest.raises(InputError, match=r"the model to embed with is one of nlreid.create_model; got "):
        embed(wrong, [tracklet("7", 3)], progress=False)


def test_a_model_that_is_wrapped_may_embed(model):
    """As `torch.compile` wraps it: of another class, with everything of the model."""

    class Wrapped(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            return super().__getattr__(name) if name in ("_modules", "inner") else getattr(self.inner, name)

        def forward(self, clip):
            return self.inner(clip)

    people = embed(Wrapped(model), tracklets(), progress=False)
    assert torch.equal(people.features, embed(model, tracklets(), progress=False).features)
