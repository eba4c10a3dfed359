"""What `save_pretrained` writes, `create_model` gives back to the bit, and a model that could not come back is not written."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors
import torch
from torch import nn

import nlreid
from nlreid.errors import InputError, UnknownNameError, WeightsError
from nlreid.hub.table.config import ACTIONS, METADATA_KEY, PERSONS, Config
from nlreid.inflation.plans import PLANS
from nlreid.layers.aggregate import TemporalRNN
from nlreid.layers.heads import BottleneckHead
from nlreid.models.network import LoadReport
from nlreid.publish import save_pretrained
from nlreid.publish.describe import task_of
from nlreid.publish.save import FILES

CARD = {"licence": "MIT"}
HEADS = ["linear", "bottleneck", "bnneck", "none"]
SMALL = nlreid.list_models("test_*")


def trained(name, head="bottleneck", num_classes=5, **overrides):
    """A model whose every tensor has values that no fresh one has."""
    model = nlreid.create_model(name, head=head, num_classes=0 if head == "none" else num_classes, **overrides)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) if tensor.is_floating_point() else torch.randint(1, 10**6, tensor.shape))
    return model


def assert_same(first, second):
    own, other = first.state_dict(), second.state_dict()
    assert own.keys() == other.keys()
    for name, tensor in own.items():
        assert (
            torch.equal(tensor.cpu().float(), other[name]) if tensor.is_floating_point() else torch.equal(tensor, other[name])
        )


def config_of(folder):
    return Config.from_json((folder / "config.json").read_bytes(), folder)


# --- there and back


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", SMALL)
def test_round_trip(tmp_path, name, head):
    model = trained(name, head)
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    again = nlreid.create_model(name, pretrained=folder, num_classes=model.num_classes)
    assert_same(model, again)
    assert replace(again.spec, plan=None) == replace(model.spec, plan=None)
    assert again.loaded.missing == again.loaded.dropped == ()


def test_the_folder_by_its_name_or_the_file_alone_will_do(tmp_path):
    model = trained("test_r3d_nl")
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    for place in (str(folder), folder / "model.safetensors", str(folder / "model.safetensors")):
        assert_same(model, nlreid.create_model("test_r3d_nl", pretrained=place, num_classes=5))


def test_round_trip_of_the_network_of_the_paper(tmp_path):
    model = nlreid.create_model("r3d50_nl", num_classes=625)
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    assert_same(model, nlreid.create_model("r3d50_nl", pretrained=folder, num_classes=625))


def test_a_variant_comes_back_under_the_name_of_its_model(tmp_path):
    overrides = {
        "plan": {"name": "i3d", "stem_stride": 2, "stem_pool_stride": 2},
        "non_local": {"pairwise": "dot_product", "subsample": 2, "subsample_order": "after", "blocks": ((), (0,), (), ())},
        "aggregate": "attention",
        "embedding_dim": 32,
        "dropout": 0.25,
        "clip": {"frames": 6, "mean": (0.1, 0.2, 0.3), "size": (32, 64)},
    }
    model = nlreid.create_model("test_r3d_nl", num_classes=5, **overrides)
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    again = nlreid.create_model("test_r3d_nl", pretrained=folder, num_classes=5)
    assert_same(model, again)
    for field in ("non_local", "aggregate", "embedding_dim", "dropout", "clip"):
        assert getattr(again.spec, field) == getattr(model.spec, field)
    clip = torch.rand(2, 3, 8, 64, 32)
    assert torch.equal(model.eval()(clip).logits, again.eval()(clip).logits)


def test_a_plan_of_ones_own_comes_back(tmp_path):
    plan = replace(PLANS["slow"], name="ours", source="here", stem=3, spatial=(1, 3, 1, 1))
    model = trained("test_slow", plan=plan)
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    again = nlreid.create_model("test_slow", pretrained=folder, num_classes=5)
    assert_same(model, again)
    assert again.backbone.plan == plan


def test_the_config_names_every_field_in_plain_values(tmp_path):
    std = tuple(np.float32(value) for value in (0.1, 0.2, 0.3))
    model = trained("test_r3d_nl", clip={"std": std, "frames": np.int64(6)})
    config = config_of(save_pretrained(model, tmp_path / "model", card=CARD))
    assert config.overrides.keys() | {"clip"} == vars(model.spec).keys()
    assert config.overrides["plan"]["name"] == "i3d"
    assert config.overrides["plan"].keys() == vars(PLANS["i3d"]).keys()
    assert config.overrides["non_local"]["blocks"] == [[], [0], [0], []]
    assert (config.head, config.num_classes, config.licence, config.task, config.tag) == ("bottleneck", 5, "MIT", PERSONS, "")
    assert config.version == nlreid.__version__
    assert [np.float32(value) for value in config.clip["std"]] == list(std)


def test_the_file_describes_itself_and_the_same_model_gives_the_same_bytes(tmp_path):
    model = trained("test_r3d_nl")
    first, second = (save_pretrained(model, tmp_path / name, card=CARD) for name in ("first", "second"))
    with safetensors.safe_open(first / "model.safetensors", "pt") as file:
        assert file.metadata() == {METADATA_KEY: (first / "config.json").read_text("utf-8")}
    for name in ("config.json", "model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept_in_the_file_and_exact_after_loading(tmp_path, dtype):
    model = trained("test_r3d").to(dtype)
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    with safetensors.safe_open(folder / "model.safetensors", "pt") as file:
        assert file.get_tensor("backbone.bn1.weight").dtype == dtype
    assert_same(model, nlreid.create_model("test_r3d", pretrained=folder, num_classes=5))


def test_tensors_that_are_strided_or_shared_are_saved_all_the_same(tmp_path):
    model = trained("test_r3d").to(memory_format=torch.channels_last_3d)
    assert not model.backbone.layer1[0].conv2.weight.is_contiguous()
    model.backbone.bn1.bias = model.backbone.bn1.weight
    model.backbone.bn1.running_mean = model.backbone.bn1.running_var.expand(1, -1)[0]
    assert_same(
        model, nlreid.create_model("test_r3d", pretrained=save_pretrained(model, tmp_path / "m", card=CARD), num_classes=5)
    )


def test_a_model_in_the_middle_of_its_training_is_saved_and_left_as_it_is(tmp_path):
    model = trained("test_r3d_nl")
    model.freeze_backbone()
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    folder = save_pretrained(model, tmp_path / "model", card=CARD)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)  # the training goes on as if nothing had been saved
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert_same(model, nlreid.create_model("test_r3d_nl", pretrained=folder, num_classes=5))


# --- where it comes from


def test_what_a_model_was_loaded_from_is_said_without_the_way_to_it(tmp_path):
    model = trained("test_r3d")
    assert config_of(save_pretrained(model, tmp_path / "first", card=CARD)).origin == {}
    again = nlreid.create_model("test_r3d", pretrained=tmp_path / "first" / "model.safetensors", num_classes=5)
    folder = save_pretrained(again, tmp_path / "second", card=CARD)
    assert "model.safetensors" in config_of(folder).origin["note"]
    assert str(tmp_path) not in "".join((folder / name).read_text("utf-8") for name in ("README.md", "config.json"))
    own = save_pretrained(again, tmp_path / "third", card={**CARD, "origin": {"name": "ours"}})
    assert config_of(own).origin == {"name": "ours"}


@pytest.mark.parametrize(("reset", "task"), [(False, ACTIONS), (True, PERSONS)])
def test_the_classifier_of_an_action_checkpoint_stays_one_of_actions(tmp_path, reset, task):
    model = trained("test_mc3", "linear", 400)
    assert config_of(save_pretrained(model, tmp_path / "fresh", card=CARD)).task == PERSONS
    model.loaded = LoadReport("https://download.pytorch.org/models/mc3_18-a90a0ba3.pth", task=ACTIONS, num_classes=400)
    if reset:
        model.reset_classifier(400)
        assert model.loaded.missing == ("head.classifier.bias", "head.classifier.weight")
    config = config_of(save_pretrained(model, tmp_path / "model", card=CARD))
    assert config.task == task
    assert config.origin["note"] == "initialised from https://download.pytorch.org/models/mc3_18-a90a0ba3.pth"
    again = nlreid.create_model("test_mc3", tmp_path / "model", head="linear", num_classes=400)
    assert again.loaded.task == task  # and so it stays
    assert config_of(save_pretrained(again, tmp_path / "again", card=CARD)).task == task
    other = ACTIONS if task == PERSONS else PERSONS
    assert config_of(save_pretrained(model, tmp_path / "told", card={**CARD, "task": other})).task == other


@pytest.mark.parametrize(("classes", "task"), [(400, ACTIONS), (20, PERSONS)])
def test_a_classifier_replaced_by_hand_is_not_that_of_the_name(classes, task):
    model = trained("test_mc3", "linear", classes)
    model.name = "mc3_18.torchvision"  # which has 400
    model.loaded = LoadReport("https://download.pytorch.org/models/mc3_18-a90a0ba3.pth", task=ACTIONS, num_classes=400)
    assert task_of(model) == task


def test_a_folder_whose_files_are_of_two_checkpoints_is_refused(tmp_path):
    one = save_pretrained(trained("test_r3d", "linear", 5), tmp_path / "one", card=CARD)
    two = save_pretrained(trained("test_r3d", "linear", 5, dropout=0.1), tmp_path / "two", card=CARD)
    (two / "config.json").replace(one / "config.json")
    with pytest.raises(WeightsError, match=r"not that of the config\.json beside it"):
        nlreid.create_model("test_r3d", one)
    assert nlreid.create_model("test_r3d", one / "model.safetensors").loaded.task == PERSONS


# --- what is refused


class OwnHead(BottleneckHead):
    """A head of somebody's own."""


def with_block(model):
    model.backbone.layer1.append(nlreid.NonLocalBlock(model.backbone.layer1[-1].conv2.out_channels))


def with_other_head(model):
    model.head = BottleneckHead(model.head.in_features, 5, 64)


def without_norm(model):
    model.backbone.bn1 = nn.Identity()


def with_own_head(model):
    model.head = OwnHead(model.head.in_features, 5)


def with_gelu(model):
    model.head.act = nn.GELU()


def with_stride(model):
    model.backbone.maxpool.stride = (1, 1, 1)


def with_nan(model):
    model.head.norm.weight.data[3] = float("nan")


def with_infinity(model):
    model.backbone.bn1.running_var[0] = float("inf")


def in_double(model):
    model.double()


def on_meta(model):
    model.to("meta")


def with_other_name(model):
    model.name = "mine"


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (with_block, r"the model has \d+ tensors that its spec does not have \(backbone.layer1.1"),
        (with_other_head, r"tensors of another shape \(head.classifier.weight, head.fc.weight"),
        (without_norm, r"tensors that its spec has and it has not \(backbone.bn1.bias"),
        (with_own_head, r"head is a OwnHead; what can be saved is one of linear, bottleneck, bnneck"),
        (with_gelu, r"1 modules of 'test_r3d_nl' are others than its spec says \(head.act\)"),
        (with_stride, r"1 modules of 'test_r3d_nl' are others than its spec says \(backbone.maxpool\)"),
        (with_nan, r"1 tensors with values that are not finite \(head.norm.weight\); its training broke down"),
        (with_infinity, r"1 tensors with values that are not finite \(backbone.bn1.running_var\)"),
        (in_double, r"tensors of a type that float32 cannot hold .*; call model.float\(\) first"),
        (on_meta, r"tensors without values, on the meta device .*; load its weights first"),
        (with_other_name, r"unknown model 'mine'"),
    ],
)
def test_what_could_not_be_built_again_is_not_written(tmp_path, change, answer):
    model = trained("test_r3d_nl")
    change(model)
    with pytest.raises((InputError, UnknownNameError), match=answer) as caught:
        save_pretrained(model, tmp_path / "model", card=CARD)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_aggregator_of_the_same_tensors_that_computes_otherwise_is_not_written(tmp_path):
    model = nlreid.create_model("test_r3d", aggregate="rnn")
    of_default = model.aggregate
    model.aggregate = TemporalRNN(of_default.channels, of_default.num_features, output="last")
    with pytest.raises(InputError, match=r"1 modules of 'test_r3d' are others than its spec says \(aggregate\)"):
        save_pretrained(model, tmp_path / "model", card=CARD)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: model.backbone, lambda _: None])
def test_what_is_no_model_of_ours_is_refused(tmp_path, wrap):
    with pytest.raises(InputError, match="what is saved is a VideoReID"):
        save_pretrained(wrap(trained("test_r3d")), tmp_path / "model", card=CARD)


@pytest.mark.parametrize("card", [{"summary": "\ud800"}, {"origin": {"note": "\ud800"}}])
def test_texts_that_no_file_can_hold_are_refused(tmp_path, card):
    with pytest.raises(InputError, match=r"a text of the card has a character that UTF-8 does not have, '\\ud800'"):
        save_pretrained(trained("test_c2d"), tmp_path / "model", card=CARD | card)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [None, 5, b"model", "a\0b", "~nobody-of-this-name/model"])
def test_folders_are_paths(folder):
    with pytest.raises(
        InputError, match=r"folder is the path of a folder, a str or Path; got|there is no such user here"
    ) as caught:
        save_pretrained(trained("test_c2d"), folder, card=CARD)
    assert str(caught.value).isprintable()


def test_a_path_that_no_disk_takes_is_said_to_be_one(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot be written \(File name too long\)"):
        save_pretrained(trained("test_c2d"), tmp_path / ("x" * 5000), card=CARD)
    assert list(tmp_path.iterdir()) == []


def test_the_users_home_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert save_pretrained(trained("test_c2d"), "~/model", card=CARD) == tmp_path / "model"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "change", [{"embedding_dim": 2**17}, {"plan": replace(PLANS["c2d"], name="o\nurs")}, {"clip": {"size": (2**21, 1)}}]
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, change):
    model = trained("test_c2d", "none", 0)
    model.spec = model.spec.override(change)
    with pytest.raises(InputError, match="this could not be loaded again, and is not saved"):
        save_pretrained(model, tmp_path / "model", card=CARD)
    assert list(tmp_path.iterdir()) == []


def test_the_licence_is_asked_for_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="there is no default"):
        save_pretrained(trained("test_r3d"), tmp_path / "model", card={})
    assert list(tmp_path.iterdir()) == []
