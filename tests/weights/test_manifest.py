"""The table of weights says what is known, and nothing that cannot be: each entry fits the zoo, and a slip is an error."""

from dataclasses import replace
from hashlib import sha256
from importlib import resources
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models import video

import nlreid
from nlreid.errors import UnknownNameError
from nlreid.hub.convert import RECIPES
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.table.config import ACTIONS, PERSONS, Config
from nlreid.hub.table.manifest import entries_of, find_entry, manifest, parse_manifest, weights_folder
from nlreid.hub.table.overrides import OVERRIDES
from nlreid.inflation.plans import resolve_plan
from nlreid.models.assembly import shapes_of
from nlreid.models.variants import spec_of
from nlreid.models.zoo import model_spec

TAGS = [
    "r3d50_nl.pyslowfast",
    "r3d50.pyslowfast",
    "slow50.pyslowfast",
    "c2d50.pyslowfast",
    "r3d50.pytorchvideo",
    "slow50.pytorchvideo",
    "c2d50.pytorchvideo",
    "r3d50.mmaction2",
    "r3d50_nl.mmaction2",
    "r3d50_nl.mmaction2_gaussian",
    "r3d50_nl.mmaction2_dot_product",
    "r3d50_nl.gluoncv",
    "r3d18.torchvision",
    "mc3_18.torchvision",
    "r2plus1d18.torchvision",
    "r3d50_full.hara",
]
PARAMETERS = {  # with the checkpoint's own classifier, as its publishers state them or their code counts them
    "r3d50_nl.pyslowfast": 35_401_936,
    "r3d50.pyslowfast": 28_043_472,
    "slow50.pyslowfast": 32_454_096,
    "c2d50.pyslowfast": 24_327_632,
    "r3d50_full.hara": 47_633_276,
}
KINETICS = {
    "r3d50_nl": "pyslowfast",
    "r3d50": "pyslowfast",
    "slow50": "pyslowfast",
    "c2d50": "pyslowfast",
    "r3d18": "torchvision",
    "mc3_18": "torchvision",
    "r2plus1d18": "torchvision",
    "r3d50_full": "hara",
}


SHIPPED = [name for name, entry in manifest().items() if entry.status == "shipped"]


def text():
    return resources.files("nlreid.weights").joinpath("manifest.json").read_text("utf-8")


def test_in_a_checkout_the_table_lies_beside_the_package(monkeypatch):
    """Python that is started there takes its folder `nlreid` for the package, which has no `nlreid.weights` then."""
    installed = weights_folder()

    def nowhere(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(resources, "files", nowhere)
    beside = weights_folder()
    assert beside.samefile(Path(nlreid.__file__).parents[1] / "weights")
    for name in ("manifest.json", *(f"{name}.safetensors" for name in SHIPPED)):
        assert (beside / name).read_bytes() == (installed / name).read_bytes()


# --- what is in it


def test_every_checkpoint_has_an_entry():
    assert [name for name in manifest() if name not in SHIPPED] == TAGS
    assert SHIPPED == ["r3d18_half_nl.synthetic"]


@pytest.mark.parametrize("name", TAGS)
def test_entries_fit_the_zoo_and_the_recipes(name):
    entry = find_entry(name)
    assert f"{entry.model}.{entry.tag}" == name
    assert entry.model in nlreid.list_models()
    assert name in nlreid.list_pretrained()
    assert entry.recipe in RECIPES
    spec = model_spec(entry.model).override({**entry.overrides, "clip": entry.clip})
    assert spec.clip.mean == tuple(entry.clip["mean"])
    tensors = shapes_of(spec, "linear", entry.num_classes)
    assert tensors["head.classifier.weight"].shape[0] == entry.num_classes


@pytest.mark.parametrize("name", PARAMETERS)
def test_their_networks_have_as_many_parameters_as_their_publishers_say(name):
    entry = find_entry(name)
    tensors = shapes_of(model_spec(entry.model).override(entry.overrides), "linear", entry.num_classes)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(buffers)) == PARAMETERS[name]


def test_kinetics_means_one_checkpoint_of_a_model():
    assert {entry.model: entry.tag for entry in manifest().values() if "kinetics" in entry.default_for} == KINETICS


def test_what_the_names_of_files_say_about_their_bytes():
    for entry in (find_entry(name) for name in TAGS):
        known = entry.checksums
        for digits in filter(None, (known.sha256 and known.sha256[:8], known.sha256_prefix, known.sha1 and known.sha1[:8])):
            assert entry.url.rpartition("-")[2].rpartition("_")[2].startswith(digits), entry.name
    files = [entry.url for entry in manifest().values() if entry.url]
    assert len(set(files)) == len(files) == 15


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("r3d18.torchvision", video.R3D_18_Weights.KINETICS400_V1),
        ("mc3_18.torchvision", video.MC3_18_Weights.KINETICS400_V1),
        ("r2plus1d18.torchvision", video.R2Plus1D_18_Weights.KINETICS400_V1),
    ],
)
def test_torchvision_says_the_same_of_its_own(name, weights):
    entry, stated = find_entry(name), weights.meta
    assert entry.url == weights.url, torchvision.__version__
    assert entry.num_classes == len(stated["categories"])
    scores = stated["_metrics"]["Kinetics-400"]
    assert {score.metric: score.value for score in entry.scores} == pytest.approx(
        {"top-1": scores["acc@1"] / 100, "top-5": scores["acc@5"] / 100}
    )
    preset = weights.transforms()
    assert entry.clip["size"] == list(preset.crop_size)
    assert (entry.clip["mean"], entry.clip["std"]) == (list(preset.mean), list(preset.std))
    assert entry.checksums.size / 2**20 == pytest.approx(stated["_file_size"], abs=1e-3)
    tensors = shapes_of(model_spec(entry.model).override(entry.overrides), "linear", entry.num_classes)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(t.numel() for key, t in tensors.items() if not key.endswith(buffers)) == stated["num_params"]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_here_and_says_of_itself_what_the_table_says(name):
    entry = find_entry(name)
    path = weights_folder() / f"{name}.safetensors"
    content = path.read_bytes()
    assert (sha256(content).hexdigest(), len(content)) == (entry.checksums.sha256, entry.checksums.size)
    assert len(content) <= 16e6
    tensors = read_tensors(path)
    config, known = read_config(tensors), entry.config()
    assert (config.name, config.licence, config.task) == (name, known.licence, PERSONS)
    assert (config.head, config.num_classes, config.clip) == (known.head, 0, known.clip)
    in_file, in_table = (spec_of(each, name) for each in (config, known))
    assert in_file == replace(in_table, plan=resolve_plan(in_table.plan))
    assert config.overrides.keys() == OVERRIDES.keys()
    model = nlreid.create_model(name, pretrained=True)
    assert model.loaded.missing == model.loaded.dropped == ()
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values() if tensor.ndim > 1)


def test_an_entry_gives_the_config_of_what_is_converted():
    entry = find_entry("r3d50_nl.gluoncv")
    config = entry.config(sha256="0" * 64)
    assert Config.from_json(config.to_json(), "here") == config
    assert (config.name, config.task, config.head, config.num_classes) == (entry.name, ACTIONS, "linear", 400)
    assert config.origin == {"name": entry.name, "url": entry.url, "recipe": "gluoncv", "sha256": "0" * 64}
    assert config.licence == "Apache-2.0"


def test_entries_are_found_by_name():
    assert entries_of("r3d50").keys() == {"pyslowfast", "pytorchvideo", "mmaction2"}
    assert entries_of("r3d101") == {}
    with pytest.raises(
        UnknownNameError, match=r"unknown checkpoint 'r3d50_nl.pyslowfst'; did you mean 'r3d50_nl.pyslowfast'\?"
    ):
        find_entry("r3d50_nl.pyslowfst")


def test_the_file_in_the_package_is_read():
    assert parse_manifest(text(), "manifest") == manifest()
