"""A file of weights fits its model bit by bit; what may be missing or dropped is reported, and anything else is refused."""

import re

import pytest
import safetensors.torch
import timm
import torch

import nlreid
from nlreid.errors import WeightsError
from nlreid.models import LoadReport
from nlreid.models.checkpoint import Checkpoint
from nlreid.models.load import load_checkpoint
from nlreid.models.read import read_checkpoint

CLIP = torch.randn(2, 3, 4, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def saved(tmp_path):
    """Writes a state dict, changed by name where asked; gives the path."""

    def save(source, **changes):
        tensors = {**{name: tensor.clone() for name, tensor in source.items()}, **changes}
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        safetensors.torch.save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
        return path

    return save


def trained(name, **options):
    """A model none of whose tensors is what a fresh one has."""
    model = nlreid.create_model(name, **options)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.1)
            else:
                tensor.add_(7)
    return model.eval()


def assert_same(model, expected):
    own = model.state_dict()
    assert own.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(own[name], expected[name])] == []


# --- a model's own weights


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_r3d_nl", {"num_classes": 5}),
        ("test_r3d_nl", {"num_classes": 5, "head": "linear"}),
        ("test_r3d_separable", {"num_classes": 5, "head": "bnneck"}),
        ("test_c2d_rnn", {"head": "bottleneck", "embedding_dim": 24}),
        ("test_r2plus1d", {}),
    ],
)
def test_every_bit_comes_back(saved, name, options):
    source = trained(name, **options)
    path = saved(source.state_dict())
    # the kind of head and the size of its embedding are read from the file; the number of classes is the caller's
    model = nlreid.create_model(name, path, num_classes=options.get("num_classes", 0)).eval()
    assert type(model.head) is type(source.head)
    assert_same(model, source.state_dict())
    assert model.loaded == LoadReport(str(path))
    assert torch.equal(model(CLIP).embedding, source(CLIP).embedding)


def test_torch_files_do_as_well(tmp_path):
    source = trained("test_r3d", num_classes=5)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "weights")
    assert_same(nlreid.create_model("test_r3d", tmp_path / "weights", num_classes=5), source.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_files_of_another_precision_load_in_that_of_the_model(saved, dtype):
    cut = {name: tensor.to(dtype) for name, tensor in trained("test_r3d_nl", num_classes=5).state_dict().items()}
    model = nlreid.create_model("test_r3d_nl", saved(cut), num_classes=5)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.backbone.bn1.num_batches_tracked.dtype == torch.int64  # though the file's counters float
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, cut[name].to(tensor.dtype)), name


# --- heads


@pytest.mark.parametrize("head", ["linear", "bottleneck", "bnneck"])
@pytest.mark.parametrize("num_classes", [0, 4])
def test_a_classifier_of_another_size_is_dropped_and_reported(saved, head, num_classes):
    source = trained("test_r3d", num_classes=5, head=head)
    model = nlreid.create_model("test_r3d", saved(source.state_dict()), num_classes=num_classes).eval()
    classifier = tuple(sorted(name for name in source.state_dict() if name.startswith("head.classifier.")))
    assert model.loaded.dropped == classifier
    assert model.loaded.missing == (classifier if num_classes else ())
    assert model.num_classes == num_classes
    assert torch.equal(model(CLIP).embedding, source(CLIP).embedding)


def test_a_head_without_classifier_gets_a_new_one(saved):
    source = trained("test_r3d", head="bottleneck")
    model = nlreid.create_model("test_r3d", saved(source.state_dict()), num_classes=3).eval()
    assert model.loaded.missing == ("head.classifier.bias", "head.classifier.weight")
    assert model.loaded.dropped == ()
    assert torch.equal(model(CLIP).embedding, source(CLIP).embedding)


def test_a_trained_head_is_dropped_only_when_asked(saved):
    source = trained("test_r3d", num_classes=5)
    path = saved(source.state_dict())
    heads = tuple(sorted(name for name in source.state_dict() if name.startswith("head.")))
    plain = nlreid.create_model("test_r3d", path, head="none").eval()
    assert plain.loaded == LoadReport(str(path), dropped=heads)
    assert torch.equal(plain(CLIP).embedding, source.forward_features(CLIP).mean((2, 3, 4)))
    linear = nlreid.create_model("test_r3d", path, head="linear", num_classes=5)
    assert linear.loaded == LoadReport(str(path), ("head.classifier.bias", "head.classifier.weight"), heads)


# --- non-local blocks


def test_fresh_non_local_blocks_change_nothing(saved):
    source = trained("test_r3d", num_classes=5)
    model = nlreid.create_model("test_r3d_nl", saved(source.state_dict()), num_classes=5).eval()
    assert torch.equal(model(CLIP).embedding, source(CLIP).embedding)
    assert torch.equal(model(CLIP).logits, source(CLIP).logits)
    assert set(model.loaded.missing) == {name for name in model.state_dict() if ".non_local_" in name}
    assert model.loaded.dropped == ()


def test_a_checkpoint_with_one_block_fits_a_model_with_two(saved):
    source = trained("test_r3d", non_local={"blocks": [[], [0], [], []]})
    model = nlreid.create_model("test_r3d_nl", saved(source.state_dict())).eval()
    assert {name.split(".")[1] for name in model.loaded.missing} == {"layer3"}
    assert torch.equal(model(CLIP).embedding, source(CLIP).embedding)


def test_half_a_non_local_block_is_an_error(saved):
    weights = trained("test_r3d_nl").state_dict()
    path = saved(weights, **{"backbone.layer2.non_local_0.g.weight": None})
    with pytest.raises(WeightsError, match=r"1 tensors missing \(backbone\.layer2\.non_local_0\.g\.weight\)"):
        nlreid.create_model("test_r3d_nl", path)


# --- 2D weights


@pytest.fixture
def network2d():
    source = timm.create_model("test_resnet", num_classes=7)
    with torch.no_grad():
        for tensor in source.state_dict().values():
            tensor.add_(torch.rand_like(tensor, dtype=torch.float32).to(tensor.dtype))
    return source


@pytest.mark.parametrize("init", ["mean", "center"])
@pytest.mark.parametrize("name", ["test_r3d_nl", "test_r3d_separable", "test_r3d_full", "test_c2d_attention"])
def test_2d_weights_are_inflated_as_a_network_is(saved, network2d, name, init):
    path = saved(network2d.state_dict())
    model = nlreid.create_model(name, path, init=init)
    expected = nlreid.inflate(network2d, model.spec.plan, init).state_dict()
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key], expected[key]) for key in expected)
    assert {key for key in own if key not in expected} == {key for key in own if ".non_local_" in key}
    assert model.loaded.dropped == ("fc.bias", "fc.weight")
    fresh = {f"backbone.{key}" for key in own if key not in expected}
    assert set(model.loaded.missing) == fresh | {key for key in model.state_dict() if key.startswith("aggregate.")}


def test_2d_weights_bring_no_head(saved, network2d):
    model = nlreid.create_model("test_r3d", saved(network2d.state_dict()), num_classes=7, head="linear")
    assert model.loaded.missing == ("head.classifier.bias", "head.classifier.weight")
    assert model.num_classes == 7


@pytest.mark.parametrize("init", ["mean", "center"])
@pytest.mark.parametrize("name", ["test_r3d", "test_r3d_separable"])
def test_2d_weights_in_half_precision_are_inflated_in_single(saved, network2d, name, init):
    path = saved({key: tensor.half() for key, tensor in network2d.state_dict().items() if "num_batches" not in key})
    model = nlreid.create_model(name, path, init=init)
    expected = nlreid.inflate(network2d.half().float(), model.spec.plan, init).state_dict()
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key], expected[key]) for key in expected if "num_batches" not in key)


def test_2d_weights_mean_nothing_to_some_plans(saved, network2d):
    for name, plan in (("test_mc3", "mc3"), ("test_r2plus1d", "r2plus1d")):
        with pytest.raises(WeightsError, match=f"plan '{plan}' cannot inherit any"):
            nlreid.create_model(name, saved(network2d.state_dict()))


def test_2d_weights_bring_the_statistics_of_their_pictures(saved):
    path = saved(timm.create_model("resnetv2_50x1_bit").state_dict())
    for clip in ({}, {"clip": {"frames": 4}}):
        model = nlreid.create_model("r3d50", path, backbone="resnetv2_50x1_bit", **clip)
        assert model.clip_spec.mean == model.clip_spec.std == (0.5, 0.5, 0.5)
    model = nlreid.create_model("r3d50", path, backbone="resnetv2_50x1_bit", clip={"mean": (0.1, 0.2, 0.3)})
    assert (model.clip_spec.mean, model.clip_spec.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


# --- what does not fit


def wrong_files(saved):
    weights = trained("test_r3d", num_classes=5).state_dict()
    conv = "backbone.layer1.0.conv1.weight"
    two = timm.create_model("test_resnet").state_dict()
    return {
        "missing (backbone.layer1.0.conv1.weight)": saved(weights, **{conv: None}),
        "that the model does not have (backbone.layer9.weight)": saved(weights, **{"backbone.layer9.weight": torch.eye(2)}),
        "that the model does not have (aggregate.weight)": saved(weights, **{"aggregate.weight": torch.eye(2)}),
        "of another shape (backbone.layer1.0.conv1.weight)": saved(weights, **{conv: torch.zeros(32, 32, 1, 3, 3)}),
        "of another type (backbone.layer1.0.conv1.weight)": saved(weights, **{conv: weights[conv].int()}),
        "of another type (backbone.bn1.bias)": saved(weights, **{"backbone.bn1.bias": weights["backbone.bn1.bias"] > 0}),
        "missing (head.classifier.bias)": saved(weights, **{"head.classifier.bias": None}),
        "missing (head.norm.bias)": saved(weights, **{"head.norm.bias": None}),
        "missing (layer1.0.conv1.weight)": saved(two, **{"layer1.0.conv1.weight": None}),
        "left over (layer9.weight)": saved(two, **{"layer9.weight": torch.eye(2)}),
        "of another shape (layer1.0.conv1.weight)": saved(two, **{"layer1.0.conv1.weight": torch.eye(2)}),
        "missing (": saved(timm.create_model("resnet10t").state_dict()),
        "left over (a)": saved({"a": torch.eye(2)}),
    }


def test_files_that_do_not_fit_are_named_with_their_keys_and_leave_the_model_as_it_was(saved):
    model = nlreid.create_model("test_r3d", num_classes=5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for answer, path in wrong_files(saved).items():
        with pytest.raises(WeightsError) as caught:
            load_checkpoint(model, read_checkpoint(path), "mean")
        message = str(caught.value)
        assert answer in message
        assert message.startswith(f"{path}: ")
        assert message.endswith("is it a checkpoint of 'test_r3d'?")
        assert "\n" not in message
        assert_same(model, before)


@pytest.mark.parametrize(
    ("other", "looks"),
    [("test_r3d_nl", "test_r3d_nl"), ("test_r2plus1d", "test_r2plus1d"), ("r3d18_nl", "r3d18_nl"), ("test_slow", "test_slow")],
)
def test_the_checkpoint_of_another_model_is_recognised(saved, other, looks):
    path = saved(nlreid.create_model(other).state_dict())
    with pytest.raises(WeightsError, match=rf"\(.*backbone\..*looks like a checkpoint of '{looks}' \(100%.*not of 'test_r3d'"):
        nlreid.create_model("test_r3d", path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["backbone.layer1.0.conv1.weight", "backbone.bn1.running_var", "head.classifier.bias"])
def test_values_that_are_not_finite_are_refused(saved, name, value):
    weights = trained("test_r3d", num_classes=5).state_dict()
    wild = weights[name].clone()
    wild.view(-1)[-1] = value
    with pytest.raises(WeightsError, match=rf"not finite numbers, .*\({re.escape(name)}\)"):
        nlreid.create_model("test_r3d", saved(weights, **{name: wild}), num_classes=5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone.bn1.running_var", torch.tensor(-0.5)),
        ("backbone.bn1.num_batches_tracked", torch.tensor(3.7)),
        ("head.classifier.bias", torch.tensor(1e300, dtype=torch.float64)),  # infinite as float32
    ],
)
@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_values_that_no_network_has_are_refused(saved, tmp_path, form, name, value):
    weights = trained("test_r3d", num_classes=5).state_dict()
    weights[name] = value.expand(weights[name].shape).clone()
    path = saved(weights) if form == "safetensors" else tmp_path / "weights.pth"
    if form == "torch":
        torch.save(weights, path)
    with pytest.raises(WeightsError, match=rf"not possible ones \({re.escape(name)}\)"):
        nlreid.create_model("test_r3d", path, num_classes=5)


@pytest.mark.parametrize("lost", ["head.fc.weight", "head.norm.weight", "head.norm.running_var", "head.classifier.bias"])
@pytest.mark.parametrize("head", ["bottleneck", "linear", "bnneck", "none", None])
def test_a_head_in_pieces_is_not_taken_for_one_of_another_kind(saved, lost, head):
    path = saved(trained("test_r3d", num_classes=5).state_dict(), **{lost: None})
    with pytest.raises(WeightsError, match=r"tensors (missing|of another shape|that the model does not have) \(head\."):
        nlreid.create_model("test_r3d", path, num_classes=0 if head == "none" else 5, head=head)


def test_a_piece_of_a_head_is_no_head(saved):
    path = saved(trained("test_r3d").state_dict(), **{"head.classifier.bias": torch.zeros(5)})
    for options in ({"num_classes": 5, "head": "linear"}, {}):
        with pytest.raises(WeightsError, match=r"head\.classifier"):
            nlreid.create_model("test_r3d", path, **options)


def test_long_lists_of_keys_are_cut(saved):
    weights = {f"backbone.{name}": torch.zeros(1, 1, 1, 1, 1) for name in "abcdef"}
    with pytest.raises(WeightsError, match=r"6 tensors that the model does not have \(backbone.a, backbone.b, backbone.c, …\)"):
        nlreid.create_model("test_r3d", saved(weights))


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        nlreid.create_model("test_r3d", tmp_path / "no.pth")


# --- what can be told from the names


@pytest.mark.parametrize(
    ("names", "is_2d", "head"),
    [
        (["conv1.weight", "fc.weight"], True, None),
        (["backbone.conv1.weight"], False, None),
        (["backbone.conv1.weight", "head.classifier.weight"], False, "linear"),
        (["backbone.conv1.weight", "head.norm.weight", "head.classifier.weight"], False, "bnneck"),
        (["backbone.conv1.weight", "head.fc.weight", "head.norm.weight", "head.classifier.weight"], False, "bottleneck"),
    ],
)
def test_names_tell_what_a_checkpoint_is(tmp_path, names, is_2d, head):
    checkpoint = Checkpoint(tmp_path, {name: torch.zeros(6, 4) for name in names})
    assert (checkpoint.is_2d, checkpoint.head) == (is_2d, head)
    assert checkpoint.embedding_dim == (6 if head == "bottleneck" else None)


def test_kernels_with_time_are_not_2d(tmp_path):
    assert not Checkpoint(tmp_path, {"conv1.weight": torch.zeros(1, 1, 1, 1, 1)}).is_2d
