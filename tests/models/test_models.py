"""Every model of the zoo: shapes, counts, training, and that non-local blocks start as identities."""

import pytest
import torch
from torch import nn

import nlreid
from nlreid.errors import UnknownNameError
from nlreid.layers.non_local import NonLocalBlock
from nlreid.models import MODELS, NonLocalSpec, insert_non_local
from nlreid.models.placement import default_blocks

TINY = nlreid.list_models("test_*")


def tiny_clip(model, batch=2):
    return torch.randn(batch, 3, max(model.backbone.min_frames, 4), 64, 32)


@pytest.mark.parametrize("name", nlreid.list_models())
def test_every_model_embeds_its_shortest_clip(name):
    model = nlreid.create_model(name, num_classes=3, head="linear").eval()
    side = model.backbone.stride
    with torch.inference_mode():
        clip = torch.randn(1, 3, model.backbone.min_frames, side, side)
        out = model(clip)
        features = model.forward_features(clip)
    assert isinstance(out, nlreid.ReIDOutput)
    assert out.embedding.shape == (1, model.embedding_dim)
    assert out.logits.shape == (1, 3)
    assert out.embedding.isfinite().all()
    assert out.embedding.std() > 0
    assert features.shape[:3] == (1, model.num_features, model.backbone.plan.output_frames(clip.shape[2]))


@pytest.mark.parametrize(("name", "count"), [("r3d50", 28_043_472), ("r3d50_nl", 35_401_936)])
def test_parameter_counts_are_those_of_the_published_networks(name, count):
    model = nlreid.create_model(name, num_classes=400, head="linear")
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"])
def test_inserting_non_local_blocks_changes_no_bit(pairwise, training):
    model = nlreid.create_model("test_r3d", num_classes=5, dropout=0.0).train(training)
    clip = tiny_clip(model)
    before = model(clip)
    insert_non_local(model.backbone, NonLocalSpec(blocks=((0,), (0,), (0,), (0,)), pairwise=pairwise))
    after = model(clip)
    assert sum(isinstance(module, NonLocalBlock) for module in model.modules()) == 4
    assert torch.equal(before.embedding, after.embedding)
    assert torch.equal(before.logits, after.logits)


# Softmax does not see what is added to all of its inputs, nor batch norm what is added to a whole channel.
CANCELLED = {
    "embedded_gaussian": ("phi.bias", "g.bias", "out.bias"),
    "gaussian": ("g.bias", "out.bias"),
    "dot_product": ("out.bias",),
    "concatenation": ("out.bias",),
}


@pytest.mark.parametrize(
    ("name", "overrides"),
    [(name, {}) for name in TINY]
    + [("test_r3d_nl", {"non_local": {"pairwise": pairwise}}) for pairwise in ("gaussian", "dot_product", "concatenation")],
)
def test_every_parameter_learns_within_two_steps(name, overrides):
    model = nlreid.create_model(name, num_classes=4, **overrides).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nlreid.VideoReIDLoss(margin="soft")
    pids = torch.tensor([0, 0, 1, 1, 2, 2])
    largest = {parameter_name: 0.0 for parameter_name, _ in model.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        loss(model(tiny_clip(model, batch=6)), pids).total.backward()
        for parameter_name, parameter in model.named_parameters():
            assert parameter.grad is not None, parameter_name
            largest[parameter_name] = max(largest[parameter_name], float(parameter.grad.abs().max()))
        optimiser.step()
    pairwise = model.spec.non_local.pairwise if model.spec.non_local else None
    silent = {key for key, value in largest.items() if value < 1e-7}
    allowed = {key for key in largest if ".non_local_" in key and key.endswith(CANCELLED.get(pairwise, ()))}
    assert silent <= allowed


@pytest.mark.parametrize("name", [*TINY, "r3d50_nl"])
def test_models_compile_without_a_break(name):
    model = nlreid.create_model(name, num_classes=4).eval()
    clip = tiny_clip(model)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        expected, answer = model(clip), compiled(clip)
    torch.testing.assert_close(answer.embedding, expected.embedding)
    torch.testing.assert_close(answer.logits, expected.logits)
    torch._dynamo.reset()


def test_the_paper_places_five_blocks_and_every_depth_at_most_five():
    assert default_blocks([3, 4, 6, 3]) == ((), (1, 3), (1, 3, 5), ())
    assert default_blocks([3, 4, 23, 3]) == ((), (1, 3), (6, 13, 20), ())
    assert default_blocks([2, 2, 2, 2]) == ((), (1,), (1,), ())
    names = [name for name, _ in nlreid.create_model("r3d50_nl").backbone.layer3.named_children()]
    assert names == ["0", "1", "non_local_1", "2", "3", "non_local_3", "4", "5", "non_local_5"]


def test_other_families_take_non_local_blocks_and_plans_too():
    for backbone in ("regnetx_002", "resnetv2_18", "repvgg_a0", "legacy_seresnet18"):
        model = nlreid.create_model("r3d50_nl", backbone=backbone).eval()
        assert any(isinstance(module, NonLocalBlock) for module in model.modules())
        assert model(torch.zeros(1, 3, 2, 32, 32)).embedding.shape == (1, model.num_features)


def test_inserted_blocks_are_not_counted_as_residual_blocks():
    backbone = nlreid.create_model("r3d50", plan="c2d").backbone
    insert_non_local(backbone, NonLocalSpec(blocks=((), (1,))))
    insert_non_local(backbone, NonLocalSpec(blocks=((), (2,))))
    assert [name for name, _ in backbone.layer2.named_children()] == ["0", "1", "non_local_1", "2", "non_local_2", "3"]
    with pytest.raises(nlreid.errors.InputError, match=r"layer2.non_local_1 stands there already"):
        insert_non_local(backbone, NonLocalSpec())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inserted_blocks_take_the_type_of_the_network(dtype):
    model = nlreid.create_model("test_r3d").to(dtype).eval()
    insert_non_local(model.backbone, NonLocalSpec(blocks=((), (0,), (0,), ())))
    assert all(parameter.dtype == dtype for parameter in model.parameters())
    assert model(torch.zeros(1, 3, 4, 64, 32, dtype=dtype)).embedding.dtype == dtype


def test_models_can_be_made_without_memory():
    with torch.device("meta"):
        model = nlreid.create_model("test_r3d_nl", num_classes=3).eval()
        assert model(torch.zeros(2, 3, 4, 64, 32)).logits.shape == (2, 3)


@pytest.mark.parametrize("recompute", ["all", "cheap"])
def test_gradient_checkpointing_compiles(recompute):
    model = nlreid.create_model("test_r3d", num_classes=4, dropout=0.0)
    clip = tiny_clip(model, batch=4)
    model(clip).logits.square().sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.set_grad_checkpointing(recompute=recompute)
    torch.compile(model, backend="aot_eager")(clip).logits.square().sum().backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize("recompute", ["all", "cheap"])
@pytest.mark.parametrize("name", nlreid.list_models("test_*"))
def test_gradient_checkpointing_gives_the_same_gradients(name, recompute):
    model = nlreid.create_model(name, num_classes=4, dropout=0.0)
    clip = tiny_clip(model, batch=4)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable, recompute=recompute)
        model.zero_grad()
        model(clip).logits.square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("recompute", ["all", "cheap"])
def test_hooks_on_stages_run_with_checkpointing(recompute):
    model, seen = nlreid.create_model("test_r3d", num_classes=4), []
    model.set_grad_checkpointing(recompute=recompute)
    model.backbone.layer3.register_forward_hook(lambda _m, _x, out: seen.append(out.shape[1]))
    model(tiny_clip(model, batch=4))
    assert len(seen) == 1


def test_two_backward_passes_with_checkpointing():
    model = nlreid.create_model("test_r3d", num_classes=4)
    model.set_grad_checkpointing()
    out = model(tiny_clip(model, batch=4))
    out.logits.sum().backward(retain_graph=True)
    out.embedding.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_gradient_checkpointing_has_two_kinds():
    with pytest.raises(UnknownNameError, match="all, cheap"):
        nlreid.create_model("test_r3d").set_grad_checkpointing(recompute="some")


def test_with_one_frame_the_frame_networks_are_image_networks():
    for name in ("test_c2d", "test_c2d_max", "test_c2d_rnn", "test_c2d_attention"):
        model = nlreid.create_model(name).eval()
        assert model(torch.randn(2, 3, 1, 64, 32)).embedding.shape == (2, model.embedding_dim)


def test_frozen_backbones_stay_as_they_are():
    model = nlreid.create_model("test_r3d_nl", num_classes=4)
    model.freeze_backbone()
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    optimiser = torch.optim.SGD(model.param_groups(weight_decay=0.1), lr=0.1)
    model.train()(tiny_clip(model)).logits.sum().backward()
    optimiser.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.backbone.state_dict().items())
    assert model.head.training
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    model.freeze_backbone(False)
    assert model.backbone.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_parameter_groups_cover_everything_once_and_spare_norms_and_biases():
    model = nlreid.create_model("test_r3d_nl", num_classes=4, head="bnneck")
    decayed, free = model.param_groups(weight_decay=5e-4)
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0.0)
    grouped = [id(parameter) for group in (decayed, free) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    norms = {
        id(p) for module in model.modules() if isinstance(module, nn.BatchNorm3d | nn.BatchNorm1d) for p in module.parameters()
    }
    assert not norms & {id(parameter) for parameter in decayed["params"]}


def test_resetting_the_classifier_changes_nothing_else():
    model = nlreid.create_model("test_r3d", num_classes=4).eval()
    clip = tiny_clip(model)
    before = model(clip).embedding
    model.reset_classifier(7)
    assert model(clip).logits.shape == (2, 7)
    model.reset_classifier(0)
    assert model(clip).logits is None
    assert torch.equal(model(clip).embedding, before)
    assert model.num_classes == 0


def test_every_spec_is_data_that_json_can_hold():
    import json

    for spec in MODELS.values():
        assert json.loads(json.dumps(spec.as_dict()))["backbone"] == spec.backbone
