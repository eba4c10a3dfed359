"""The non-local block: identity at the start, the paper's formula written out, gradients, memory, pictures, errors."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from nlreid.errors import InputError, UnknownNameError
from nlreid.layers import NonLocalBlock

PAIRWISE = ["embedded_gaussian", "gaussian", "dot_product", "concatenation"]
VARIANTS = [
    {"pairwise": pairwise, "subsample": subsample, "subsample_order": order}
    for pairwise, (subsample, order) in product(PAIRWISE, [(1, "before"), (2, "before"), (2, "after"), (3, "after")])
]


@pytest.fixture(autouse=True)
def _same_weights_every_run():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def features(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def trained(channels=6, inner=None, **options):
    """A block that is no longer the identity: no weight is trivial."""
    block = NonLocalBlock(channels, inner, **options)
    for name, value in block.named_parameters():
        nn.init.uniform_(value, 0.5, 1.5) if name == "norm.weight" else nn.init.normal_(value, std=0.5)
    nn.init.uniform_(block.norm.running_var, 0.5, 1.5)
    return block


def matrix(block, x):
    """The affinity of all pairs `(b, n, m)` and the values `(b, m, inner)`, straight from Eq. 3-6."""
    s = block.subsample

    def pool(maps):
        return F.max_pool3d(maps, (1, s, s))

    def embed(conv):
        if block.subsample_order == "before":
            return conv(pool(x)).flatten(2).mT
        return pool(conv(x)).flatten(2).mT

    embeds = block.pairwise != "gaussian"
    theta = (block.theta(x) if embeds else x).flatten(2).mT
    phi, g = embed(block.phi if embeds else nn.Identity()), embed(block.g)
    n, m = theta.shape[1], phi.shape[1]
    if block.pairwise == "concatenation":
        pairs = torch.cat([theta[:, :, None].expand(-1, -1, m, -1), phi[:, None].expand(-1, n, -1, -1)], dim=-1)
        return torch.relu(pairs @ block.concat.weight.flatten()) / m, g
    dots = theta @ phi.mT
    return (dots / m if block.pairwise == "dot_product" else torch.softmax(block.scale * dots, dim=-1)), g


def slow(block, x):
    affinity, g = matrix(block, x)
    y = (affinity @ g).mT.reshape(x.shape[0], -1, *x.shape[2:])
    return x + block.norm(block.out(y))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_it_starts_as_the_identity_to_the_bit(options):
    block, x = NonLocalBlock(6, **options), features(2, 6, 3, 5, 4)
    assert torch.equal(block.train()(x), x)
    assert torch.equal(block.eval()(x), x)


# (type, the most that outputs and gradients may differ). Float64 is where a wrong formula cannot pass for rounding.
PRECISIONS = [(torch.float32, 3e-5, 1e-4), (torch.float64, 1e-12, 1e-11)]


@pytest.mark.parametrize(("dtype", "of_output", "of_gradient"), PRECISIONS, ids=["float32", "float64"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_it_equals_the_formula(options, training, dtype, of_output, of_gradient):
    scale = 0.4 if "gaussian" in options["pairwise"] else 1.0
    block = trained(**options, scale=scale).to(dtype).train(training)
    x = features(2, 6, 3, 5, 4, dtype=dtype).requires_grad_()  # 5 is not a multiple of the sub-sampling
    fast, wanted = block(x), slow(block, x)
    assert fast.dtype == dtype
    torch.testing.assert_close(fast, wanted, atol=of_output, rtol=of_output)
    # of length 1, so that gradients are of order 1 and the tolerance means what it says: summed over all outputs they
    # reach 200, and the formula itself is then 4e-4 from its float64 value where batch norm cancels most of a sum
    direction = F.normalize(features(*x.shape, dtype=dtype).flip(1).flatten(), dim=0).view_as(x)
    inputs = [x, *block.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(fast, inputs, direction), torch.autograd.grad(wanted, inputs, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=of_gradient, rtol=of_gradient)


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_pooling_before_and_after_the_convolution_differ(pairwise):
    before = trained(pairwise=pairwise, subsample=2, subsample_order="before").eval()
    after = NonLocalBlock(6, pairwise=pairwise, subsample=2, subsample_order="after").eval()
    after.load_state_dict(before.state_dict())
    x = features(1, 6, 2, 4, 4)
    assert (before(x) - after(x)).abs().max() > 1e-2


EMBEDDINGS = ["theta.weight", "theta.bias", "phi.weight", "phi.bias"]
OTHERS = ["g.weight", "g.bias", "out.weight", "out.bias", "norm.weight", "norm.bias"]
KEYS = {
    "embedded_gaussian": EMBEDDINGS + OTHERS,
    "gaussian": OTHERS,
    "dot_product": EMBEDDINGS + OTHERS,
    "concatenation": [*EMBEDDINGS, *OTHERS, "concat.weight"],
}


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_children_and_shapes(pairwise):
    block = NonLocalBlock(8, 3, pairwise=pairwise)
    shapes = {name: tuple(value.shape) for name, value in block.named_parameters()}
    assert sorted(shapes) == sorted(KEYS[pairwise])
    assert {name for name, _ in block.named_children()} == {key.split(".")[0] for key in KEYS[pairwise]}
    assert shapes["g.weight"] == (3, 8, 1, 1, 1)
    assert shapes["out.weight"] == (8, 3, 1, 1, 1)
    assert shapes.get("concat.weight", (1, 6, 1, 1, 1)) == (1, 6, 1, 1, 1)


@pytest.mark.parametrize(("channels", "inner"), [(512, 256), (7, 3), (1, 1)])
def test_half_of_the_channels_inside(channels, inner):
    block = NonLocalBlock(channels)
    assert block.g.out_channels == block.inner_channels == inner


# What no training can move. A constant added to all scores of a query leaves its softmax; a constant added to all
# positions leaves a batch norm in train mode: out.bias is one always, g.bias where the affinities sum to 1. The dot
# product gives theta.bias a term that is constant within a clip, so it cancels where the batch is one clip.
CANCELLED = {
    ("embedded_gaussian", 2, "train"): {"phi.bias", "g.bias", "out.bias"},
    ("gaussian", 2, "train"): {"g.bias", "out.bias"},
    ("dot_product", 2, "train"): {"out.bias"},
    ("dot_product", 1, "train"): {"out.bias", "theta.bias"},
    ("concatenation", 2, "train"): {"out.bias"},
    ("embedded_gaussian", 2, "eval"): {"phi.bias"},
    ("gaussian", 2, "eval"): set(),
    ("dot_product", 2, "eval"): set(),
    ("concatenation", 2, "eval"): set(),
}


@pytest.mark.parametrize("subsample", [{}, {"subsample": 2}, {"subsample": 2, "subsample_order": "after"}], ids=str)
@pytest.mark.parametrize(("pairwise", "batch", "mode"), CANCELLED)
def test_two_steps_reach_every_parameter_that_can_move(pairwise, batch, mode, subsample):
    block = NonLocalBlock(6, pairwise=pairwise, **subsample).double().train(mode == "train")
    optimiser = torch.optim.SGD(block.parameters(), lr=0.1)
    x, direction = features(batch, 6, 3, 4, 4, dtype=torch.float64), features(batch, 6, 3, 4, 4).flip(1)
    largest = dict.fromkeys(dict(block.named_parameters()), 0.0)
    for _ in range(2):
        optimiser.zero_grad()
        (block(x) * direction).sum().backward()
        for name, value in block.named_parameters():
            largest[name] = max(largest[name], value.grad.abs().max().item())
        optimiser.step()
    floor = 1e-10 * max(largest.values())  # float64 rounding leaves about 1e-16
    assert {name for name, gradient in largest.items() if gradient <= floor} == CANCELLED[pairwise, batch, mode]


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_no_operation_returns_a_matrix_of_all_pairs(pairwise):
    block, x = trained(pairwise=pairwise), features(1, 6, 4, 16, 8).requires_grad_()
    n = 4 * 16 * 8
    with Largest() as fast:
        block(x).sum().backward()
    with Largest() as full:
        slow(block, x)
    assert fast.elements < n * n / 10
    assert full.elements >= n * n


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian"])
@pytest.mark.parametrize("subsample", [1, 2])
@pytest.mark.parametrize(("channels", "inner"), [(16, 8), (6, 9), (5, 3)])
def test_softmax_runs_without_the_math_backend(pairwise, subsample, channels, inner):
    block = trained(channels, inner, pairwise=pairwise, subsample=subsample)
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]):
        block(features(2, channels, 2, 4, 4)).sum().backward()


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_attention_rows_are_rows_of_the_matrix(options):
    block, x = trained(**options), features(2, 6, 3, 6, 4)
    positions = [(0, 0, 0), (2, 5, 3), (1, 2, 0), (0, 0, 0)]
    rows = block.attention(x, positions)
    assert rows.shape == (2, 4, 3, 6 // block.subsample, 4 // block.subsample)
    places = [t * 24 + h * 4 + w for t, h, w in positions]
    torch.testing.assert_close(rows.flatten(2), matrix(block, x)[0][:, places], atol=1e-5, rtol=1e-5)
    if "gaussian" in block.pairwise:
        torch.testing.assert_close(rows.sum((2, 3, 4)), torch.ones(2, 4))
    assert torch.equal(rows, block.attention(x, torch.tensor(positions)))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([(0, 0, 0), (3, 0, 0)], r"\(3, 0, 0\) is outside .* below \(3, 6, 4\)"),
        ([(0, 6, 0)], "outside"),
        ([(0, 0, 4)], "outside"),
        ([(0, -1, 0)], "outside"),
        ([(0, 0)], r"\(p, 3\); got torch.int64 \(1, 2\)"),
        ((0, 0, 0), r"\(p, 3\)"),
        ([(0.5, 0, 0)], "whole numbers"),
        ([], r"\(p, 3\)"),
    ],
)
def test_positions_outside_are_refused(positions, message):
    with pytest.raises(InputError, match=message):
        NonLocalBlock(6).attention(features(2, 6, 3, 6, 4), positions)


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_under_autocast_it_stays_near_float32(pairwise):
    block, x = trained(pairwise=pairwise, subsample=2), features(2, 6, 3, 4, 4).requires_grad_()
    exact = block(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = block(x)
    rough.sum().backward()
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.05 * exact.norm()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in [x, *block.parameters()])


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_it_compiles_to_one_graph(pairwise):
    block, x = trained(pairwise=pairwise, subsample=2).eval(), features(2, 6, 3, 4, 4)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), block(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(compiled(x), block(x))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pairwise": "embeded_gaussian"}, UnknownNameError, "did you mean 'embedded_gaussian'"),
        ({"subsample_order": "befor"}, UnknownNameError, "did you mean 'before'"),
        ({"pairwise": "dot_product", "scale": 0.5}, InputError, "scale multiplies softmax"),
        ({"pairwise": "concatenation", "scale": 0.5}, InputError, "scale multiplies softmax"),
        ({"scale": float("nan")}, InputError, "scale is a finite number; got nan"),
        ({"scale": 0.0}, InputError, "scale must be a positive, finite number; got 0.0"),
        ({"scale": -1.0}, InputError, "positive"),
        ({"pairwise": ["gaussian"]}, UnknownNameError, "unknown pairwise function"),
        ({"subsample": 0}, InputError, "subsample is a whole number from 1"),
        ({"inner_channels": 0}, InputError, "inner_channels is a whole number from 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        NonLocalBlock(6, **arguments)


def test_channels_are_at_least_one():
    with pytest.raises(InputError, match="channels is a whole number from 1; got 0"):
        NonLocalBlock(0)


def test_it_says_what_it_is():
    said = "pairwise='gaussian', scale=0.25, subsample=2, subsample_order='after'"
    assert said in repr(NonLocalBlock(6, pairwise="gaussian", scale=0.25, subsample=2, subsample_order="after"))


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_reset_it_is_the_identity_again(pairwise):
    block, x = trained(pairwise=pairwise), features(2, 6, 3, 4, 4)
    block(x)
    block.reset_parameters()
    assert torch.equal(block(x), x)
    assert not any(value.any() for name, value in block.named_parameters() if name.endswith("bias"))
    block.reset_parameters()
    assert torch.equal(block.norm.running_var, torch.ones(6))
    assert not block.norm.running_mean.any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_positions_may_be_any_integers(dtype):
    block, x, positions = trained(), features(2, 6, 3, 6, 4), torch.tensor([(0, 0, 0), (2, 5, 3), (1, 2, 0)])
    assert torch.equal(block.attention(x, positions.to(dtype)), block.attention(x, positions))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(6, 3, 4, 4), r"\(b, 6, t, h, w\); got torch.float32 \(6, 3, 4, 4\)"),
        (torch.zeros(2, 5, 3, 4, 4), r"\(2, 5, 3, 4, 4\)"),
        (torch.zeros(2, 6, 3, 4, 4, dtype=torch.uint8), "floating-point .* torch.uint8"),
        (torch.zeros(2, 6, 3, 4, 1), r"at least \(t, h, w\) = \(1, 2, 2\); got \(3, 4, 1\)"),
        (torch.zeros(2, 6, 0, 4, 4), "at least"),
    ],
)
def test_bad_feature_maps_are_refused(x, message):
    block = NonLocalBlock(6, subsample=2)
    with pytest.raises(InputError, match=message):
        block(x)
    with pytest.raises(InputError, match=message):
        block.attention(x, [(0, 0, 0)])
