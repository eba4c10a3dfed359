"""A tag selects a variant and its converter; `pretrained` names weights; nothing is guessed where a guess could be wrong."""

import json
import logging
from pathlib import Path

import pytest
import safetensors.torch
import torch
from golden.published import golden
from safetensors import safe_open

import nlreid
from nlreid.cli import main
from nlreid.errors import InputError, UnknownNameError, WeightsError
from nlreid.hub.convert import RECIPES, Conversion, Recipe
from nlreid.hub.table import manifest as table
from nlreid.hub.table.config import ACTIONS, METADATA_KEY, PERSONS, Config
from nlreid.hub.table.manifest import manifest
from nlreid.inflation.plans import PLANS, TemporalPlan
from nlreid.models import ClipSpec, NonLocalSpec

CLIP = torch.randn(2, 3, 4, 64, 32, generator=torch.Generator().manual_seed(1))
MEAN, STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)


# --- tags and aliases


@pytest.mark.parametrize("name", sorted(manifest()))
def test_a_tag_selects_the_variant_without_its_weights(name):
    entry = manifest()[name]
    model = nlreid.create_model(name)
    zoo = nlreid.models.MODELS[entry.model]
    assert model.name == name
    assert model.loaded.source == "random"
    size = tuple(entry.clip["size"]) if entry.task == PERSONS else zoo.clip.size  # pictures of actions are no persons
    assert model.clip_spec == ClipSpec(
        entry.clip["frames"], entry.clip["stride"], size, tuple(entry.clip["mean"]), tuple(entry.clip["std"])
    )
    assert model.spec == zoo.override({**entry.overrides, "clip": model.clip_spec})


def test_the_papers_network_is_another_than_the_published_one():
    assert nlreid.create_model("r3d50_nl").spec.non_local == NonLocalSpec()
    assert nlreid.create_model("r3d50_nl.pyslowfast").spec.non_local == NonLocalSpec(scale="1/sqrt(d)", subsample=2)


@pytest.mark.parametrize("name", sorted({entry.model for entry in manifest().values() if entry.task == ACTIONS}))
def test_kinetics_is_one_of_the_models_own_tags(name):
    entries = [entry for entry in manifest().values() if entry.model == name and "kinetics" in entry.default_for]
    assert len(entries) == 1
    assert nlreid.create_model(f"{name}.kinetics").name == entries[0].name


def test_the_classifiers_own_pictures_come_with_the_classifier():
    whole = nlreid.create_model("r3d18.torchvision", head="linear", num_classes=400)
    assert whole.clip_spec.size == (112, 112)
    for options in ({}, {"num_classes": 400}, {"head": "linear", "num_classes": 625}):
        assert nlreid.create_model("r3d18.torchvision", **options).clip_spec.size == (256, 128)
    assert nlreid.create_model("r3d18.torchvision", clip={"size": (128, 64)}).clip_spec.size == (128, 64)


def test_overrides_come_last():
    model = nlreid.create_model("r3d50_nl.pyslowfast", non_local={"pairwise": "gaussian"}, clip={"frames": 16})
    assert model.spec.non_local == NonLocalSpec(pairwise="gaussian", scale="1/sqrt(d)", subsample=2)
    assert model.clip_spec.frames == 16
    assert model.clip_spec.mean == MEAN


def test_two_variants_at_once_are_refused():
    for weights in ("pyslowfast", "kinetics", "r3d50_nl.pyslowfast"):
        with pytest.raises(InputError, match=r"gluoncv is one variant of 'r3d50_nl', and r3d50_nl.pyslowfast another"):
            nlreid.create_model("r3d50_nl.gluoncv", weights)


def test_true_needs_a_tag():
    with pytest.raises(UnknownNameError, match=r"takes the tag in the name.*imagenet, pyslowfast"):
        nlreid.create_model("r3d50_nl", True)


def test_weights_without_an_address_say_where_they_are():
    with pytest.raises(WeightsError, match=r"r3d50_full\.hara: .*get it from https://.*pretrained=.*NLREID_WEIGHTS"):
        nlreid.create_model("r3d50_full.hara", True)


# --- a small entry of the table, with a layout of its own


def small_convert(tensors):
    renamed = {name.removeprefix("their."): tensor for name, tensor in tensors.items() if name != "epoch"}
    return Conversion(renamed, ("epoch",) if "epoch" in tensors else ())


SMALL = Recipe("small", "a project with small networks", small_convert, lambda tensors: "their.backbone.bn1.weight" in tensors)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """An entry `test_r3d_nl.small`, a file of its weights, and the model that holds them."""
    entry = table.Entry(
        name="test_r3d_nl.small",
        title="small",
        status="recipe",
        format="torch",
        recipe="small",
        licence=table.Licence("MIT", "said here", True),
        overrides={"non_local": {"scale": 0.5}},
        clip={"frames": 4, "stride": 2, "size": [48, 48], "mean": MEAN, "std": STD},
        num_classes=5,
        page="https://example.org",
        default_for=("kinetics",),
    )
    monkeypatch.setitem(RECIPES, "small", SMALL)
    monkeypatch.setitem(manifest(), entry.name, entry)
    source = nlreid.create_model("test_r3d_nl", num_classes=5, head="linear", non_local={"scale": 0.5}).eval()
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(torch.rand_like(parameter) * 0.1)
    state = {f"their.{name}": tensor.clone() for name, tensor in source.state_dict().items()}
    path = tmp_path / "published"
    torch.save({"state_dict": {**state, "epoch": torch.tensor(3)}}, path)
    return entry, path, source


def assert_same(model, source, what="backbone."):
    expected = {name: tensor for name, tensor in source.state_dict().items() if name.startswith(what)}
    own = model.state_dict()
    assert [name for name in expected if not torch.equal(own[name], expected[name])] == []


def test_a_classifier_of_actions_is_kept_only_when_asked(small):
    entry, path, source = small
    whole = nlreid.create_model(entry.name, path, num_classes=5, head="linear").eval()
    assert_same(whole, source, "")
    assert torch.equal(whole(CLIP).logits, source(CLIP).logits)
    assert (whole.loaded.missing, whole.loaded.dropped) == ((), ("epoch",))
    assert whole.clip_spec.size == (48, 48)

    classifier = ("head.classifier.bias", "head.classifier.weight")
    plain = nlreid.create_model(entry.name, path).eval()
    assert_same(plain, source)
    assert plain.loaded.dropped == ("epoch", *classifier)
    assert torch.equal(plain(CLIP).embedding, source.forward_features(CLIP).mean((2, 3, 4)))

    people = nlreid.create_model(entry.name, path, num_classes=5)
    assert type(people.head).__name__ == "BottleneckHead"
    assert set(people.loaded.missing) == {name for name in people.state_dict() if name.startswith("head.")}
    other = nlreid.create_model(entry.name, path, num_classes=7, head="linear")
    assert (other.loaded.missing, other.loaded.dropped) == (classifier, ("epoch", *classifier))


def test_what_was_loaded_is_told(small):
    entry, path, _ = small
    loaded = nlreid.create_model(entry.name, path).loaded
    assert loaded.source == str(path)
    assert loaded.licence == "MIT"
    assert len(loaded.sha256) == 64


def test_a_file_of_a_variant_needs_the_tag(small):
    _, path, _ = small
    with pytest.raises(
        WeightsError, match=r"variants with names of their own; create_model\('test_r3d_nl.small', pretrained=…\)"
    ):
        nlreid.create_model("test_r3d_nl", path)
    with pytest.raises(WeightsError, match=r"layout of 'small', and r3d50_nl\.gluoncv wants that of 'gluoncv'"):
        nlreid.create_model("r3d50_nl.gluoncv", path)


def test_nothing_of_a_variant_may_be_missing_unless_it_was_asked_to_differ(small):
    entry, path, _ = small
    content = torch.load(path, weights_only=True)["state_dict"]
    without = {name: tensor for name, tensor in content.items() if ".layer2.non_local_0." not in name}
    torch.save(without, path)
    with pytest.raises(WeightsError, match=r"13 tensors missing \(backbone\.layer2\.non_local_0"):
        nlreid.create_model(entry.name, path)
    with pytest.raises(WeightsError, match=r"13 tensors missing"):  # the override says nothing of these blocks
        nlreid.create_model(entry.name, path, non_local={"scale": 0.25})
    torch.save(content, path)
    model = nlreid.create_model(entry.name, path, non_local={"blocks": [[0], [0], [0], []]})
    assert {name.split(".")[1] for name in model.loaded.missing if "non_local" in name} == {"layer1"}
    assert model.spec.non_local.scale == 0.5
    content["their.head.classifier.weight"] = content["their.head.classifier.weight"][:4]
    torch.save(content, path)
    with pytest.raises(WeightsError, match="said to have 5 classes, and its classifier has 4"):
        nlreid.create_model(entry.name, path)


def test_the_file_of_another_entry_is_known_by_its_checksum(small, monkeypatch):
    """Tensors of two networks can be alike in everything but what is computed with them."""
    entry, path, _ = small
    sha256 = nlreid.create_model(entry.name, path).loaded.sha256
    other = table.Entry(
        **{
            **vars(entry),
            "name": "test_r3d_nl.other",
            "default_for": (),
            "checksums": table.Checksums(sha256_prefix=sha256[:8]),
        }
    )
    monkeypatch.setitem(manifest(), other.name, other)
    with pytest.raises(WeightsError, match=r"by its checksum the file of test_r3d_nl\.other, and test_r3d_nl\.small was asked"):
        nlreid.create_model(entry.name, path)
    assert nlreid.create_model(other.name, path).name == other.name


def test_the_folder_of_weights_is_looked_into_first(small, tmp_path, monkeypatch):
    entry, path, source = small
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("NLREID_WEIGHTS", str(folder))
    with pytest.raises(WeightsError, match="no address that a program could fetch"):
        nlreid.create_model(entry.name, True)
    path.rename(folder / "test_r3d_nl.small.pth")
    for arguments in (
        (entry.name, True),
        ("test_r3d_nl", "kinetics"),
        ("test_r3d_nl", "small"),
        ("test_r3d_nl.kinetics", True),
    ):
        model = nlreid.create_model(*arguments)
        assert_same(model, source)
        assert model.name == entry.name
        assert model.loaded.source == f"{folder / 'test_r3d_nl.small.pth'} ({entry.name})"


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"aggregate": "max"}, r"of another network than test_r3d_nl\.small \(aggregate\)"),
        ({"non_local": {"scale": 1.0}}, r"of another network than test_r3d_nl\.small \(non_local\)"),
        ({"num_classes": 3}, r"not test_r3d_nl\.small as it was published"),
        ({"head": "bottleneck"}, r"not test_r3d_nl\.small as it was published"),
        ({}, r"not test_r3d_nl\.small as it was published"),
    ],
)
def test_a_file_in_the_folder_must_be_what_its_name_says(small, tmp_path, monkeypatch, changes, answer):
    entry, _, _ = small
    options = {"num_classes": 5, "head": "linear", **changes}
    folder = nlreid.save_pretrained(nlreid.create_model(entry.name, **options), tmp_path / "own", card={"licence": "MIT"})
    (folder / "model.safetensors").rename(folder / f"{entry.name}.safetensors")
    monkeypatch.setenv("NLREID_WEIGHTS", str(folder))
    with pytest.raises(WeightsError, match=answer):
        nlreid.create_model(entry.name, True)


@pytest.mark.usefixtures("small")
def test_a_path_is_a_path_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = nlreid.create_model("test_r3d_nl", num_classes=3)
    for name in ("kinetics", "small", "imagenet"):
        folder = nlreid.save_pretrained(model, name, card={"licence": "MIT"})
        assert_same(nlreid.create_model("test_r3d_nl", folder, num_classes=3), model, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert_same(nlreid.create_model("test_r3d_nl", "~/kinetics", num_classes=3), model, "")


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b.pth", "~nobody_of_that_name/weights.pth"])
def test_paths_that_cannot_be_are_refused(path):
    for pretrained in (Path(path), f"./{path}" if path[0] != "~" else path):
        with pytest.raises(WeightsError, match=r"no path that can be looked at here|no such file|cannot be read") as caught:
            nlreid.create_model("test_r3d", pretrained)
        assert "\n" not in str(caught.value)


def test_the_name_says_one_thing_and_the_weights_another():
    with pytest.raises(InputError, match=r"imagenet is one variant of 'r3d50_nl', and r3d50_nl.pyslowfast another"):
        nlreid.create_model("r3d50_nl.imagenet", "kinetics")
    with pytest.raises(UnknownNameError, match=r"no checkpoint of 'r3d50_nl'; create_model\('r3d50.pyslowfast', pre"):
        nlreid.create_model("r3d50_nl", "r3d50.pyslowfast")
    with pytest.raises(InputError, match="got ''"):
        nlreid.create_model("r3d50_nl", "")


# --- converted files and configs


def test_a_converted_file_describes_itself(small, tmp_path):
    entry, path, source = small
    converted = tmp_path / "out.safetensors"
    assert main(["convert", entry.name, str(path), "-o", str(converted)]) == 0
    for name in (entry.name, "test_r3d_nl"):  # the variant comes with the file
        model = nlreid.create_model(name, converted, num_classes=5, head="linear").eval()
        assert_same(model, source, "")
        assert model.name == entry.name
        assert model.spec.non_local.scale == 0.5
        assert torch.equal(model(CLIP).logits, source(CLIP).logits)
    with pytest.raises(WeightsError, match=r"a checkpoint of 'test_r3d_nl', and 'test_r3d' was asked for; create_"):
        nlreid.create_model("test_r3d", converted)
    with safe_open(converted, framework="pt") as file:
        assert list(file.metadata()) == [METADATA_KEY]
        config = Config.from_json(file.metadata()[METADATA_KEY], converted)
    assert (config.task, config.licence, config.tag, config.version) == (ACTIONS, "MIT", "small", nlreid.__version__)
    assert config.origin["sha256"] == nlreid.create_model(entry.name, path).loaded.sha256


def write(path, config, tensors):
    safetensors.torch.save_file(tensors, path, {METADATA_KEY: config if isinstance(config, str) else config.to_json()})


def test_configs_that_do_not_fit_are_refused(tmp_path):
    model = nlreid.create_model("test_r3d", num_classes=5)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    clip = {"frames": 4, "stride": 1, "size": [64, 32], "mean": MEAN, "std": STD}
    right = {
        "architecture": "test_r3d",
        "overrides": {},
        "clip": clip,
        "head": "bottleneck",
        "num_classes": 5,
        "licence": "MIT",
    }
    path = tmp_path / "file"
    write(path, Config(**right), tensors)
    assert_same(nlreid.create_model("test_r3d", path, num_classes=5), model, "")
    newer = {**json.loads(Config(**right).to_json()), "format": 2, "version": "9.1"}
    for change, answer in (
        ({"head": "linear"}, "said to have a head of kind 'linear', and its tensors are those of 'bottleneck'"),
        ({"num_classes": 6}, "said to have 6 classes, and its classifier has 5"),
        ({"overrides": {"colour": "red"}}, "does not fit this version of nlreid: unknown override 'colour'"),
        ({"overrides": {"plan": "i4d"}}, "does not fit this version of nlreid"),
        ({"clip": {**clip, "frames": 0}}, "clip: frames is a whole number from 1 to 1048576; got 0"),
        ({"overrides": {"backbone": "resnet18"}}, "of another shape"),
        ({"architecture": "test_r4d"}, "a checkpoint of 'test_r4d', and 'test_r3d' was asked for"),
    ):
        write(path, Config(**{**right, **change}), tensors)
        with pytest.raises(WeightsError, match=answer):
            nlreid.create_model("test_r3d", path, num_classes=5)
    for text, answer in (
        (json.dumps(newer), "newer than 1.*update nlreid.*9.1"),
        ("{", "damaged"),
        ("{}", "describes no checkpoint"),
    ):
        write(path, text, tensors)
        with pytest.raises(WeightsError, match=answer):
            nlreid.create_model("test_r3d", path, num_classes=5)


def test_plans_of_ones_own_survive_as_plain_values(tmp_path):
    plan = TemporalPlan("mine", "an example", stem=3, spatial=(1, 3, 1, 3))
    model = nlreid.create_model("test_r3d", plan=plan)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    overrides = json.loads(json.dumps(model.spec.as_dict()))
    clip = overrides.pop("clip")
    write(tmp_path / "file", Config("test_r3d", overrides, clip, "none", 0, "MIT", task=PERSONS), tensors)
    again = nlreid.create_model("test_r3d", tmp_path / "file")
    assert_same(again, model, "")
    assert again.backbone.plan == plan
    assert again.spec == model.spec
    assert "mine" not in PLANS


def test_a_saved_folder_is_of_its_own_variant_whatever_is_asked_for(tmp_path):
    model = nlreid.create_model("r3d18.torchvision", head="bottleneck", embedding_dim=8)
    folder = nlreid.save_pretrained(model, tmp_path / "model", card={"licence": "MIT"})
    for name in ("r3d18", "r3d18.torchvision"):
        assert nlreid.create_model(name, folder).spec.plan == PLANS["r3d"]
    plain = nlreid.save_pretrained(nlreid.create_model("r3d18"), tmp_path / "plain", card={"licence": "MIT"})
    with pytest.raises(WeightsError, match=r"of another network than r3d18\.torchvision \(plan\); create_model\('r3d18'"):
        nlreid.create_model("r3d18.torchvision", plain)


def test_a_state_dict_of_a_model_with_variants_is_remarked_on(tmp_path, caplog):
    torch.save(nlreid.create_model("mc3_18").state_dict(), tmp_path / "mc3_18.pth")
    torch.save(nlreid.create_model("r3d18").state_dict(), tmp_path / "r3d18.pth")
    nlreid.create_model("mc3_18", tmp_path / "mc3_18.pth")  # its only variant is no other network
    nlreid.create_model("r3d18", tmp_path / "r3d18.pth", plan="i3d")  # said
    assert caplog.records == []
    nlreid.create_model("r3d18", tmp_path / "r3d18.pth")
    assert "does not say which variant of 'r3d18'" in caplog.text
    assert "not as r3d18.torchvision" in caplog.text


def test_a_file_that_is_not_the_published_one_is_taken_with_a_remark(tmp_path, caplog):
    path = golden("torchvision__mc3_18").write(tmp_path / "mc3_18.pth")
    loaded = nlreid.create_model("mc3_18.torchvision", path).loaded
    known = manifest()["mc3_18.torchvision"].checksums.sha256
    assert f"its sha256 is {loaded.sha256}, not {known}" in caplog.text
    assert "taken as it is, since it was given" in caplog.text


# --- 2D networks for re-identification (paper Table 3, "ReID")


@pytest.mark.parametrize("file", ["torchreid__resnet50_keys", "torchreid__resnet50_fc512_keys", "fastreid__bot_r50_keys"])
def test_2d_networks_for_persons_are_inflated(file, tmp_path):
    reference = golden(file)
    path = reference.write(tmp_path / "weights.pth")
    tensors = reference.tensors()
    model = nlreid.create_model("r3d50_nl", path, num_classes=4)
    prefix = "backbone." if file.startswith("fastreid") else ""
    kernel = tensors[f"{prefix}layer2.0.conv1.weight"]
    assert torch.allclose(model.backbone.layer2[0].conv1.weight.sum(2), kernel, atol=1e-6)
    assert torch.equal(model.backbone.layer4[2].bn3.running_var, tensors[f"{prefix}layer4.2.bn3.running_var"])
    assert set(model.loaded.dropped) == {name for name in tensors if not name.startswith(prefix or ("conv1", "bn1", "layer"))}
    assert model.clip_spec.mean == (0.485, 0.456, 0.406)


def test_networks_without_a_place_are_refused(tmp_path):
    path = golden("fastreid__agw_r50_ibn_keys").write(tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=str(path)):
        nlreid.create_model("r3d50", path)
    with pytest.raises(WeightsError, match=r"holds 2D weights, and r3d50_nl.gluoncv wants.*create_model\('r3d50_nl', pre"):
        nlreid.create_model("r3d50_nl.gluoncv", golden("torchreid__resnet50_keys").write(tmp_path / "other.pth"))


def test_nothing_is_logged_or_printed(small, caplog, capsys):
    entry, path, _ = small
    with caplog.at_level(logging.DEBUG, "nlreid"):
        nlreid.create_model(entry.name, path)
    assert (capsys.readouterr(), caplog.records) == (("", ""), [])
