"""The split convolutions against single 3D convolutions written out."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nlreid.layers import FactorisedConv3d, SeparableConv3d

GEOMETRIES = [
    # kernel, stride, padding, dilation
    ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    ((5, 7, 7), (2, 2, 2), (2, 3, 3), (1, 1, 1)),
    ((3, 3, 1), (1, 2, 1), (0, 1, 0), (2, 2, 1)),
    ((2, 1, 3), (2, 1, 3), (0, 0, 2), (1, 1, 2)),
    ((1, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
]


@pytest.fixture(autouse=True)
def _same_weights_every_run():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def clip(channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, channels, 6, 9, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), GEOMETRIES)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_the_pair_starts_as_the_mean_inflation(kernel, stride, padding, dilation, groups, bias):
    pair = SeparableConv3d(4, 6, kernel, stride, padding, dilation, groups, bias)
    whole = nn.Conv3d(4, 6, kernel, stride, padding, dilation, groups, bias)
    with torch.no_grad():
        whole.weight.copy_(pair.spatial.weight.expand_as(whole.weight) / kernel[0])
        if bias:
            nn.init.normal_(pair.spatial.bias)
            whole.bias.copy_(pair.spatial.bias)
    torch.testing.assert_close(pair(clip(4)), whole(clip(4)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), GEOMETRIES)
def test_the_trained_pair_is_the_product_of_its_kernels(kernel, stride, padding, dilation):
    pair = SeparableConv3d(4, 6, kernel, stride, padding, dilation)
    nn.init.normal_(pair.temporal.weight)
    product = torch.einsum("omhw,mit->oithw", pair.spatial.weight[:, :, 0], pair.temporal.weight[..., 0, 0])
    wanted = F.conv3d(clip(4), product, stride=stride, padding=padding, dilation=dilation)
    torch.testing.assert_close(pair(clip(4)), wanted, atol=1e-4, rtol=1e-4)


def test_groups_divide_space_only():
    pair = SeparableConv3d(4, 8, (3, 3, 3), groups=4, bias=True)
    shapes = {name: tuple(value.shape) for name, value in pair.state_dict().items()}
    assert shapes == {"temporal.weight": (4, 4, 3, 1, 1), "spatial.weight": (8, 1, 1, 3, 3), "spatial.bias": (8,)}


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "mid"),
    [  # the widths of the published 18-layer network
        (64, 64, (3, 3, 3), 144),
        (64, 128, (3, 3, 3), 230),
        (128, 128, (3, 3, 3), 288),
        (256, 512, (3, 3, 3), 921),
        (3, 64, (3, 7, 7), 83),
        (1, 1, (1, 1, 1), 1),
    ],
)
def test_the_factorised_pair_has_at_most_the_weights_of_the_full_kernel(in_channels, out_channels, kernel, mid):
    conv = FactorisedConv3d(in_channels, out_channels, kernel, device="meta")
    assert conv.mid_channels == conv.spatial.out_channels == mid
    full = nn.Conv3d(in_channels, out_channels, kernel, device="meta").weight.numel()
    assert conv.spatial.weight.numel() + conv.temporal.weight.numel() <= max(full, 2)


@pytest.mark.parametrize(("kernel", "stride", "padding", "_dilation"), GEOMETRIES)
def test_the_factorised_pair_written_out(kernel, stride, padding, _dilation):
    conv = FactorisedConv3d(3, 5, kernel, stride, padding, mid_channels=7).eval()
    for tensor in (conv.norm.weight, conv.norm.bias, conv.norm.running_mean, conv.norm.running_var):
        nn.init.uniform_(tensor, 0.5, 1.5)
    x = F.conv3d(clip(3), conv.spatial.weight, stride=(1, *stride[1:]), padding=(0, *padding[1:]))
    mean, var, weight, bias = (
        tensor.view(-1, 1, 1, 1) for tensor in (conv.norm.running_mean, conv.norm.running_var, conv.norm.weight, conv.norm.bias)
    )
    x = ((x - mean) / (var + conv.norm.eps).sqrt() * weight + bias).clamp(min=0)
    wanted = F.conv3d(x, conv.temporal.weight, stride=(stride[0], 1, 1), padding=(padding[0], 0, 0))
    torch.testing.assert_close(conv(clip(3)), wanted, atol=1e-5, rtol=1e-5)


def test_the_children_of_the_factorised_pair():
    assert [name for name, _ in FactorisedConv3d(3, 5, (3, 3, 3)).named_children()] == [
        "spatial",
        "norm",
        "act",
        "temporal",
    ]


@pytest.mark.parametrize("kind", [SeparableConv3d, FactorisedConv3d])
def test_device_and_type_reach_every_weight(kind):
    conv = kind(2, 4, (3, 3, 3), device="cpu", dtype=torch.float64)
    assert all(value.dtype == torch.float64 for value in conv.parameters())
    assert conv(clip(2).double()).dtype == torch.float64
    assert all(value.is_meta for value in kind(2, 4, (3, 3, 3), device="meta").parameters())
