"""The aggregators against loops over frames."""

import pytest
import torch

from nlreid.errors import InputError, UnknownNameError
from nlreid.layers import AGGREGATES, create_aggregate


@pytest.fixture(autouse=True)
def _same_weights_every_run():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def features(b=2, c=5, t=4, h=3, w=2):
    return torch.randn(b, c, t, h, w, generator=torch.Generator().manual_seed(1))


def frame_means(x):
    """One vector a frame: `[(b, c)] * t`."""
    t, h, w = x.shape[2:]
    return [sum(x[:, :, i, y, z] for y in range(h) for z in range(w)) / (h * w) for i in range(t)]


def test_average():
    x = features()
    torch.testing.assert_close(create_aggregate("average", 5)(x), sum(frame_means(x)) / 4)


def test_max_is_over_time_of_the_spatial_means():
    x = features()
    wanted = frame_means(x)[0]
    for frame in frame_means(x)[1:]:
        wanted = torch.maximum(wanted, frame)
    torch.testing.assert_close(create_aggregate("max", 5)(x), wanted)


@pytest.mark.parametrize("output", ["mean", "last"])
def test_lstm(output):
    x, aggregate = features(), create_aggregate("rnn", 5, hidden=3, cell="lstm", output=output)
    rnn = aggregate.rnn
    h = c = torch.zeros(2, 3)
    outputs = []
    for frame in frame_means(x):
        gates = frame @ rnn.weight_ih.T + rnn.bias_ih + h @ rnn.weight_hh.T + rnn.bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    torch.testing.assert_close(aggregate(x), sum(outputs) / 4 if output == "mean" else h)


@pytest.mark.parametrize("output", ["mean", "last"])
def test_gru(output):
    x, aggregate = features(), create_aggregate("rnn", 5, hidden=3, cell="gru", output=output)
    rnn = aggregate.rnn
    h = torch.zeros(2, 3)
    outputs = []
    for frame in frame_means(x):
        r, z, n = (frame @ rnn.weight_ih.T + rnn.bias_ih).chunk(3, dim=1)
        hr, hz, hn = (h @ rnn.weight_hh.T + rnn.bias_hh).chunk(3, dim=1)
        z = (z + hz).sigmoid()
        h = (1 - z) * (n + (r + hr).sigmoid() * hn).tanh() + z * h
        outputs.append(h)
    torch.testing.assert_close(aggregate(x), sum(outputs) / 4 if output == "mean" else h)


def test_attention():
    x, aggregate = features(), create_aggregate("attention", 5, inner=6)
    means, scores = frame_means(x), []
    for i in range(4):
        seen = torch.nn.functional.conv2d(x[:, :, i], aggregate.conv.weight[:, :, 0], aggregate.conv.bias, padding=1)
        scores.append(seen.clamp(min=0).mean(dim=(2, 3)) @ aggregate.fc.weight.T)  # b 1
    total = sum(score.exp() for score in scores)
    wanted = sum(mean * score.exp() / total for mean, score in zip(means, scores, strict=True))
    torch.testing.assert_close(aggregate(x), wanted)


@pytest.mark.parametrize("name", AGGREGATES)
def test_any_size_gives_num_features(name):
    aggregate = create_aggregate(name, 5)
    for t, h, w in [(1, 1, 1), (4, 3, 2), (7, 1, 5)]:
        assert aggregate(features(t=t, h=h, w=w)).shape == (2, aggregate.num_features)
    assert aggregate.num_features == (512 if name == "rnn" else 5)


@pytest.mark.parametrize("output", ["mean", "last"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_rnn_reaches_every_parameter(cell, output):
    aggregate = create_aggregate("rnn", 5, hidden=3, cell=cell, output=output)
    aggregate(features()).square().sum().backward()
    assert all(value.grad.abs().max() > 0 for value in aggregate.parameters())


def test_attention_reaches_every_parameter():
    aggregate = create_aggregate("attention", 5, inner=6)
    aggregate(features()).square().sum().backward()
    assert all(value.grad.abs().max() > 0 for value in aggregate.parameters())


@pytest.mark.parametrize("name", AGGREGATES)
def test_it_compiles_to_one_graph_and_takes_autocast(name):
    aggregate, x = create_aggregate(name, 5), features()
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(aggregate, fullgraph=True, backend="eager")(x), aggregate(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = aggregate(x)
    torch.testing.assert_close(rough.float(), aggregate(x), atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("averge", 5), {}, "did you mean 'average'"),
        (("rnn", 5), {"hiden": 3}, "did you mean 'hidden'"),
        (("average", 5), {"hidden": 3}, "no options"),
        (("rnn", 5), {"cell": "lst"}, "did you mean 'lstm'"),
        (("rnn", 5), {"output": "first"}, "Allowed: last, mean"),
    ],
)
def test_unknown_names_are_refused(arguments, options, message):
    with pytest.raises(UnknownNameError, match=message):
        create_aggregate(*arguments, **options)


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("shape", [(2, 4, 3, 3, 3), (2, 5, 3, 3), (2, 5, 0, 3, 3)])
def test_feature_maps_that_do_not_fit_are_refused(name, shape):
    with pytest.raises(InputError, match=r"wants a feature map \(b, 5, t, h, w\)"):
        create_aggregate(name, 5)(torch.zeros(shape))
