"""The total loss is the plain sum of its two parts."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nlreid.errors import InputError, UnknownNameError
from nlreid.losses import BatchHardTripletLoss, LabelSmoothingCrossEntropy, LossParts, VideoReIDLoss

PIDS = torch.tensor([0, 0, 1, 1, 2, 2])


class Output(NamedTuple):
    embedding: Tensor
    logits: Tensor | None


def output(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    embedding, logits = (torch.randn(6, n, generator=generator).to(dtype).requires_grad_() for n in (4, 3))
    return Output(embedding, logits)


@pytest.mark.parametrize("settings", [{}, {"epsilon": 0.3, "margin": "soft", "metric": "cosine"}])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_is_the_sum_of_its_parts(settings, dtype):
    out = output(dtype)
    parts = VideoReIDLoss(**settings)(out, PIDS)
    assert isinstance(parts, LossParts)
    epsilon = {key: value for key, value in settings.items() if key == "epsilon"}
    triplet = {key: value for key, value in settings.items() if key != "epsilon"}
    assert torch.equal(parts.cross_entropy, LabelSmoothingCrossEntropy(**epsilon)(out.logits, PIDS))
    assert torch.equal(parts.triplet, BatchHardTripletLoss(**triplet)(out.embedding, PIDS))
    assert torch.equal(parts.total, parts.cross_entropy + parts.triplet)


def test_defaults_are_the_papers():
    assert VideoReIDLoss().cross_entropy.epsilon == 0.1
    assert (VideoReIDLoss().triplet.margin, VideoReIDLoss().triplet.metric) == (0.3, "euclidean")


def test_each_part_has_its_own_gradient():
    out = output()
    parts = VideoReIDLoss()(out, PIDS)
    whole = torch.autograd.grad(parts.total, out, retain_graph=True)
    only_embedding = torch.autograd.grad(parts.triplet, out, retain_graph=True, allow_unused=True)
    only_logits = torch.autograd.grad(parts.cross_entropy, out, allow_unused=True)
    assert only_embedding[1] is None
    assert only_logits[0] is None
    assert whole[0].any()
    assert whole[1].any()
    assert torch.equal(whole[0], only_embedding[0])
    assert torch.equal(whole[1], only_logits[1])


def test_without_logits_it_asks_for_num_classes():
    with pytest.raises(InputError, match=r"no logits.*num_classes"):
        VideoReIDLoss()(Output(torch.eye(6), None), PIDS)


def test_arguments_are_checked():
    with pytest.raises(InputError, match="epsilon"):
        VideoReIDLoss(epsilon=1)
    with pytest.raises(InputError, match="margin"):
        VideoReIDLoss(margin=-1)
    with pytest.raises(UnknownNameError, match="metric"):
        VideoReIDLoss(metric="cosin")


def test_labels_that_are_no_tensor_are_refused():
    with pytest.raises(InputError, match=r"labels are a torch.Tensor; got list"):
        LabelSmoothingCrossEntropy()(torch.zeros(2, 3), [0, 1])
