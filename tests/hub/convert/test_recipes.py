"""Converting uses every tensor of a checkpoint once or drops it as declared, and gives exactly what the network has."""

from functools import cache

import pytest
import timm
import torch
from golden.published import TAGS, files, golden
from hypothesis import given
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.convert import RECIPES
from nlreid.hub.reading.files import read_tensors
from nlreid.hub.table.manifest import find_entry
from nlreid.models.assembly import shapes_of
from nlreid.models.zoo import model_spec

REFUSED = "fastreid__agw_r50_ibn_keys"
FLAT = [file for file in files("torchreid__*") + files("fastreid__*") if file != REFUSED]  # 2D networks
TIMM = {"resnet18", "resnet50", "resnet50d", "hrnet_w18_small", "seresnet50", "densenet121", "mobilenetv3_small_050"}


def convert(file, tensors=None):
    return RECIPES[golden(file).project].convert(golden(file).on_meta() if tensors is None else tensors)


def recognising(tensors):
    return [name for name, recipe in RECIPES.items() if recipe.recognises(tensors)]


@cache
def names_of_timm(name):
    with torch.device("meta"):
        return timm.create_model(name).state_dict()


@cache
def wanted(file):
    """The tensors of the network that a checkpoint is for, without values."""
    if file in FLAT:
        return {name: tensor for name, tensor in names_of_timm("resnet50").items() if not name.startswith("fc.")}
    entry = find_entry(TAGS[file])
    return shapes_of(model_spec(entry.model).override(entry.overrides), "linear", entry.num_classes)


def kinds(tensors):
    return {name: (tuple(tensor.shape), tensor.dtype, tensor.device) for name, tensor in tensors.items()}


def test_every_golden_file_is_of_use():
    assert {*TAGS, *FLAT, REFUSED} == set(files())
    assert {golden(file).project for file in files()} == set(RECIPES)


# --- nothing is left out, nothing invented


@pytest.mark.parametrize("file", [*TAGS, *FLAT])
def test_converting_gives_what_the_network_has(file):
    conversion = convert(file)
    assert kinds(conversion.tensors) == kinds(wanted(file))


@pytest.mark.parametrize("file", [*TAGS, *FLAT])
def test_every_tensor_is_used_once_or_dropped_as_declared(file):
    source = golden(file).on_meta()
    conversion = convert(file, source)
    kept = [id(tensor) for name, tensor in conversion.tensors.items() if name not in conversion.added]
    assert sorted(kept) == sorted(id(tensor) for name, tensor in source.items() if name not in conversion.dropped)
    assert set(conversion.dropped) <= source.keys()
    assert set(conversion.added) <= conversion.tensors.keys()


DROPPED = {
    "gluoncv": {"nonlocal_block.W_bn.", "head.1."},
    "torchreid": {"fc.", "classifier."},
    "fastreid": {"heads.", "pixel_"},
}


@pytest.mark.parametrize("file", [*TAGS, *FLAT])
def test_only_what_is_declared_is_dropped_or_added(file):
    recipe = RECIPES[golden(file).project]
    conversion = convert(file)
    for name in conversion.dropped:
        assert any(mark in name for mark in DROPPED[recipe.name])
    for name in conversion.added:
        assert name.endswith(".out.bias" if recipe.name == "mmaction2" else "num_batches_tracked")
    assert recipe.drops != "nothing" or not conversion.dropped
    assert recipe.adds != "nothing" or not conversion.added


def test_what_is_added_is_zero():
    source = {
        "conv1_w": torch.ones(2, 3, 1, 1, 1),
        **{f"res_conv1_bn_{role}": torch.ones(2) for role in ("s", "b", "rm", "riv")},
    }
    added = RECIPES["pyslowfast"].convert(source)
    assert added.added == ("backbone.bn1.num_batches_tracked",)
    counter = added.tensors["backbone.bn1.num_batches_tracked"]
    assert (counter.dtype, counter.shape, counter.item()) == (torch.int64, (), 0)
    source = {"backbone.layer2.1.non_local_block.conv_out.conv.weight": torch.ones(4, 2, 1, 1, 1, dtype=torch.float16)}
    bias = RECIPES["mmaction2"].convert(source).tensors["backbone.layer2.non_local_1.out.bias"]
    assert torch.equal(bias, torch.zeros(4, dtype=torch.float16))


def test_counters_that_a_file_has_are_kept():
    source = {"bn1.running_mean": torch.zeros(2), "bn1.num_batches_tracked": torch.tensor(7), "bn1.running_var": torch.ones(2)}
    for recipe in ("torchreid", "hara"):
        conversion = RECIPES[recipe].convert(source)
        assert conversion.added == ()
        assert conversion.tensors[next(name for name in conversion.tensors if name.endswith("tracked"))].item() == 7


# --- values


@pytest.mark.parametrize(
    ("file", "source", "target"),
    [
        ("pyslowfast__I3D_NLN_8x8_R50", "s3.pathway0_res1.branch2.b.weight", "backbone.layer2.1.conv2.weight"),
        ("pyslowfast__I3D_NLN_8x8_R50", "s4.pathway0_nonlocal5.conv_out.bias", "backbone.layer3.non_local_5.out.bias"),
        ("pyslowfast_caffe2__I3D_NLN_8x8_R50", "res5_2_branch2c_bn_riv", "backbone.layer4.2.bn3.running_var"),
        ("pyslowfast_caffe2__I3D_NLN_8x8_R50", "res2_0_branch1_bn_s", "backbone.layer1.0.downsample.1.weight"),
        ("pyslowfast_caffe2__I3D_NLN_8x8_R50", "nonlocal_conv3_1_bn_rm", "backbone.layer2.non_local_1.norm.running_mean"),
        ("pyslowfast_caffe2__I3D_NLN_8x8_R50", "nonlocal_conv3_1_theta_b", "backbone.layer2.non_local_1.theta.bias"),
        ("pytorchvideo__i3d_r50", "blocks.3.res_blocks.0.branch1_norm.bias", "backbone.layer2.0.downsample.1.bias"),
        ("pytorchvideo__slow_r50", "blocks.3.res_blocks.0.branch1_norm.bias", "backbone.layer3.0.downsample.1.bias"),
        (
            "mmaction2__i3d_r50_nl_gaussian",
            "backbone.layer2.3.non_local_block.g.0.conv.bias",
            "backbone.layer2.non_local_3.g.bias",
        ),
        ("gluoncv__i3d_nl5_resnet50_v1", "res_layers.2.5.nonlocal_block.W.bias", "backbone.layer3.non_local_5.out.bias"),
        ("torchvision__mc3_18", "layer2.0.conv1.1.weight", "backbone.layer2.0.bn1.weight"),
        ("torchvision__r2plus1d_18", "stem.1.running_mean", "backbone.conv1.norm.running_mean"),
        ("torchvision__r2plus1d_18", "layer4.1.conv2.0.3.weight", "backbone.layer4.1.conv2.temporal.weight"),
    ],
)
def test_values_go_where_they_belong(file, source, target):
    tensors = golden(file).on_meta()
    assert convert(file, tensors).tensors[target] is tensors[source]


def test_mmaction2_without_subsampling_has_no_pool_in_its_names():
    tensors = golden("mmaction2__i3d_r50_nl_embedded_gaussian").on_meta()
    bare = {name.replace(".0.conv.", ".conv.") if "non_local_block" in name else name: value for name, value in tensors.items()}
    assert bare.keys() != tensors.keys()
    assert kinds(RECIPES["mmaction2"].convert(bare).tensors) == kinds(wanted("mmaction2__i3d_r50_nl_embedded_gaussian"))


def test_state_of_caffe2_training_is_dropped_and_nothing_that_only_looks_like_it():
    tensors = golden("pyslowfast_caffe2__I3D_8x8_R50").on_meta()
    state = {f"{name}_momentum": tensor for name, tensor in tensors.items()}
    state |= {"lr": torch.tensor(0.1), "model_iter": torch.tensor(400_000)}
    conversion = RECIPES["pyslowfast"].convert(tensors | state)
    assert set(conversion.dropped) == state.keys()
    assert kinds(conversion.tensors) == kinds(wanted("pyslowfast_caffe2__I3D_8x8_R50"))
    for name in ("lr_w", "conv_lr", "momentum", "strange_momentum", "conv1_w_momentum_2", "gpu_0/lr", "model_iter_b"):
        with pytest.raises(WeightsError, match=f"'{name}' is no name of the Caffe2 blobs"):
            RECIPES["pyslowfast"].convert({**tensors, name: torch.zeros(1)})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("res_layers.1.1.nonlocal_block.W.bias", "res_layers.1.1.nonlocal_block.W_bn.0.bias"),
        ("res_layers.1.1.nonlocal_block.bn.running_mean", "res_layers.1.1.nonlocal_block.W_bn.1.running_mean"),
        ("fc.bias", "head.1.bias"),
    ],
)
def test_second_names_must_hold_what_the_first_hold(first, second):
    recipe = RECIPES["gluoncv"]
    conversion = recipe.convert({first: torch.ones(2), second: torch.ones(2)})
    assert conversion.dropped == (second,)
    for other in (torch.zeros(2), torch.ones(3)):
        with pytest.raises(WeightsError, match="their values differ"):
            recipe.convert({first: torch.ones(2), second: other})
    with pytest.raises(WeightsError, match=f"'{second}' is a second name of '{first}', which is missing"):
        recipe.convert({second: torch.ones(2)})


# --- damaged and foreign layouts


@given(data=st.data())
def test_a_name_that_is_added_or_changed_is_an_error_that_says_which(data):
    file = data.draw(st.sampled_from([*TAGS, *FLAT]))
    tensors = golden(file).on_meta()
    old = data.draw(st.sampled_from(sorted(tensors)))
    new = data.draw(
        st.one_of(
            st.sampled_from(
                [f"{old}.weight", f"x{old}", f"{old}\n", old.upper(), old.replace("weight", "Weight") + "s", old[:-1]]
            ),
            st.text(max_size=20),
        ).filter(lambda name: name not in tensors and not name.endswith("_b"))
    )
    for changed in ({**tensors, new: tensors[old]}, {new if name == old else name: value for name, value in tensors.items()}):
        with pytest.raises(WeightsError) as caught:
            convert(file, changed)
        assert f"{new!r:.100}" in str(caught.value)
        assert "\n" not in str(caught.value)


@given(data=st.data())
def test_a_name_that_is_missing_is_missing_in_the_result_and_nothing_takes_its_place(data):
    file = data.draw(st.sampled_from([*TAGS, *FLAT]))
    tensors = golden(file).on_meta()
    whole = convert(file, tensors)
    gone = data.draw(st.sampled_from(sorted(tensors.keys() - set(whole.dropped))))
    target = next(name for name, tensor in whole.tensors.items() if tensor is tensors[gone])
    cut = {name: tensor for name, tensor in tensors.items() if name != gone}
    try:
        part = convert(file, cut)
    except WeightsError as error:  # what has a second name
        assert gone in str(error)  # noqa: PT017
    else:
        lost = wanted(file).keys() - part.tensors.keys()
        assert target in lost
        assert lost <= {target, target.replace("running_mean", "num_batches_tracked"), target.replace("out.weight", "out.bias")}


def test_two_names_that_become_one_are_an_error():
    tensors = {f"backbone.layer2.1.non_local_block.phi.{pool}conv.bias": torch.zeros(2) for pool in ("", "0.")}
    with pytest.raises(WeightsError, match=r"phi\.0\.conv\.bias' and .*phi\.conv\.bias' both become"):
        RECIPES["mmaction2"].convert(tensors)


def test_tensors_that_cannot_be_weights_are_refused():
    with pytest.raises(WeightsError, match=r"'conv1_w' is of type torch\.int64"):
        RECIPES["pyslowfast"].convert({"conv1_w": torch.tensor(3), "res_conv1_bn_s": torch.ones(1)})
    for recipe, name in (("pyslowfast", "head.projection.weight"), ("torchvision", "fc.weight")):
        with pytest.raises(WeightsError, match=rf"'{name}' has shape \(5, 4, 1, 1, 1\); a classifier is a matrix"):
            RECIPES[recipe].convert({name: torch.zeros(5, 4, 1, 1, 1)})


@pytest.mark.parametrize(
    ("recipe", "name", "answer"),
    [
        ("fastreid", "backbone.layer1.0.bn1.IN.weight", "instance norms"),
        ("fastreid", "backbone.NL_2.0.theta.weight", "2D non-local blocks"),
        ("fastreid", "backbone.layer1.0.se.fc.0.weight", "squeeze-and-excitation"),
        ("torchreid", "layer1.0.bn1.BN.running_mean", "instance norms"),
        ("torchreid", "layer1.2.IN.weight", "instance norms"),
        ("torchreid", "fc_fusion.0.weight", "resnet50mid"),
        ("pyslowfast", "s1.pathway1_stem.conv.weight", "two pathways"),
        ("pyslowfast", "s1_fuse.conv_f2s.weight", "two pathways"),
        ("mmaction2", "backbone.slow_path.conv1.conv.weight", "two pathways"),
        ("mmaction2", "backbone.layer2.1.non_local_block.concat_project.conv.weight", "concatenation"),
    ],
)
def test_related_networks_are_refused_by_name(recipe, name, answer):
    with pytest.raises(WeightsError, match=answer):
        RECIPES[recipe].convert({name: torch.zeros(2, 2)})


def test_a_whole_network_with_instance_norms_is_refused():
    assert recognising(golden(REFUSED).on_meta()) == ["fastreid"]
    with pytest.raises(WeightsError, match="instance norms"):
        convert(REFUSED)


# --- which layout is it


@pytest.mark.parametrize("file", files())
def test_each_layout_is_recognised_by_one_recipe(file):
    assert recognising(golden(file).on_meta()) == [golden(file).project]


def test_names_of_this_library_and_of_timm_are_recognised_by_none():
    for file in TAGS:
        assert recognising(wanted(file)) == []
        assert recognising({name: tensor for name, tensor in wanted(file).items() if not name.startswith("head.")}) == []
    for name in TIMM:
        assert recognising(names_of_timm(name)) == []
    assert recognising({}) == []


@pytest.mark.parametrize(
    "names",
    [
        ("backbone.conv1.weight", "heads.weight"),
        ("classifier.weight", "conv1.weight"),
        ("conv1.weight", "fc.weight"),
        ("blocks.0.conv.weight",),
        ("backbone.conv1.conv.weight",),
        ("first_stage.0.weight",),
        ("stem.0.weight",),
        ("conv1_w",),
    ],
    ids=" ".join,
)
def test_a_stem_alone_is_no_layout(names):
    assert recognising(dict.fromkeys(names, torch.empty(64, 3, 5, 7, 7, device="meta"))) == []


# --- as files


@pytest.mark.parametrize("file", [*TAGS, *FLAT])
def test_published_files_are_read_and_converted(tmp_path, file):
    small = {name: shape for name, shape in golden(file).shapes.items() if len(shape) < 2 and sum(shape) <= 256}
    checkpoint = type(golden(file))(file, small, seed=1)
    read = read_tensors(checkpoint.write(tmp_path / "weights"))
    assert kinds(read) == kinds(checkpoint.tensors())
    converted = convert(file, read)
    assert len(converted.tensors) == len(small) - len(converted.dropped) + len(converted.added)
    assert all(torch.equal(read[name], tensor) for name, tensor in checkpoint.tensors().items())
