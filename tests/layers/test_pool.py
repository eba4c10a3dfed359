"""Our pools against those of torch."""

import pytest
import torch
from torch.nn import functional as F

from nlreid.layers.pool import MaxPool3d, TemporalMaxPool


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("length", [3, 4, 7])
@pytest.mark.parametrize("trained", [False, True], ids=["inference", "training"])
def test_the_pool_of_torch(frames, length, trained):
    x = torch.randint(0, 3, (2, 3, length, 2, 2), generator=torch.Generator().manual_seed(0)).float()  # with ties
    x = x.contiguous(memory_format=torch.channels_last_3d).requires_grad_(trained)
    ours, theirs = TemporalMaxPool(frames)(x), F.max_pool3d(x, (frames, 1, 1))
    assert torch.equal(ours, theirs)
    if trained:
        assert torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, theirs)))


def test_a_clip_without_a_batch_is_pooled_as_by_torch():
    x = torch.rand(3, 4, 6, 2)
    assert torch.equal(TemporalMaxPool(2)(x), F.max_pool3d(x, (2, 1, 1)))


def test_what_is_no_number_is_kept():
    x = torch.tensor([1.0, float("nan"), float("nan"), 2.0]).reshape(1, 1, 4, 1, 1)
    assert TemporalMaxPool(2)(x).isnan().all()


def test_too_short_a_clip_is_an_error_in_both_modes():
    for trained in (False, True):
        with pytest.raises(RuntimeError):
            TemporalMaxPool(2)(torch.zeros(1, 1, 1, 1, 1, requires_grad=trained))


@pytest.mark.parametrize("kernel", [(1, 3, 3), (1, 2, 2), (1, 3, 2), (3, 3, 3), (2, 1, 1)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (1, 2, 2)},
        {"stride": 2, "ceil_mode": True},
        {"stride": (1, 2, 2), "ceil_mode": True},
        {"stride": (1, 2, 1), "dilation": (1, 2, 1)},
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_pools_of_all_axes_are_those_of_torch(kernel, options, layout):
    x = torch.randint(0, 4, (2, 3, 4, 7, 6), generator=torch.Generator().manual_seed(0)).float()  # with ties
    x = x.contiguous(memory_format=layout).requires_grad_()
    padded = options | {"padding": tuple(side // 2 for side in kernel)}
    for settings in (options, padded):
        ours, theirs = MaxPool3d(kernel, **settings)(x), F.max_pool3d(x, kernel, **settings)
        assert torch.equal(ours, theirs)
        assert torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, theirs)))


def test_indices_and_clips_without_a_batch_are_those_of_torch():
    x = torch.rand(3, 4, 6, 2)
    assert torch.equal(MaxPool3d((1, 2, 2))(x), F.max_pool3d(x, (1, 2, 2)))
    found, expected = (pool((1, 2, 2), return_indices=True)(x[None]) for pool in (MaxPool3d, torch.nn.MaxPool3d))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
