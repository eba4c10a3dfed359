"""Our networks answer what the plainly written ones of the benchmarks answer: whatever is made faster must still do so."""

from __future__ import annotations

import pytest
import torch
from benchmarks.reference import as_if_trained, draw_clips, reference_of
from torch import nn

import nlreid

CLIPS = (2, 4, 64, 32)  # how many, frames, height, width
NETWORKS = [
    "c2d50",
    "r3d50",
    "r3d50_nl",
    "r3d50_nl.pyslowfast",
    "r3d50_separable_nl",
    "r3d18_nl",
    "r3d18_separable_nl",
]

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(name: str, num_classes: int = 0) -> nlreid.VideoReID:
    return as_if_trained(nlreid.create_model(name, num_classes=num_classes), CLIPS)


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


@pytest.mark.parametrize("name", NETWORKS)
def test_same_answer(name):
    model = trained(name)
    reference, clip = reference_of(model), draw_clips(*CLIPS, seed=1)
    with torch.inference_mode():
        assert distance(model(clip).embedding, reference(clip).embedding) < 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_same_training_step(name):
    """In float64: batch norm over the few positions of so small a clip magnifies each rounding."""
    model = trained(name, num_classes=5).double().train()
    reference = reference_of(model)
    compare_gradients(model, reference, draw_clips(*CLIPS, seed=1).double(), tolerance=1e-5)
    state = reference.state_dict()
    for tensor, ours in model.state_dict().items():  # running statistics
        torch.testing.assert_close(ours, state[tensor], msg=tensor)


@pytest.mark.parametrize("name", ["r3d50", "r3d50_nl.pyslowfast", "r3d18_separable_nl"])
def test_same_gradients_of_float32(name):
    """In evaluation mode, where norms magnify nothing; a ReLU near zero may still turn the other way."""
    model = trained(name, num_classes=5)
    compare_gradients(model, reference_of(model), draw_clips(*CLIPS, seed=1), tolerance=1e-2)


def compare_gradients(model: nn.Module, reference: nn.Module, clip: torch.Tensor, tolerance: float) -> None:
    losses = []
    for network in (model, reference):
        torch.manual_seed(1)  # both drop the same of the embedding
        output = network(clip)
        losses.append(output.logits.logsumexp(1).mean() + output.embedding.square().mean())
        losses[-1].backward()
    torch.testing.assert_close(*losses, rtol=tolerance, atol=0)
    theirs = dict(reference.named_parameters())
    assert theirs.keys() == dict(model.named_parameters()).keys()
    largest = max(parameter.grad.norm() for parameter in theirs.values())
    for parameter, ours in model.named_parameters():
        expected = theirs[parameter].grad
        error = (ours.grad - expected).norm()
        # where a softmax or a norm takes a shift away, the gradient is zero, but for rounding
        assert error <= tolerance * (expected.norm() + 1e-3 * largest), parameter


def test_blocks_are_no_identities_here():
    model = trained("r3d18_nl")
    clip = draw_clips(*CLIPS, seed=1)
    with torch.inference_mode():
        before = model(clip).embedding
        for module in model.modules():
            if isinstance(module, nlreid.NonLocalBlock):
                nn.init.zeros_(module.norm.weight)
                nn.init.zeros_(module.norm.bias)
        assert distance(model(clip).embedding, before) > 1e-2


def test_refuses_what_is_not_written():
    with pytest.raises(ValueError, match="no reference"):
        reference_of(nlreid.create_model("test_r3d"))
    with pytest.raises(ValueError, match="no reference"):
        reference_of(nlreid.create_model("r3d18_nl", non_local={"pairwise": "dot_product"}))
