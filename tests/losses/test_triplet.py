"""The batch-hard triplet loss against loops over all triplets."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nlreid.errors import InputError, UnknownNameError
from nlreid.losses import BatchHardTripletLoss

MARGINS = [0.3, 0.0, 5.0, "soft"]
METRICS = ["euclidean", "cosine"]
VARIANTS = [(margin, metric) for margin in MARGINS for metric in METRICS]


def distance(a, b, metric):
    if metric == "cosine":
        return 1 - (a @ b) / (a.norm() * b.norm()) if a.any() and b.any() else 1 + 0 * a.sum()
    squared = (a - b).square().sum()
    return squared.sqrt() if squared > 0 else squared  # the square of 0 has gradient 0, as the loss promises


def over_all_triplets(x, pids, margin, metric):
    """The hardest triplet of each anchor is the one of greatest loss; None where no anchor has any."""
    hardest = []
    for a in range(len(x)):
        losses = []
        for p in range(len(x)):
            for n in range(len(x)):
                if p != a and pids[p] == pids[a] and pids[n] != pids[a]:
                    gap = distance(x[a], x[p], metric) - distance(x[a], x[n], metric)
                    losses.append(gap.exp().log1p() if margin == "soft" else (gap + margin).clamp(min=0))
        if losses:
            hardest.append(max(losses))
    return sum(hardest) / len(hardest) if hardest else None


def gradient(function, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


def random_batch(identities, each, channels, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pids = torch.arange(identities).repeat_interleave(each)
    return torch.randn(len(pids), channels, dtype=torch.float64, generator=generator).to(dtype), pids


@st.composite
def batches(draw):
    """Small whole numbers: many ties, many embeddings that coincide, zeros; singletons and single identities."""
    size = draw(st.integers(1, 7))
    channels = draw(st.integers(1, 3))
    numbers = st.lists(st.integers(-2, 2), min_size=channels, max_size=channels)
    x = torch.tensor(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=torch.float64)
    return x, torch.tensor(draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size)))


@settings(deadline=None)
@given(batch=batches(), margin=st.sampled_from(MARGINS), metric=st.sampled_from(METRICS))
def test_equals_the_loop_with_ties_and_singletons(batch, margin, metric):
    x, pids = batch
    loss = BatchHardTripletLoss(margin, metric)
    expected = over_all_triplets(x, pids, margin, metric)
    if expected is None:
        with pytest.raises(InputError, match="no anchor of the batch"):
            loss(x, pids)
    else:
        torch.testing.assert_close(loss(x, pids), expected)
        assert gradient(lambda y: loss(y, pids), x).isfinite().all()


@pytest.mark.parametrize(("margin", "metric"), VARIANTS)
def test_gradient_equals_that_of_the_loop(margin, metric):
    x, pids = random_batch(3, 3, 4)
    actual = gradient(lambda y: BatchHardTripletLoss(margin, metric)(y, pids), x)
    expected = gradient(lambda y: over_all_triplets(y, pids, margin, metric), x)
    assert expected.any()
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("margin", "metric"), VARIANTS)
def test_gradient_is_that_of_the_differences(margin, metric):
    x, pids = random_batch(3, 2, 4, seed=1)
    assert torch.autograd.gradcheck(lambda y: BatchHardTripletLoss(margin, metric)(y, pids), x.requires_grad_())


@pytest.mark.parametrize(("margin", "metric"), VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_is_computed_in_float32(dtype, margin, metric):
    x, pids = random_batch(3, 3, 4, dtype)
    loss = BatchHardTripletLoss(margin, metric)
    actual, expected = loss(x, pids), over_all_triplets(x.double(), pids, margin, metric)
    assert actual.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-6)  # a half's own rounding is 1e-3 or more
    slope = gradient(lambda y: over_all_triplets(y, pids, margin, metric), x.double())
    torch.testing.assert_close(gradient(lambda y: loss(y, pids), x), slope.to(dtype))


@pytest.mark.parametrize("metric", METRICS)
def test_autocast_changes_nothing(metric):
    x, pids = random_batch(4, 8, 64, torch.float32)
    loss = BatchHardTripletLoss(metric=metric)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(x, pids)
    assert torch.equal(inside, loss(x, pids))


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_computed_under_autocast(metric, monkeypatch):
    """On a CPU none of it would be rounded in any case; other devices round more."""
    inside = []
    for name, of in (("cdist", torch), ("vector_norm", torch.linalg), ("relu", torch.nn.functional)):
        whole = getattr(of, name)
        monkeypatch.setattr(
            of, name, lambda *args, _whole=whole, **kw: inside.append(torch.is_autocast_enabled("cpu")) or _whole(*args, **kw)
        )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        BatchHardTripletLoss(metric=metric)(*random_batch(2, 2, 4, torch.float32))
    assert len(inside) >= 3
    assert not any(inside)


@pytest.mark.parametrize("metric", METRICS)
def test_small_differences_of_long_embeddings_are_not_lost(metric):
    x, pids = random_batch(8, 4, 4, torch.float32)
    x = 100 + x / 1000  # with |a|^2 + |b|^2 - 2ab in float32, each squared distance would be off by more than itself
    if metric == "euclidean":
        expected = over_all_triplets(x.double(), pids, 0.0, metric)
        torch.testing.assert_close(BatchHardTripletLoss(0.0)(x, pids).double(), expected, rtol=1e-5, atol=0)
    else:
        expected = over_all_triplets(x.double(), pids, 1.0, metric)
        torch.testing.assert_close(BatchHardTripletLoss(1.0, "cosine")(x, pids).double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("margin", "metric"), VARIANTS)
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_embeddings_that_all_coincide_have_a_finite_gradient(value, margin, metric):
    x, pids = torch.full((4, 3), value), torch.tensor([0, 0, 1, 1])
    slope = gradient(lambda y: BatchHardTripletLoss(margin, metric)(y, pids), x)
    assert slope.isfinite().all()
    assert slope.abs().max() < 1e-6


def test_a_zero_embedding_has_a_cosine_gradient_of_ordinary_size():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    slope = gradient(lambda y: BatchHardTripletLoss("soft", "cosine")(y, torch.tensor([0, 0, 1])), x)
    assert slope[0].any()
    assert slope.abs().max() < 2


def test_singletons_are_negatives_but_no_anchors():
    x = torch.tensor([[0.0], [1.0], [1.5], [100.0]])
    loss = BatchHardTripletLoss(0.3)(x, torch.tensor([7, 7, 8, 9]))
    torch.testing.assert_close(loss, torch.tensor((0.0 + 0.8) / 2))


@pytest.mark.parametrize("pids", [[1, 1, 1], [1, 2, 3], [5]], ids=["one identity", "all alone", "one sample"])
def test_a_batch_without_any_triplet_is_an_error(pids):
    message = rf"no anchor .* {len(pids)} samples of {len(set(pids))} identities; draw at least 2"
    with pytest.raises(InputError, match=message):
        BatchHardTripletLoss()(torch.eye(len(pids)), torch.tensor(pids))


class LargestTensor(TorchDispatchMode):
    """Watches how many elements the largest result of any operation has."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


@pytest.mark.parametrize("metric", METRICS)
def test_memory_is_of_the_size_of_the_distances_or_of_the_embeddings(metric):
    x, pids = random_batch(8, 4, 64)
    with LargestTensor() as largest:
        gradient(lambda y: BatchHardTripletLoss(metric=metric)(y, pids), x)
    assert 0 < largest.elements <= max(len(x) ** 2, x.numel())


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_refuses_a_margin_outside_its_range(margin):
    with pytest.raises(InputError, match=r"margin (must be|is) a finite number of at least 0, or 'soft'"):
        BatchHardTripletLoss(margin)


def test_refuses_unknown_names():
    with pytest.raises(
        UnknownNameError, match=r"unknown margin 'sofd'; did you mean 'soft'\? Allowed: 'soft', or a number of at least 0"
    ):
        BatchHardTripletLoss("sofd")
    with pytest.raises(UnknownNameError, match="unknown metric 'euclidian'; did you mean 'euclidean'"):
        BatchHardTripletLoss(metric="euclidian")


@pytest.mark.parametrize("x", [torch.zeros(4), torch.zeros(0, 3), torch.zeros(4, 0), torch.zeros(4, 3).long()])
def test_refuses_embeddings_that_do_not_fit(x):
    with pytest.raises(InputError, match="embeddings must be floating"):
        BatchHardTripletLoss()(x, torch.zeros(len(x), dtype=torch.long))


@pytest.mark.parametrize("pids", [torch.zeros(3), torch.zeros(2).long(), torch.zeros(3, 1).long()])
def test_refuses_pids_that_do_not_fit(pids):
    with pytest.raises(InputError, match="integer per sample"):
        BatchHardTripletLoss()(torch.eye(3), pids)


def test_says_what_it_is():
    assert repr(BatchHardTripletLoss("soft")) == "BatchHardTripletLoss(margin='soft', metric='euclidean')"
