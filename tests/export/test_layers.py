"""Layers alone through `torch.export`: one graph for any number of clips of any length, which answers as the layer does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.models.resnet import downsample_avg
from torch import nn
from torch.export import Dim

import nlreid.layers.pairwise as pairwise
from nlreid.inflation.modules import FrameAvgPool
from nlreid.layers import NonLocalBlock, create_aggregate
from nlreid.layers.conv3d import Conv3d
from nlreid.layers.pool import MaxPool3d, TemporalMaxPool

SHAPES = [(1, 1), (2, 2), (1, 5), (3, 4), (5, 7)]  # clips, frames
AGGREGATES = {
    "average": {},
    "max": {},
    "attention": {"inner": 6},
    "lstm": {"hidden": 3},
    "lstm, last": {"hidden": 3, "output": "last"},
    "gru": {"hidden": 3, "cell": "gru"},
    "gru, last": {"hidden": 3, "cell": "gru", "output": "last"},
}


def program(layer, channels, size, least=1):
    """The layer's graph, for any number of clips and frames."""
    clip = torch.zeros(2, channels, 6, *size)
    shapes = ({0: Dim("clips", min=1), 2: Dim("frames", min=least)},)
    with torch.no_grad(), torch.fx.experimental._config.patch(backed_size_oblivious=True):
        return torch.export.export(layer.eval(), (clip,), dynamic_shapes=shapes)


def assert_same(layer, channels, size=(4, 2), least=1):
    graph = program(layer, channels, size, least).module()
    generator = torch.Generator().manual_seed(0)
    for clips, frames in SHAPES:
        if frames >= least:
            clip = torch.randn(clips, channels, frames, *size, generator=generator)
            with torch.no_grad():
                torch.testing.assert_close(graph(clip), layer(clip), atol=1e-5, rtol=1e-5)


def operators(layer, channels, size=(4, 2)):
    return [str(node.target) for node in program(layer, channels, size).graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("kind", AGGREGATES)
def test_aggregates(kind):
    name = kind if kind in ("average", "max", "attention") else "rnn"
    assert_same(create_aggregate(name, 5, **AGGREGATES[kind]), 5)


@pytest.mark.parametrize(
    ("subsample", "order"), [(1, "before"), (2, "before"), (2, "after")], ids=["all keys", "pooled before", "pooled after"]
)
@pytest.mark.parametrize("form", pairwise.PAIRWISE)
def test_non_local_blocks(form, subsample, order):
    block = NonLocalBlock(8, pairwise=form, subsample=subsample, subsample_order=order)
    nn.init.uniform_(block.norm.weight, 0.5, 1.0)  # no longer the identity
    assert_same(block, 8)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [
        ((1, 1, 1), 1, 0, 1, 1),
        ((3, 1, 1), (2, 1, 1), (1, 0, 0), 1, 1),
        ((1, 3, 3), (1, 2, 2), (0, 1, 1), 1, 1),
        ((3, 3, 3), 1, 2, 2, 2),
    ],
)
def test_convolutions_are_plain(kernel, stride, padding, dilation, groups):
    """Not the views that they are computed on otherwise, of which a reader of the graph could make nothing."""
    conv = Conv3d(4, 6, kernel, stride, padding, dilation, groups)
    assert_same(conv, 4)
    assert operators(conv, 4) == ["aten.conv3d.default"]


def test_pools_are_plain():
    assert operators(MaxPool3d((1, 2, 2)), 3) == ["aten.max_pool3d.default"]
    assert operators(TemporalMaxPool(2), 3) == ["aten.max_pool3d.default"]
    assert_same(MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)), 3)
    assert_same(TemporalMaxPool(2), 3, least=2)


@pytest.mark.parametrize("temporal_stride", [1, 2])
@pytest.mark.parametrize("size", [(4, 2), (5, 3)], ids=["even", "with a rest"])
def test_average_pools_of_frames_are_those_of_2d(temporal_stride, size):
    pool = next(module for module in downsample_avg(3, 4, 1, stride=2).modules() if isinstance(module, nn.AvgPool2d))
    pool = FrameAvgPool(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, pool.count_include_pad)
    pool.temporal_stride = temporal_stride
    assert_same(pool, 3, size)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9), st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_a_rank_found_by_sorting_is_one(keys, others):
    rising, asked = torch.tensor([sorted(keys)], dtype=torch.float32), torch.tensor([others], dtype=torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairwise, "exporting", lambda: True)
        rank = pairwise._rank(rising, asked)[0].tolist()
    for value, place in zip(others, rank, strict=True):  # equal keys may be counted, or some of them
        assert sum(key < value for key in keys) <= place <= sum(key <= value for key in keys)
