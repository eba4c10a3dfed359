"""`create_model`: heads, overrides, clips, ImageNet weights, and what wrong arguments are answered."""

import pytest
import timm
import torch

import nlreid
from nlreid.errors import InputError, NLReIDError, UnknownNameError, WeightsError
from nlreid.layers.heads import BNNeckHead, BottleneckHead, LinearHead
from nlreid.models import ClipSpec


@pytest.mark.parametrize(
    ("num_classes", "head", "kind", "dim"),
    [
        (0, None, LinearHead, 96),
        (0, "none", LinearHead, 96),
        (5, None, BottleneckHead, 512),
        (0, "bottleneck", BottleneckHead, 512),
        (5, "linear", LinearHead, 96),
        (5, "bnneck", BNNeckHead, 96),
    ],
)
def test_heads_follow_the_rules(num_classes, head, kind, dim):
    model = nlreid.create_model("test_r3d", num_classes=num_classes, head=head).eval()
    out = model(torch.randn(2, 3, 4, 64, 32))
    assert type(model.head) is kind
    assert out.embedding.shape == (2, dim)
    assert (out.logits is None) == (num_classes == 0)


def test_without_a_head_the_embedding_is_the_pooled_feature():
    model = nlreid.create_model("test_r3d").eval()
    clip = torch.randn(2, 3, 4, 64, 32)
    torch.testing.assert_close(model(clip).embedding, model.forward_features(clip).mean((2, 3, 4)))


def test_overrides_are_fields_of_the_spec():
    model = nlreid.create_model(
        "test_r3d",
        num_classes=3,
        backbone="resnet10t",
        plan={"name": "full", "stem": 5},
        non_local={"blocks": [[], [0], [], []], "pairwise": "dot_product", "subsample": 2},
        aggregate="max",
        embedding_dim=64,
        clip={"frames": 6, "size": [64, 64]},
    ).eval()
    assert model.backbone.plan.stem == 5
    assert model.backbone.layer2.non_local_0.pairwise == "dot_product"
    assert model.clip_spec == ClipSpec(frames=6, stride=1, size=(64, 64))
    assert model(torch.randn(1, 3, 6, 64, 64)).embedding.shape == (1, 64)
    assert nlreid.create_model("test_r3d_nl", non_local=False).spec.non_local is None
    assert nlreid.create_model("r3d18", non_local=True).spec.non_local is not None


def test_a_scale_by_width_is_computed_for_each_block():
    model = nlreid.create_model("test_r3d", non_local={"blocks": [[], [0], [0], []], "scale": "1/sqrt(d)"})
    scales = [model.backbone.layer2.non_local_0.scale, model.backbone.layer3.non_local_0.scale]
    widths = [model.backbone.layer2.non_local_0.theta.out_channels, model.backbone.layer3.non_local_0.theta.out_channels]
    assert scales == pytest.approx([width**-0.5 for width in widths])


@pytest.mark.parametrize(
    ("arguments", "options", "answer"),
    [
        (("r3d50_ml",), {}, "did you mean 'r3d50_nl'"),
        (("r3d50.imagenot",), {}, "did you mean 'imagenet'"),
        (("mc3_18.imagenet",), {}, "unknown tag of 'mc3_18' 'imagenet'"),
        (("test_r3d",), {"plans": "i3d"}, "did you mean 'plan'"),
        (("test_r3d",), {"plan": "i3b"}, "did you mean 'i3d'"),
        (("test_r3d",), {"plan": {"name": "i3d", "stemm": 3}}, "did you mean 'stem'"),
        (("test_r3d",), {"aggregate": "averge"}, "did you mean 'average'"),
        (("test_r3d",), {"backbone": "resnet5O"}, "did you mean 'resnet50'"),
        (("test_r3d",), {"backbone": "resnet50.a1_in1"}, "did you mean 'resnet50.a1_in1k'"),
        (("r3d50.",), {}, "unknown model 'r3d50.'"),
        (("test_r3d",), {"non_local": {"pairwise": "gausian"}}, "did you mean 'gaussian'"),
        (("test_r3d",), {"non_local": {"scale": "sqrt"}}, "unknown scale 'sqrt'"),
        (("test_r3d",), {"head": "botleneck"}, "did you mean 'bottleneck'"),
        (("test_r3d_nl",), {"non_local": {"pairwise": "gausian"}}, "did you mean 'gaussian'"),
        (("test_r3d",), {"non_local": {"block": []}}, "did you mean 'blocks'"),
        (("test_r3d",), {"clip": {"frame": 3}}, "did you mean 'frames'"),
        (("test_r3d",), {"init": "middle"}, "unknown init 'middle'"),
        (("test_r3d", "imagenett"), {}, "did you mean 'imagenet'"),
        (("test_r3d", "kinetics"), {}, "Allowed: imagenet, hf-hub:org/name@revision, or the path of a file or folder"),
        (("r3d50_nl", "kinetcs"), {}, "did you mean 'kinetics'"),
        (("r3d50_nl.gluon",), {}, "did you mean 'gluoncv'"),
        (("test_r3d", "acme/people"), {}, "did you mean 'hf-hub:acme/people'"),
        (("test_r3d", "hf_hub:acme/people@v1"), {}, "did you mean 'hf-hub:acme/people@v1'"),
        (("test_r3d", "imagenet"), {"plan": "r3d"}, "It has none by name"),
        (("test_r3d", "imagenet"), {"width": 0.5}, "It has none by name"),
        (("test_r3d",), {"widht": 0.5}, "did you mean 'width'"),
    ],
)
def test_wrong_names_get_the_nearest_right_one(arguments, options, answer):
    with pytest.raises(UnknownNameError, match=answer):
        nlreid.create_model(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"num_classes": -1}, "whole number from 0"),
        ({"num_classes": 2.5}, "whole number from 0"),
        ({"num_classes": 5, "head": "none"}, "has no classifier"),
        ({"non_local": "yes"}, "True, False, a mapping"),
        ({"non_local": {"blocks": [[], [9], [], []]}}, "cannot stand behind 9"),
        ({"non_local": {"blocks": [[], [], [], []]}}, "at least one"),
        ({"clip": {"frames": 0}}, "frames is a whole number from 1"),
        ({"clip": {"frames": 4.5}}, "frames is a whole number from 1"),
        ({"clip": {"size": 128}}, "size has 2 values"),
        ({"clip": {"std": [0, 1, 1]}}, "every std is above 0"),
        ({"clip": {"std": [float("nan"), 1, 1]}}, "finite"),
        ({"clip": {"mean": [0.5, "a", 0.5]}}, "finite"),
        ({"clip": None}, "clip is a mapping"),
        ({"plan": None}, "a plan is a name"),
        ({"backbone": None}, "backbone is a name"),
        ({"aggregate": ["max"]}, "aggregate is a name"),
        ({"embedding_dim": 0, "num_classes": 3}, "embedding_dim is a whole number from 1"),
        ({"dropout": 2}, "dropout is from 0 to below 1"),
        ({"width": 0}, "width is above 0, at most 8; got 0"),
        ({"width": 9}, "width is above 0, at most 8; got 9"),
        ({"width": "half"}, "width is a finite number; got 'half'"),
        ({"width": True}, "width is a finite number"),
        ({"width": 0.3}, r"makes 4\.8 of 16 channels of 'test_resnet'; it has to make a whole number of them, at least 4"),
        ({"width": 0.125}, "makes 2 of 16 channels"),
        ({"width": 0.5, "backbone": "resnet18"}, "with a deep stem and without grouped convolutions, as 'resnet18d'"),
        ({"width": 0.5, "backbone": "resnext50d_32x4d"}, "without grouped convolutions"),
        ({"width": 0.5, "backbone": "regnetx_002"}, "width=0.5 of 'regnetx_002': networks of timm.models.resnet"),
        ({"width": 2, "backbone": "ecaresnet50d_pruned"}, "its channels are fixed"),
        ({"pretrained": 5}, "pretrained is None"),
        ({"non_local": True}, "every second residual block"),
        ({"non_local": {"blocks": 5}}, "lists, for each stage"),
        ({"non_local": {"blocks": [[], [0, 0], [], []]}}, "one non-local block stands behind"),
        ({"pretrained": True}, "takes the tag in the name"),
        ({"non_local": {"blocks": [[], [0], [], []], "scale": 0.5, "pairwise": "dot_product"}}, "scale"),
    ],
)
def test_wrong_values_are_refused(options, answer):
    with pytest.raises(NLReIDError, match=answer):
        nlreid.create_model("test_r3d", **options)


def test_listings_agree_with_create_model():
    assert nlreid.list_models("*_nl") == [name for name in nlreid.list_models() if name.endswith("_nl")]
    assert "r3d50_nl.imagenet" in nlreid.list_pretrained()
    assert nlreid.list_pretrained("mc3*") == ["mc3_18.torchvision"]  # its plan inherits nothing
    assert not nlreid.list_pretrained("test_mc3*")
    assert not nlreid.list_pretrained("*_half*.imagenet")  # published weights are of full width
    assert nlreid.list_pretrained("r3d18") == ["r3d18.imagenet", "r3d18.torchvision"]
    assert nlreid.list_pretrained("c2d50_m*") == ["c2d50_max.imagenet"]
    for name in nlreid.list_pretrained():
        assert name.split(".")[0] in nlreid.list_models()


def test_imagenet_weights_are_timms_inflated(tmp_path, monkeypatch):
    """The Hub is stood in for by timm's own way of taking a local file."""
    source = timm.create_model("test_resnet")
    path = tmp_path / "weights.safetensors"
    import safetensors.torch

    safetensors.torch.save_file(source.state_dict(), path)
    original = timm.create_model

    def from_file(name, pretrained=False, **options):
        overlay = {"file": str(path), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)} if pretrained else None
        return original(name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **options)

    monkeypatch.setattr(timm, "create_model", from_file)
    model = nlreid.create_model("test_r3d_nl", pretrained="imagenet")
    expected = nlreid.inflate(source, "i3d").state_dict()
    own = model.backbone.state_dict()
    assert all(torch.equal(own[name], expected[name]) for name in expected)
    assert model.clip_spec.mean == (0.1, 0.2, 0.3)
    assert model.clip_spec.std == (0.4, 0.5, 0.6)
    assert all(".non_local_" in name or name.startswith("head.") for name in model.loaded.missing)
    assert model.loaded.source.startswith("timm, test_resnet")
    same = nlreid.create_model("test_r3d_nl.imagenet", pretrained=True)
    assert torch.equal(same.backbone.conv1[0].weight, model.backbone.conv1[0].weight)


def test_imagenet_weights_that_cannot_be_had_are_an_error_of_ours():
    with pytest.raises(
        WeightsError, match=r"timm's weights for 'test_resnet': this needs a connection, and HF_HUB_OFFLINE.*give its path"
    ):
        nlreid.create_model("test_r3d", pretrained="imagenet")


def test_clips_that_do_not_fit_are_refused_by_models_too():
    model = nlreid.create_model("test_r3d_nl").eval()
    for clip in (torch.zeros(3, 4, 64, 32), torch.zeros(1, 4, 4, 64, 32), torch.zeros(1, 3, 1, 64, 32)):
        with pytest.raises(InputError, match="got"):
            model(clip)
    with pytest.raises(InputError, match="floating point"):
        model(torch.zeros(1, 3, 4, 64, 32, dtype=torch.long))


def test_the_transform_makes_the_clip_that_the_model_wants():
    model = nlreid.create_model("test_r3d").eval()
    frames = torch.randint(0, 256, (4, 90, 40, 3), dtype=torch.uint8)
    clip = model.clip_spec.transform()(frames)
    assert clip.shape == (3, 4, 64, 32)
    assert model(clip[None]).embedding.shape == (1, 96)
    for wrong in (frames.float(), frames[0], frames[..., :2], frames[:0]):
        with pytest.raises(InputError, match="uint8 RGB"):
            model.clip_spec.transform()(wrong)
    with pytest.raises(InputError, match=r"torch.Tensor; got ndarray"):
        model.clip_spec.transform()(frames.numpy())
    with pytest.raises(InputError, match=r"torch.Tensor; got ndarray"):
        model(clip[None].numpy())


def test_the_transform_normalises_by_the_models_statistics():
    spec = ClipSpec(size=(4, 2), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    frames = torch.zeros(3, 4, 2, 3, dtype=torch.uint8)
    frames[..., 1] = 255
    clip = spec.transform()(frames)
    assert clip[:, 0, 0, 0].tolist() == [-1.0, 3.0, 0.0]
