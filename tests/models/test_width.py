"""The width of a backbone: channels times a factor, in structure, in values and in what is published."""

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlreid
from nlreid.errors import InputError, WeightsError
from nlreid.hub.table.config import Config
from nlreid.models import MODELS, ModelSpec
from nlreid.models.backbone2d import create_2d, create_2d_without_values
from nlreid.models.variants import spec_of
from nlreid.models.width import width_options

HALF = nlreid.list_models("*_half*")


@pytest.mark.parametrize(
    "name", ["resnet18d", "resnet50d", "resnet10t", "seresnet50t", "resnetaa34d", "resnetrs50", "test_resnet"]
)
def test_every_kernel_has_the_factor_of_its_channels(name):
    wide, narrow = (create_2d_without_values(name, width).state_dict() for width in (1.0, 0.5))
    kernels = [key for key, tensor in wide.items() if tensor.ndim == 4 and not (".se." in key or tensor.shape[1] == 3)]
    assert wide.keys() == narrow.keys()
    assert len(kernels) > 10
    for key in kernels:
        assert [2 * channels for channels in narrow[key].shape[:2]] == list(wide[key].shape[:2]), key
        assert narrow[key].shape[2:] == wide[key].shape[2:]


def test_only_the_asked_networks_are_told_anything():
    assert width_options("resnet50", 1.0) == {} == width_options("regnetx_002", 1)
    assert width_options("resnet18d", 0.5) == {"stem_width": 16, "channels": (32, 64, 128, 256)}
    drawn = create_2d("resnet18d", 0.5)
    assert drawn.layer4[1].conv2.weight.shape == (256, 256, 3, 3)
    assert not drawn.conv1[0].weight.is_meta


@settings(deadline=None, max_examples=40)
@given(
    width=st.integers(1, 64).map(lambda part: part / 16) | st.floats(0.01, 8),
    name=st.sampled_from(["resnet18d", "test_resnet", "resnet26t"]),
)
def test_a_width_makes_whole_channels_or_is_refused(width, name):
    twice = width_options(name, 2)
    counts = [channels / 2 * width for channels in (twice["stem_width"], *twice["channels"])]
    if all(count >= 4 and abs(count - round(count)) < 1e-6 for count in counts):
        options = width_options(name, width)
        assert width == 1 or [options["stem_width"], *options["channels"]] == pytest.approx(counts)
    else:
        with pytest.raises(InputError, match="whole number"):
            width_options(name, width)


@pytest.mark.parametrize(
    ("name", "count"), [("c2d18_half", 2_801_584), ("r3d18_half", 4_204_144), ("r3d18_half_nl", 4_245_968)]
)
def test_the_small_networks_have_a_quarter_of_the_parameters(name, count):
    model = nlreid.create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    whole = nlreid.create_model(name, width=1.0)
    assert sum(parameter.numel() for parameter in whole.parameters()) == pytest.approx(4 * count, rel=0.01)


def test_the_3d_network_inherits_from_the_frame_network_of_its_width():
    source = create_2d("resnet18d", 0.5)
    inflated = nlreid.inflate(source, "i3d")
    own = nlreid.create_model("r3d18_half").backbone.state_dict()
    assert {name: tensor.shape for name, tensor in inflated.state_dict().items()} == {
        name: tensor.shape for name, tensor in own.items()
    }


def test_2d_weights_of_a_file_fit_their_own_width_alone(tmp_path):
    source = create_2d("test_resnet", 0.5)
    path = tmp_path / "half.pth"
    torch.save(source.state_dict(), path)
    model = nlreid.create_model("test_r3d", path, width=0.5)
    torch.testing.assert_close(model.backbone.conv1[0].weight.sum(2), source.conv1[0].weight)
    with pytest.raises(WeightsError, match="of another shape"):
        nlreid.create_model("test_r3d", path)


def test_a_saved_model_keeps_its_width(tmp_path):
    model = nlreid.create_model("test_r3d_nl", width=0.5).eval()
    folder = nlreid.save_pretrained(model, tmp_path / "half", card={"licence": "MIT"})
    again = nlreid.create_model("test_r3d_nl", folder).eval()
    clip = torch.randn(1, 3, 4, 64, 32)
    assert again.spec.width == 0.5
    assert torch.equal(model(clip).embedding, again(clip).embedding)
    with pytest.raises(WeightsError, match="of another shape"):
        nlreid.create_model("test_r3d_nl", folder, width=1.0)


def test_a_config_without_a_width_has_that_of_its_architecture():
    clip = {"frames": 8, "stride": 2, "size": [128, 64], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    for name, width in (("r3d50_nl", 1.0), ("r3d18_half_nl", 0.5)):
        config = Config(name, {}, clip, "none", 0, "MIT")
        assert spec_of(Config.from_json(config.to_json(), "here"), "here").width == width


@pytest.mark.parametrize("overrides", [{"width": 0.3}, {"width": 0.5, "backbone": "resnet50"}])
def test_a_config_of_a_width_that_cannot_be_built_is_refused(overrides):
    clip = {"frames": 8, "stride": 2, "size": [128, 64], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    with pytest.raises(WeightsError, match=r"here: its config does not fit this version of nlreid: width="):
        spec_of(Config("r3d18_half", overrides, clip, "none", 0, "MIT"), "here")


def test_nothing_of_a_spec_reaches_timm_but_its_name(monkeypatch):
    told = []
    original = timm.create_model

    def recorded(name, **options):
        told.append(options)
        return original(name, **options)

    monkeypatch.setattr(timm, "create_model", recorded)
    nlreid.create_model("test_r3d", width=0.5)
    assert {key for options in told for key in options} == {"stem_width", "channels"}
    assert all(MODELS[name].width == 0.5 for name in HALF)
    assert ModelSpec().width == 1
