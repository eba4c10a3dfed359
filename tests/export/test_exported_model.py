"""What a file of an exported network does in place of a model: it embeds the same, and refuses what it was not made for."""

import copy
import json
import pickle
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from trained import answers, clips

import nlreid
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import DataError, InputError
from nlreid.export import ExportedModel, load_onnx
from nlreid.models import ClipSpec
from nlreid.models.exported import About


@pytest.fixture(scope="module")
def network(exported):
    return load_onnx(exported.path)


@pytest.fixture
def tracklets():
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (frames, 40, 24, 3), dtype=np.uint8) for frames in (9, 3, 1)]
    return [nlreid.Tracklet(str(number), list(frames), pid=number, camid=0) for number, frames in enumerate(pictures)]


# --- what it answers


def test_it_answers_as_the_model(exported, network):
    clip = clips(exported.model, 2, 5)
    ours, theirs = network(clip), answers(exported.model, clip)
    assert isinstance(ours, nlreid.ReIDOutput)
    torch.testing.assert_close(ours.embedding, theirs.embedding, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.logits, theirs.logits, atol=1e-5, rtol=1e-5)
    assert (network.name, network.embedding_dim, network.num_classes) == ("test_r3d_nl", 512, 5)
    assert (network.clip_spec, network.min_frames) == (exported.model.clip_spec, exported.model.min_frames)


def test_clips_in_any_layout_will_do(exported, network):
    clip = clips(exported.model, 2, 4)
    laid_out = clip.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    assert torch.equal(network(laid_out).embedding, network(clip).embedding)


def test_it_embeds_as_the_model_and_says_which_file(exported, network, tracklets):
    ours = nlreid.embed(network, tracklets, batch_size=2, progress=False)
    theirs = nlreid.embed(exported.model, tracklets, batch_size=2, progress=False)
    torch.testing.assert_close(ours.features, theirs.features, rtol=0, atol=1e-5)
    digest = sha256(exported.path.read_bytes()).hexdigest()
    assert ours.model == f"test_r3d_nl, weights: {exported.path} (sha256 {digest[:12]})"
    assert torch.equal(ours.pids, theirs.pids)


def test_it_embeds_in_parts_and_another_file_is_refused(network, tracklets, tmp_path):
    first = embed_in_parts(network, tracklets, tmp_path / "kept", part=1, progress=False)
    whole = nlreid.embed(network, tracklets, batch_size=1, progress=False)
    torch.testing.assert_close(first.features, whole.features, rtol=0, atol=1e-6)
    again = embed_in_parts(network, tracklets, tmp_path / "kept", part=1, progress=False)
    assert torch.equal(again.features, first.features)
    other = ExportedModel(network._run, network.about, tmp_path / "other.onnx", "0" * 64)
    with pytest.raises(DataError, match=r"weights: .*people.onnx \(tensors .*other.onnx \(tensors 0000"):
        embed_in_parts(other, tracklets, tmp_path / "kept", part=1, progress=False)


# --- what it refuses


@pytest.mark.parametrize(
    ("clip", "came"),
    [
        (torch.zeros(2, 3, 4, 64, 48), r"got torch.float32 \(2, 3, 4, 64, 48\) on cpu"),
        (torch.zeros(2, 3, 1, 64, 32), r"\(2, 3, 1, 64, 32\)"),
        (torch.zeros(3, 4, 64, 32), r"\(3, 4, 64, 32\)"),
        (torch.zeros(2, 4, 4, 64, 32), r"\(2, 4, 4, 64, 32\)"),
        (torch.zeros(2, 3, 4, 64, 32, dtype=torch.float64), "torch.float64"),
        (torch.zeros(2, 3, 4, 64, 32, device="meta"), "on meta"),
        ("clip.npy", "got str"),
    ],
)
def test_clips_that_do_not_fit_are_refused(network, clip, came):
    with pytest.raises(InputError, match=rf"this file takes clips \(b, 3, t, 64, 32\) with t from 2, .*{came}"):
        network(clip)


def test_it_stays_on_the_cpu_in_float32(network, tracklets):
    assert network.to("cpu") is network
    for elsewhere in ("meta", torch.bfloat16):
        with pytest.raises(InputError, match="runs on the CPU in float32; torch"):
            network.to(elsewhere)
    with pytest.raises(InputError, match="leave autocast out"):
        nlreid.embed(network, tracklets, autocast=torch.bfloat16, progress=False)


def test_it_is_its_file(network, exported):
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=f"is its file, {exported.path}"):
            copied(network)


# --- files that are none


def test_files_that_are_none(tmp_path):
    path = tmp_path / "people.onnx"
    with pytest.raises(DataError, match=r"people.onnx: no such file; an ONNX file is written by `nlreid export MODEL -o FILE`"):
        load_onnx(path)
    path.write_bytes(b"no file of ONNX")
    with pytest.raises(DataError, match=r"people.onnx: onnxruntime cannot open it as an ONNX file \("):
        load_onnx(path)
    with pytest.raises(InputError, match="path is the path of a file or folder; got None"):
        load_onnx(None)


def described(path, *entries):
    """An ONNX file that hands its input on, with some metadata."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3]) for name in ("clip", "embedding")]
    graph = helper.make_graph([helper.make_node("Identity", ["clip"], ["embedding"])], "none", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, dict(entries))
    onnx.save(model, path)
    return path


def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = described(tmp_path / "other.onnx", ("producer", "somebody"))
    with pytest.raises(DataError, match=r"other.onnx: does not say which clips it wants: it has no metadata 'nlreid'"):
        load_onnx(path)


def fitting(path, clip=("b", 3, "t", 64, 32), embedding=("b", 3), kind=TensorProto.FLOAT, more=(), about=None):
    """The smallest network that fits its metadata: the mean of each colour, of clips of one frame alone."""
    inputs = [helper.make_tensor_value_info("clip", kind, clip)]
    outputs = [helper.make_tensor_value_info(name, kind, shape) for name, shape in (("embedding", embedding), *more)]
    nodes = [
        helper.make_node("ReduceMean", ["clip", "space"], ["frames"], keepdims=0),
        helper.make_node("Squeeze", ["frames", "time"], ["embedding"]),
        *(helper.make_node("Identity", ["embedding"], [name]) for name, _ in more),
    ]
    axes = [helper.make_tensor(name, TensorProto.INT64, [len(at)], at) for name, at in (("space", [3, 4]), ("time", [2]))]
    graph = helper.make_graph(nodes, "means", inputs, outputs, initializer=axes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = replace(ABOUT, **{"embedding_dim": 3, "min_frames": 1, "clip": ClipSpec(1, 1, (64, 32)), **(about or {})})
    helper.set_model_props(model, {"nlreid": said.to_json()})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "changed",
    [
        {"about": {"clip": ClipSpec(1, 1, (128, 64))}},
        {"about": {"embedding_dim": 512}},
        {"about": {"num_classes": 3}},
        {"clip": (1, 3, "t", 64, 32), "embedding": (1, 3)},
        {"clip": ("b", 3, 1, 64, 32)},
        {"kind": TensorProto.FLOAT16},
        {"more": [("logits", ("b", 3))]},
    ],
)
def test_a_graph_of_other_clips_than_the_file_says_is_refused(tmp_path, changed):
    """As after somebody changed one of the two, with a tool or by hand."""
    path = tmp_path / "people.onnx"
    with pytest.raises(DataError, match=r"people\.onnx: its graph does not fit its metadata 'nlreid': clip tensor\(float"):
        load_onnx(fitting(path, **changed))


def test_what_onnxruntime_cannot_run_is_an_error_with_the_file(tmp_path):
    network = load_onnx(fitting(tmp_path / "people.onnx"))
    clip = torch.rand(2, 3, 1, 64, 32)
    torch.testing.assert_close(network(clip).embedding, clip.mean((2, 3, 4)))
    with pytest.raises(DataError, match=r"people\.onnx: onnxruntime cannot run it on clips \(2, 3, 4, 64, 32\) \("):
        network(torch.rand(2, 3, 4, 64, 32))


ABOUT = About("test_r3d", "random", "", "", 96, 0, 2, ClipSpec(), "0.1")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": 2}, "its format is newer than 1, the newest known here; update nlreid"),
        ({"format": None}, "no format"),
        ({"name": 7}, "name is 7"),
        ({"min_frames": "2"}, "min_frames is '2'"),
        ({"clip": []}, r"clip is \[\]"),
        ({"clip": {"frames": 0}}, "frames is a whole number from 1; got 0"),
        ({"clip": {"tempo": 3}}, "tempo"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_metadata_that_cannot_be_is_refused(tmp_path, changes, problem):
    values = {**json.loads(ABOUT.to_json()), **changes}
    path = described(tmp_path / "people.onnx", ("nlreid", json.dumps(values)))
    with pytest.raises(DataError, match=rf"people.onnx: its metadata 'nlreid' describes no network \(.*{problem}"):
        load_onnx(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"model"', "[" * 100_000])
def test_text_that_is_no_metadata_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="describes no network"):
        About.from_json(text, tmp_path / "people.onnx")


@pytest.mark.parametrize("about", [ABOUT, replace(ABOUT, clip=ClipSpec(4, 1, (64, 32)), licence="CC-BY-4.0", num_classes=9)])
def test_what_is_written_is_what_is_read(tmp_path, about):
    assert About.from_json(about.to_json(), tmp_path) == about


@pytest.mark.parametrize(
    ("source", "said"),
    [("/home/me/weights.safetensors", "weights.safetensors"), ("hf-hub:me/net@1", "hf-hub:me/net@1"), ("random", "random")],
)
def test_folders_of_whoever_exported_stay_out(exported, source, said):
    loaded = replace(exported.model.loaded, source=source)
    model = exported.model
    like = SimpleNamespace(**{name: getattr(model, name) for name in ("name", "embedding_dim", "num_classes", "min_frames")})
    like.loaded, like.clip_spec = loaded, model.clip_spec
    assert About.of(like).weights == said
