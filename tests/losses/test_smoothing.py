"""The smoothed cross-entropy against the paper's Eq. 8-9 written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.errors import InputError
from nlreid.losses import LabelSmoothingCrossEntropy, smoothing


def written_out(logits, labels, epsilon):
    """Eq. 8-9 with Python's own numbers."""
    losses = []
    for scores, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        n = len(scores)
        log_sum = max(scores) + math.log(sum(math.exp(score - max(scores)) for score in scores))
        target = [1 - (n - 1) / n * epsilon if i == label else epsilon / n for i in range(n)]
        losses.append(-sum(q * (score - log_sum) for q, score in zip(target, scores, strict=True)))
    return sum(losses) / len(losses)


@settings(deadline=None)
@given(data=st.data(), batch=st.integers(1, 5), classes=st.integers(1, 6), epsilon=st.floats(0, 0.99))
def test_equals_the_papers_equations(data, batch, classes, epsilon):
    score = st.floats(-30, 30)
    logits = torch.tensor(
        data.draw(st.lists(st.lists(score, min_size=classes, max_size=classes), min_size=batch, max_size=batch)),
        dtype=torch.float64,
    )
    labels = torch.tensor(data.draw(st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)))
    loss = LabelSmoothingCrossEntropy(epsilon)(logits, labels)
    assert loss.item() == pytest.approx(written_out(logits, labels, epsilon), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_computes_half_precision_in_float32(dtype, result):
    logits = (torch.randn(6, 50, generator=torch.Generator().manual_seed(0)) * 8).to(dtype).requires_grad_()
    labels = torch.arange(6)
    loss = LabelSmoothingCrossEntropy()(logits, labels)
    loss.backward()
    assert loss.dtype == result
    assert logits.grad.dtype == dtype
    assert loss.item() == pytest.approx(written_out(logits.detach(), labels, 0.1), rel=1e-6)  # far below a half's 1e-3


def test_autocast_changes_nothing():
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    loss = LabelSmoothingCrossEntropy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(logits, torch.arange(6))
    assert torch.equal(inside, loss(logits, torch.arange(6)))


def test_gradient():
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 2, 1, 2])
    assert torch.autograd.gradcheck(lambda x: LabelSmoothingCrossEntropy(0.3)(x, labels), logits)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_takes_any_integers(dtype):
    logits = torch.eye(3)
    expected = written_out(logits, torch.tensor([0, 1, 1]), 0.1)
    assert LabelSmoothingCrossEntropy()(logits, torch.tensor([0, 1, 1], dtype=dtype)).item() == pytest.approx(expected)


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, 1.5, float("nan")])
def test_refuses_an_epsilon_outside_its_range(epsilon):
    with pytest.raises(InputError, match=r"epsilon (must be|is) in \[0, 1\); got"):
        LabelSmoothingCrossEntropy(epsilon)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 3]), r"0\.\.2 for 3 classes; got 3"),
        (torch.tensor([0, -1]), r"0\.\.2 for 3 classes; got -1"),
        (torch.tensor([0, -100]), "got -100"),  # PyTorch's own default leaves these samples out without a word
        (torch.tensor([0.0, 1.0]), "integer per sample"),
        (torch.tensor([True, False]), "integer per sample"),
        (torch.tensor([0]), r"shape \(2,\)"),
        (torch.tensor([[0], [1]]), r"shape \(2,\)"),
    ],
)
def test_refuses_labels_that_do_not_fit(labels, message):
    with pytest.raises(InputError, match=message):
        LabelSmoothingCrossEntropy()(torch.zeros(2, 3), labels)


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_where_the_values_are_not_looked_at_pytorch_refuses_them(monkeypatch, label):
    monkeypatch.setattr(smoothing, "_check_range", lambda *_: None)  # as on an accelerator
    with pytest.raises(IndexError, match="out of bounds"):
        LabelSmoothingCrossEntropy()(torch.zeros(2, 3), torch.tensor([0, label]))


@pytest.mark.parametrize("logits", [torch.zeros(2), torch.zeros(0, 3), torch.zeros(2, 0), torch.zeros(2, 3).long()])
def test_refuses_logits_that_do_not_fit(logits):
    with pytest.raises(InputError, match="logits must be floating"):
        LabelSmoothingCrossEntropy()(logits, torch.zeros(len(logits), dtype=torch.long))


def test_says_what_it_is():
    assert repr(LabelSmoothingCrossEntropy(0.2)) == "LabelSmoothingCrossEntropy(epsilon=0.2)"
