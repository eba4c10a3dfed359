"""What `inflate` promises beside the repeated frame: kernels, names, strictness, and that the 2D network stays as it was."""

import copy
import dataclasses
import json

import pytest
import timm
import torch
from sweep import randomised, relative_error
from torch import nn

import nlreid
from nlreid.errors import InflationError, InputError, UnknownNameError, WeightsError
from nlreid.inflation import LAYOUTS, PLANS, inflate_kernel, inflate_state_dict, insert_after, register_rule, resolve_plan
from nlreid.inflation.inflate import build_3d
from nlreid.inflation.layouts import Frames
from nlreid.inflation.leaves import inflate_conv
from nlreid.inflation.rules import RULES, Site
from nlreid.inflation.weights import load_inflated, standardise_kernel
from nlreid.layers.conv_pairs import SeparableConv3d

INHERITING = [name for name, plan in PLANS.items() if plan.inherits]


@pytest.mark.parametrize("plan", ["c2d", "i3d", "full", "slow"])
@pytest.mark.parametrize("name", ["test_resnet", "resnet50", "seresnet50", "skresnet18", "resnest14d", "res2net50_26w_4s"])
def test_slices_of_mean_kernels_are_equal_and_sum_to_the_2d_kernel(name, plan):
    model = timm.create_model(name)
    kernels = dict(model.named_parameters())
    inflated = 0
    for key, kernel in nlreid.inflate(model, plan, init="mean").named_parameters():
        if kernel.ndim == 5:
            torch.testing.assert_close(kernel.sum(dim=2), kernels[key], rtol=0, atol=1e-6)
            torch.testing.assert_close(kernel, kernel[:, :, :1].expand_as(kernel), rtol=0, atol=0)
            inflated += kernel.shape[2] > 1
    assert (inflated > 0) == (plan != "c2d")


def test_center_puts_the_kernel_into_the_middle_slice():
    kernel = torch.randn(4, 3, 7, 7)
    inflated = inflate_kernel(kernel, 5, "center")
    assert torch.equal(inflated[:, :, 2], kernel)
    assert inflated.abs().sum() == kernel.abs().sum()


@pytest.mark.parametrize("init", ["mean", "center"])
def test_a_separable_pair_is_the_inflated_kernel(init):
    conv = nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2, bias=True)
    pair = SeparableConv3d(6, 4, (3, 3, 3), (1, 2, 2), (1, 1, 1), groups=2, bias=True)
    whole = nn.Conv3d(6, 4, 3, (1, 2, 2), 1, groups=2, bias=True)
    holder = _Holder(nn.ModuleDict({"conv": pair}))
    load_inflated(holder, {"conv.weight": conv.weight, "conv.bias": conv.bias}, init)
    whole.load_state_dict({"weight": inflate_kernel(conv.weight, 3, init), "bias": conv.bias})
    x = torch.randn(2, 6, 5, 8, 8)
    torch.testing.assert_close(pair(x), whole(x), rtol=1e-5, atol=1e-5)


class _Holder(nn.Module):
    dropped = ()

    def __init__(self, children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


def test_weight_standardised_kernels_are_standardised_first():
    model = timm.create_model("resnetv2_50x1_bit")
    conv = model.stages[1].blocks[0].conv1
    inflated = nlreid.inflate(model, "i3d").get_submodule("stages.1.blocks.0.conv1").weight
    assert inflated.shape[2] == 3
    torch.testing.assert_close(inflated.sum(dim=2), standardise_kernel(conv.weight, conv.eps), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", INHERITING)
def test_the_2d_network_is_left_as_it_was(plan):
    model = timm.create_model("test_resnet").train()
    before = copy.deepcopy(model.state_dict())
    image = torch.randn(2, 3, 64, 64)
    backbone = nlreid.inflate(model, plan)
    backbone(torch.randn(2, 3, 8, 64, 64)).sum().backward()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(1)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model(image).shape == (2, 1000)


@pytest.mark.parametrize("plan", ["c2d", "i3d", "full", "slow"])
def test_inflating_draws_no_random_numbers(plan):
    model, before = timm.create_model("test_resnet"), torch.get_rng_state()
    nlreid.inflate(model, plan)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["resnet18", "seresnet50", "resnest14d", "res2net50_26w_4s", "skresnet18", "resnetblur18"])
@pytest.mark.parametrize("plan", ["c2d", "i3d", "full", "slow"])
def test_names_of_tensors_are_timms(name, plan):
    model = timm.create_model(name)
    kept = {key for key in model.state_dict() if not key.startswith("fc.")}
    assert set(nlreid.inflate(model, plan).state_dict()) == kept


def test_separable_pairs_are_the_only_tensors_with_names_of_their_own():
    model = timm.create_model("resnet18")
    kept = {key for key in model.state_dict() if not key.startswith("fc.")}
    own = set(nlreid.inflate(model, "separable").state_dict()) - kept
    assert own == {
        f"{conv}.{half}.weight"
        for conv in ("conv1", *(f"layer{i}.{j}.conv{k}" for i in (1, 2, 3, 4) for j in (0, 1) for k in (1, 2)))
        for half in ("temporal", "spatial")
    }


@pytest.mark.parametrize("mode", [True, False])
def test_mode_device_type_and_frozen_parameters_carry_over(mode):
    model = timm.create_model("test_resnet").double().train(mode)
    model.layer1.requires_grad_(False)
    backbone = nlreid.inflate(model)
    assert all(module.training is mode for module in backbone.modules())
    assert all(parameter.dtype == torch.float64 for parameter in backbone.parameters())
    assert not any(parameter.requires_grad for parameter in backbone.layer1.parameters())
    assert all(parameter.requires_grad for parameter in backbone.layer2.parameters())


@pytest.mark.parametrize("plan", INHERITING)
@pytest.mark.parametrize("init", ["mean", "center"])
@pytest.mark.parametrize("name", ["test_resnet", "resnetv2_50x1_bit"])
def test_state_dicts_inflate_to_the_same_tensors(name, plan, init):
    model, other = timm.create_model(name), timm.create_model(name)
    expected = nlreid.inflate(model, plan, init).state_dict()
    inflated = inflate_state_dict(model.state_dict(), nlreid.inflate(other, plan), init)
    assert inflated.keys() == expected.keys()
    assert all(torch.equal(inflated[key], expected[key]) for key in expected)


def test_state_dicts_that_do_not_fit_are_refused_by_name_and_change_nothing():
    model = timm.create_model("test_resnet")
    backbone = nlreid.inflate(model)
    before = copy.deepcopy(backbone.state_dict())
    good = model.state_dict()
    for changes, named in (
        ({"layer9.0.conv1.weight": torch.zeros(1, 1, 1, 1)}, "1 left over .layer9.0.conv1.weight"),
        ({"layer1.0.conv1.weight": torch.zeros(2, 2, 3, 3)}, "1 of another shape .layer1.0.conv1.weight"),
        ({"bn1.running_var": torch.zeros(7)}, "1 of another shape .bn1.running_var"),
    ):
        with pytest.raises(WeightsError, match=named):
            load_inflated(backbone, {**good, **changes})
    with pytest.raises(WeightsError, match=r"1 missing .layer2.0.conv1.weight"):
        load_inflated(backbone, {key: value for key, value in good.items() if key != "layer2.0.conv1.weight"})
    assert all(torch.equal(tensor, before[key]) for key, tensor in backbone.state_dict().items())
    without_counters = {key: value for key, value in good.items() if not key.endswith("num_batches_tracked")}
    assert inflate_state_dict(without_counters, backbone).keys() == before.keys()
    with pytest.raises(InputError, match="network of nlreid"):
        inflate_state_dict(good, nn.Identity())


def test_mean_inflation_answers_like_2d_where_the_receptive_field_stays_inside_the_clip():
    model = randomised("resnet18")
    frame = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model.forward_features(frame).unsqueeze(2)
        answer = nlreid.inflate(model, "i3d")(frame.unsqueeze(2).repeat(1, 1, 48, 1, 1))
    assert relative_error(answer[:, :, 11:13], expected) <= 1e-4
    assert relative_error(answer[:, :, :1], expected) > 1e-2  # zero padding: the first frames see less


def test_unknown_types_are_refused_with_the_way_to_register_them():
    class Squash(nn.ReLU):
        pass

    model = timm.create_model("test_resnet")
    model.act1 = Squash()
    with pytest.raises(InflationError, match=r"Squash .at 'act1'.*register_rule"):
        nlreid.inflate(model)
    register_rule(Squash, lambda module, site: site.rebuild(module))
    try:
        assert type(nlreid.inflate(model).act1) is Squash
    finally:
        del RULES[Squash]


def test_dropped_activations_are_not_lost_silently():
    """A norm that also activates is a subclass of one that does not: rules go by exact type."""
    from timm.layers.norm_act import FrozenBatchNormAct2d

    model = timm.create_model("test_resnet")
    model.bn1 = FrozenBatchNormAct2d(model.bn1.num_features)
    with pytest.raises(InflationError, match=r"FrozenBatchNormAct2d"):
        nlreid.inflate(model)


def test_unknown_networks_plans_and_inits_are_refused():
    with pytest.raises(InflationError, match=r"no layout for timm.models.vision_transformer.*ResNet, ResNetV2"):
        nlreid.inflate(timm.create_model("test_vit"))
    model = timm.create_model("test_resnet")
    with pytest.raises(UnknownNameError, match="did you mean 'i3d'"):
        nlreid.inflate(model, "i3b")
    with pytest.raises(UnknownNameError, match="did you mean 'center'"):
        nlreid.inflate(model, init="centre")
    with pytest.raises(UnknownNameError, match="did you mean 'stem_stride'"):
        nlreid.inflate(model, {"name": "i3d", "stem_strides": 2})
    with pytest.raises(InputError, match="odd"):
        nlreid.inflate(model, {"name": "i3d", "stem": 4})
    with pytest.raises(InputError, match="whole number from 1"):
        nlreid.inflate(model, {"name": "i3d", "stem_stride": 0})
    for plan in ("r3d", "mc3", "r2plus1d"):
        with pytest.raises(InflationError, match=r"cannot inherit 2D weights \(Tran et al. 2018.*create_model"):
            nlreid.inflate(model, plan)
    model.extra = nn.Identity()
    with pytest.raises(InflationError, match=r"unknown children .'extra'"):
        nlreid.inflate(model)


def test_clips_that_do_not_fit_are_refused():
    backbone = nlreid.inflate(timm.create_model("test_resnet"))
    for clip, named in (
        (torch.zeros(3, 8, 64, 64), "got .3, 8, 64, 64."),
        (torch.zeros(1, 1, 8, 64, 64), "batch, 3, frames"),
        (torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 3, 8, 64, 64, dtype=torch.float64), "computes in torch.float32, the clip is torch.float64"),
        (torch.zeros(1, 3, 1, 64, 64), "at least 2 frames; got 1"),
        (torch.zeros(1, 3, 8, 16, 64), "at least 32 x 32 pixels; got 16 x 64"),
    ):
        with pytest.raises(InputError, match=named):
            backbone(clip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert backbone.eval()(torch.zeros(1, 3, 8, 64, 64)).isfinite().all()


STRIDED = [{"name": "i3d", "stem_stride": 2, "stem_pool_stride": 2}, {"name": "full", "strides": [1, 2, 2, 2]}]


@pytest.mark.parametrize("plan", [*PLANS, *STRIDED])
def test_every_plan_runs_on_its_shortest_clip_and_says_how_many_frames_are_left(plan):
    backbone = build_3d(timm.create_model("test_resnet"), resolve_plan(plan)).eval()
    for frames in (backbone.min_frames, 7, 8):
        assert backbone(torch.zeros(1, 3, frames, backbone.stride, backbone.stride)).shape == (
            1,
            96,
            backbone.plan.output_frames(frames),
            1,
            1,
        )
    if backbone.min_frames > 1:
        with pytest.raises(InputError, match="at least"):
            backbone(torch.zeros(1, 3, backbone.min_frames - 1, 32, 32))


def test_a_temporal_stride_needs_a_place():
    model = timm.create_model("resnet18", output_stride=8)
    with pytest.raises(InflationError, match="needs a spatial stride"):
        nlreid.inflate(model, {"name": "full", "strides": [1, 2, 2, 2]})


def test_insert_after_renames_nothing():
    backbone = nlreid.inflate(timm.create_model("test_resnet"), "c2d")
    names = list(backbone.state_dict())
    insert_after(backbone, "layer2.0", "probe", nn.Identity())
    assert list(backbone.state_dict()) == names
    assert [name for name, _ in backbone.layer2.named_children()] == ["0", "probe"]


@pytest.mark.parametrize("recompute", ["all", "cheap"])
@pytest.mark.parametrize(
    "family", ["test_resnet", "resnet18d", "seresnext26t_32x4d", "resnest14d", "resnetv2_50", "regnety_002"]
)
def test_checkpointing_changes_neither_results_nor_running_statistics(family, recompute):
    clip = torch.randn(2, 3, 4, 64, 32)
    plain = nlreid.inflate(timm.create_model(family))
    saving = copy.deepcopy(plain)
    saving.grad_checkpointing, saving.recompute = True, recompute
    for backbone in (plain, saving):
        backbone(clip).square().mean().backward()
    for (name, tensor), other in zip(plain.state_dict().items(), saving.state_dict().values(), strict=True):
        assert torch.equal(tensor, other), name
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)


def test_every_layout_is_of_a_class_of_its_own():
    assert len(LAYOUTS) == 5


@pytest.mark.parametrize("name", ["resnest14d", "res2net50_26w_4s", "resnet50d"])
def test_maps_smaller_than_an_average_pool_pass_as_in_2d(name):
    model = randomised(name)
    frame = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        answer = nlreid.inflate(model, init="center")(frame.unsqueeze(2).repeat(1, 1, 2, 1, 1))
        assert relative_error(answer, model.forward_features(frame).unsqueeze(2)) <= 1e-4


@pytest.mark.parametrize("plan", ["separable", "i3d"])
def test_frozen_kernels_stay_frozen(plan):
    model = timm.create_model("test_resnet").requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in nlreid.inflate(model, plan).parameters())


def test_each_module_keeps_its_mode():
    model = timm.create_model("test_resnet").train()
    model.layer1.eval()
    backbone = nlreid.inflate(model)
    assert backbone.training
    assert not any(module.training for module in backbone.layer1.modules())


def test_replicas_of_data_parallel_run():
    replica = nlreid.inflate(timm.create_model("test_resnet")).eval()
    clip = torch.zeros(1, 3, 2, 32, 32)
    expected = replica(clip)
    for module in replica.modules():  # as DataParallel makes them: tensors are attributes, not parameters
        tensors, module._parameters = module._parameters, {}
        for name, tensor in tensors.items():
            object.__setattr__(module, name, tensor)
    assert torch.equal(replica(clip), expected)


@pytest.mark.parametrize(
    ("plan", "answer"),
    [
        (None, "a plan is a name"),
        (5, "a plan is a name"),
        ({"first": None}, "one entry for each of four stages"),
        ({"first": [3, 3, 3, 3]}, "a cycle of kernels for each stage"),
        ({"first": [[3], [3], [3], []]}, "a cycle of kernels for each stage"),
        ({"first": [[1], [1], [1], [2]]}, "temporal kernels are odd"),
        ({"spatial": [1, 1, 1, 2]}, "temporal kernels are odd"),
        ({"stem_pool_kernel": 2}, "temporal kernels are odd"),
        ({"strides": [1, 1, 1, 0]}, "whole number"),
        ({"stem_hidden": 0}, "whole number"),
        ({"stem": True}, "whole number"),
        ({"spatial": [1, 1, 1]}, "four stages"),
        ({"stem_pool": "no"}, "True or False"),
        ({"inherits": "no"}, "True or False"),
        ({"stem_pool": False, "stem_pool_stride": 2}, "without a stem pool"),
        ({"stem_pool": False, "stem_pool_kernel": 3}, "without a stem pool"),
        ({"pool_after_first_stage": 2000, "form": "x"}, "unknown form"),
    ],
)
def test_plans_that_make_no_sense_are_refused(plan, answer):
    with pytest.raises((InputError, UnknownNameError), match=answer):
        resolve_plan(plan)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_was_written_out_is_the_plan(name):
    assert resolve_plan(json.loads(json.dumps(dataclasses.asdict(PLANS[name])))) == PLANS[name]


def test_changed_fields_without_a_name_change_the_plan_of_single_frames():
    assert resolve_plan({"stem": 3}) == dataclasses.replace(PLANS["c2d"], stem=3)


@pytest.mark.parametrize(
    ("options", "padding"),
    [
        ({"padding": "valid"}, (0, 0)),
        ({"padding": "same", "dilation": (2, 3)}, (2, 6)),
        ({"padding": 1, "padding_mode": "reflect", "bias": False}, (1, 1)),
    ],
    ids=str,
)
def test_other_ways_to_pad_answer_as_in_2d(options, padding):
    conv = nn.Conv2d(2, 3, (3, 5), **options)
    inflated = inflate_conv(conv, Site("conv", {"conv": Frames(3)}))
    assert inflated.padding == (1, *padding)
    inflated.load_state_dict({name: with_time(tensor) for name, tensor in conv.state_dict().items()})
    frame = torch.randn(1, 2, 9, 16)
    torch.testing.assert_close(inflated(frame.unsqueeze(2).repeat(1, 1, 5, 1, 1))[:, :, 2], conv(frame))


def with_time(tensor):
    return inflate_kernel(tensor, 3) if tensor.ndim == 4 else tensor


@pytest.mark.parametrize(
    ("options", "form", "message"),
    [
        ({"kernel_size": 2, "padding": "same"}, "plain", "'conv' pads an even kernel 2 x 2 with 'same'"),
        ({"kernel_size": (3, 4), "padding": "same"}, "plain", "even kernel 3 x 4"),
        ({"kernel_size": 3, "padding_mode": "reflect"}, "separable", "'conv' pads with 'reflect'; a separable pair"),
        ({"kernel_size": 3, "padding_mode": "reflect", "bias": False}, "factorised", "a factorised pair pads with zeros only"),
        ({"kernel_size": 3}, "factorised", "groups, a dilation or a bias"),
        ({"kernel_size": 3, "bias": False, "groups": 2}, "factorised", "groups, a dilation or a bias"),
        ({"kernel_size": 3, "bias": False, "dilation": (1, 2)}, "factorised", "groups, a dilation or a bias"),
    ],
)
def test_convolutions_without_a_3d_form_are_refused(options, form, message):
    with pytest.raises(InflationError, match=message):
        inflate_conv(nn.Conv2d(2, 4, **options), Site("conv", {"conv": Frames(3, 1, form, 5)}))


def test_a_kernel_to_standardise_that_is_missing_is_said():
    model, kernel = timm.create_model("resnetv2_50x1_bit"), "stages.1.blocks.0.conv1.weight"
    backbone = nlreid.inflate(model, "i3d")
    with pytest.raises(WeightsError, match=r"1 missing \(stages.1.blocks.0.conv1.weight"):
        load_inflated(backbone, {key: value for key, value in model.state_dict().items() if key != kernel})


def test_the_shortest_clip_is_computed_for_any_plan():
    for changes in ({"pool_after_first_stage": 2000}, {"stem_stride": 4, "pool_after_first_stage": 3, "strides": [2, 3, 2, 1]}):
        plan = resolve_plan({"name": "i3d", **changes})
        assert plan.output_frames(plan.min_frames) == 1
        assert plan.output_frames(plan.min_frames - 1) == 0


def test_a_stem_pool_can_look_at_several_frames():
    backbone = nlreid.inflate(timm.create_model("resnet18"), {"name": "full", "stem_pool_kernel": 3, "stem_pool_stride": 2})
    assert backbone.maxpool.kernel_size == (3, 3, 3)
    assert backbone(torch.zeros(2, 3, 7, 32, 32)).shape[2] == backbone.plan.output_frames(7) == 4
    with pytest.raises(InflationError, match="only max-pools"):
        nlreid.inflate(timm.create_model("resnetblur18"), {"name": "full", "stem_pool_kernel": 3, "stem_pool_stride": 2})
