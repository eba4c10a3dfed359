"""`optimize_for_inference`: the same answers, no norm left that could go, and a copy that leaves its model alone."""

import copy
import shutil

import pytest
import timm
import torch
from timm.layers import BlurPool2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import nlreid
from nlreid.errors import InputError
from nlreid.layers import Conv3d
from nlreid.optimize.folding import fold_norms

MODELS = nlreid.list_models("test_*")
HEADS = ["none", "linear", "bottleneck", "bnneck"]
FAMILIES = [
    "seresnet50",
    "resnest14d",
    "skresnet18",
    "resnetv2_50",
    "regnety_002",
    "ecaresnet26t",
    "res2net50_26w_4s",
    "gcresnet33ts",
]


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """Norms as after training: no scale, shift, mean or variance is that of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                if tensor.is_floating_point():
                    low = 0.3 if name in ("weight", "running_var") else -0.3
                    tensor.data.uniform_(low, low + 0.6, generator=generator)
    return network.eval()


def clip_of(model: nlreid.VideoReID, batch: int = 2) -> torch.Tensor:
    shape = (batch, 3, model.clip_spec.frames, *model.clip_spec.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def norms(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]


def assert_same(ours: torch.Tensor, wanted: torch.Tensor) -> None:
    assert (ours - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", MODELS)
def test_the_same_answers_without_norms(name, head):
    model = trained(nlreid.create_model(name, num_classes=0 if head == "none" else 5, head=head))
    clip = clip_of(model)
    with torch.inference_mode():
        fast, wanted = nlreid.optimize_for_inference(model)(clip), model(clip)
    assert_same(fast.embedding, wanted.embedding)
    if head != "none":
        assert_same(fast.logits, wanted.logits)
    left = norms(nlreid.optimize_for_inference(model))
    assert left == (["head.norm"] if head == "bnneck" else [])  # what a BNNeck normalises is a mean over the clip


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_the_family(family):
    torch.manual_seed(0)
    backbone = trained(nlreid.inflate(timm.create_model(family), plan="i3d"))
    clip = torch.randn(2, 3, 4, 64, 32, generator=torch.Generator().manual_seed(1))
    fast = nlreid.optimize_for_inference(backbone)
    with torch.inference_mode():
        assert_same(fast(clip), backbone(clip))
    assert len(norms(fast)) < len(norms(backbone)) / 2 or "v2" in family  # pre-activation: most norms follow a sum


def test_the_model_stays_as_it_was():
    model = nlreid.create_model("test_r3d_separable_nl", num_classes=3).train()
    before = copy.deepcopy(model.state_dict())
    fast = nlreid.optimize_for_inference(model)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in fast.modules())
    assert not any(parameter.requires_grad for parameter in fast.parameters())


def test_it_is_still_the_model():
    model = nlreid.create_model("test_r3d_nl", num_classes=3)
    fast = nlreid.optimize_for_inference(model)
    assert isinstance(fast, nlreid.VideoReID)
    assert (fast.name, fast.clip_spec, fast.loaded, fast.embedding_dim) == (
        model.name,
        model.clip_spec,
        model.loaded,
        model.embedding_dim,
    )


def test_twice_is_once():
    model = trained(nlreid.create_model("test_r3d_nl"))
    once = nlreid.optimize_for_inference(model)
    twice = nlreid.optimize_for_inference(once)
    with torch.inference_mode():
        assert torch.equal(once(clip_of(model)).embedding, twice(clip_of(model)).embedding)


@pytest.mark.parametrize("name", MODELS)
def test_half_precision_is_near_and_answers_in_float32(name):
    model = trained(nlreid.create_model(name, num_classes=3))
    clip = clip_of(model)
    fast = nlreid.optimize_for_inference(model, dtype=torch.bfloat16)
    with torch.inference_mode():
        ours, wanted = fast(clip.bfloat16()).embedding, model(clip).embedding
    assert ours.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(ours, wanted).min() > 0.99


def test_it_embeds_in_either_precision(tracklets_in_memory):
    model = trained(nlreid.create_model("test_r3d_nl", clip={"size": (128, 64)}))
    wanted = nlreid.embed(model, tracklets_in_memory, progress=False)
    ours = nlreid.embed(nlreid.optimize_for_inference(model), tracklets_in_memory, progress=False)
    torch.testing.assert_close(ours.features, wanted.features, atol=1e-5, rtol=1e-5)
    half = nlreid.optimize_for_inference(model, dtype=torch.bfloat16)
    near = nlreid.embed(half, tracklets_in_memory, progress=False)
    assert (near.features * wanted.features).sum(1).min() > 0.99


@pytest.fixture
def tracklets_in_memory():
    pictures = torch.randint(0, 256, (3, 9, 128, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()
    return [nlreid.Tracklet(str(place), list(frames)) for place, frames in enumerate(pictures)]


class Odd(nn.Module):
    """Code in which a norm must not be folded, one way each."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.norm, self.way = nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2), way

    def forward(self, x):
        y = self.conv(x)
        if self.way == "read elsewhere":
            return self.norm(y) + y
        if self.way == "returned, too":
            return self.norm(y), y
        if self.way == "run twice":
            return self.norm(self.conv(self.norm(y)))
        if self.way == "another between":
            return self.norm(y * 2)
        if self.way == "changed in place":
            y.mul_(2)
        if self.way == "read through a property":
            return self.norm(y) + y.data
        if self.way == "its weight read":
            return self.norm(y) * self.conv.weight.mean()
        return self.norm(y)


class More(Conv3d):
    """A convolution that does more than one."""

    def forward(self, x):
        return super().forward(x).relu()


@pytest.mark.parametrize(
    "way",
    [
        "read elsewhere",
        "returned, too",
        "run twice",
        "another between",
        "changed in place",
        "read through a property",
        "its weight read",
        "watched",
        "another kind",
        "patched",
        "no statistics",
    ],
)
def test_a_norm_stays_where_folding_would_show(way):
    network = trained(Odd(way))
    if way == "watched":
        network.conv.register_forward_hook(lambda _m, _x, out: out * 2)
    if way == "another kind":
        network.conv = More(2, 2, 1)
    if way == "patched":
        conv, before = network.conv, network.conv.forward
        conv.forward = lambda x: before(x).relu()
    if way == "no statistics":
        network.norm = nn.BatchNorm3d(2, track_running_stats=False).eval()
    x = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    wanted = network(x)
    assert fold_norms(network, x.to("meta")) == []
    torch.testing.assert_close(network(x), wanted)


def test_hooks_do_not_run_on_shapes_and_outer_ones_change_nothing():
    seen, network = [], trained(nn.Sequential(Odd("as usual")))
    network[0].register_forward_hook(lambda _m, _x, out: seen.append(out.device.type))
    assert fold_norms(network, torch.empty(1, 2, 3, 4, 4, device="meta")) == ["0.norm"]
    network(torch.zeros(1, 2, 3, 4, 4))
    assert seen == ["cpu"]


def test_a_norm_of_another_axis_stays():
    network = trained(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    assert fold_norms(network, torch.empty(2, 4, 4, device="meta")) == []  # it would take rows for channels
    assert fold_norms(network, torch.empty(2, 4, device="meta")) == ["1"]


def test_late_non_local_blocks_and_blur_pools():
    coarse = {"blocks": [[], [], [], [0]], "subsample": 2}
    model = trained(nlreid.create_model("test_r3d_nl", non_local=coarse, clip={"size": (128, 64)}))
    blurred = trained(nlreid.inflate(timm.create_model("test_resnet", aa_layer=BlurPool2d)))
    clip = clip_of(model)
    with torch.inference_mode():
        assert_same(nlreid.optimize_for_inference(model)(clip).embedding, model(clip).embedding)
        assert_same(nlreid.optimize_for_inference(blurred)(clip), blurred(clip))


@pytest.mark.parametrize("asked", [None, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("given", [torch.float64, torch.bfloat16], ids=str)
def test_models_of_other_types(given, asked):
    model = trained(nlreid.create_model("test_r3d_nl", num_classes=3)).to(given)
    fast = nlreid.optimize_for_inference(model, dtype=asked)
    with torch.inference_mode():
        embedding = fast(clip_of(model).to(fast.backbone.dtype)).embedding
        wanted = model(clip_of(model).to(given)).embedding
    assert fast.backbone.dtype == (asked or given)
    assert embedding.dtype == (torch.float32 if asked else given)
    assert torch.nn.functional.cosine_similarity(embedding.double(), wanted.double()).min() > 0.99


def test_a_norm_goes_where_it_would_not():
    network = trained(Odd("as usual"))
    x = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    wanted = network(x)
    assert fold_norms(network, x.to("meta")) == ["norm"]
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("c++") is None, reason="needs a C++ compiler")
def test_compiled_it_answers_the_same():
    model = trained(nlreid.create_model("test_r3d_nl"))
    fast = nlreid.optimize_for_inference(model, compile=True)
    with torch.inference_mode():
        assert_same(fast(clip_of(model)).embedding, model(clip_of(model)).embedding)


@pytest.mark.parametrize("dtype", [torch.int8, "bfloat16", torch.float64], ids=str)
def test_other_types_are_refused(dtype):
    with pytest.raises(InputError, match=r"bfloat16"):
        nlreid.optimize_for_inference(nlreid.create_model("test_r3d"), dtype=dtype)


def test_other_things_are_refused():
    with pytest.raises(InputError, match="create_model"):
        nlreid.optimize_for_inference(nn.Conv3d(3, 4, 1))


def test_it_cannot_be_saved(tmp_path):
    fast = nlreid.optimize_for_inference(nlreid.create_model("test_r3d_nl"))
    with pytest.raises(InputError, match="changed after create_model"):
        nlreid.save_pretrained(fast, tmp_path / "fast", card={"licence": "MIT", "summary": "Fast."})


def test_a_way_of_compiling_that_there_is_not_is_named():
    with pytest.raises(InputError, match=r"compile is False, True or 'max-autotune'; got 'fast'"):
        nlreid.optimize_for_inference(nlreid.create_model("test_r3d"), compile="fast")
