"""The heads: what the embedding is, what the classifier reads, and how it is replaced."""

import pytest
import torch
from torch.nn import functional as F

from nlreid.errors import InputError
from nlreid.layers import HEADS, BNNeckHead, BottleneckHead, LinearHead, ReIDOutput


@pytest.fixture(autouse=True)
def _same_weights_every_run():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def pooled(b=4, c=6):
    return torch.randn(b, c, generator=torch.Generator().manual_seed(1))


def normalised(x, norm):
    """Batch norm in train mode, written out."""
    return (x - x.mean(0)) / (x.var(0, correction=0) + norm.eps).sqrt() * norm.weight + norm.bias


def test_linear_embeds_the_pooled_feature():
    head, x = LinearHead(6, 3), pooled()
    embedding, logits = head(x)
    assert torch.equal(embedding, x)
    torch.testing.assert_close(logits, x @ head.classifier.weight.T + head.classifier.bias)


def test_bottleneck_written_out():
    head, x = BottleneckHead(6, 3, embedding_dim=5, dropout=0.0), pooled()
    torch.nn.init.normal_(head.norm.bias)
    z = normalised(x @ head.fc.weight.T, head.norm)
    embedding, logits = head(x)
    torch.testing.assert_close(embedding, torch.where(z > 0, z, 0.1 * z))
    torch.testing.assert_close(logits, F.linear(embedding, head.classifier.weight, head.classifier.bias))


def test_the_bottleneck_embedding_is_what_enters_the_classifier_dropout_included():
    head = BottleneckHead(6, 3, embedding_dim=64)
    embedding, logits = head.train()(pooled())
    assert 0.3 < (embedding == 0).float().mean() < 0.7
    assert torch.equal(logits, head.classifier(embedding))
    embedding, logits = head.eval()(pooled())
    assert (embedding != 0).all()
    assert torch.equal(logits, head.classifier(embedding))


def test_bnneck_gives_the_triplet_loss_the_feature_and_retrieval_the_normalised_one():
    head, x = BNNeckHead(6, 3), pooled()
    torch.nn.init.uniform_(head.norm.weight, 0.5, 1.5)
    z = normalised(x, head.norm)
    embedding, logits = head.train()(x)
    assert torch.equal(embedding, x)
    torch.testing.assert_close(logits, z @ head.classifier.weight.T)
    embedding, logits = head.eval()(x)
    torch.testing.assert_close(embedding, head.norm(x))
    assert torch.equal(logits, head.classifier(embedding))


def test_the_shift_of_bnneck_stays_at_zero():
    head = BNNeckHead(6, 3)
    optimiser = torch.optim.SGD(head.parameters(), lr=1.0, weight_decay=0.1)
    head(pooled()).logits[:, 0].exp().sum().backward()
    optimiser.step()
    assert torch.equal(head.norm.bias, torch.zeros(6))
    assert head.classifier.bias is None


@pytest.mark.parametrize("name", HEADS)
def test_output_and_classifier_keys_are_the_same_in_all(name):
    head = HEADS[name](6, 3)
    output = head(pooled())
    assert isinstance(output, ReIDOutput)
    assert output.embedding.shape == (4, head.embedding_dim)
    assert output.logits.shape == (4, 3)
    assert head.num_classes == 3
    keys = {key for key in head.state_dict() if key.startswith("classifier")}
    assert keys == ({"classifier.weight"} if name == "bnneck" else {"classifier.weight", "classifier.bias"})
    assert not [key for key in head.state_dict() if key.split(".")[0] not in ("classifier", "fc", "norm")]


@pytest.mark.parametrize("name", HEADS)
def test_without_classes_there_are_no_logits(name):
    head = HEADS[name](6)
    assert head.num_classes == 0
    assert head.classifier is None
    assert head(pooled()).logits is None


@pytest.mark.parametrize("name", HEADS)
def test_removing_the_classifier_removes_nothing_else(name):
    head = HEADS[name](6, 3).eval()
    embedding, kept = head(pooled()).embedding, {k: v.clone() for k, v in head.state_dict().items()}
    head.reset_classifier(0)
    assert torch.equal(head(pooled()).embedding, embedding)
    assert head(pooled()).logits is None
    assert set(head.state_dict()) == {key for key in kept if not key.startswith("classifier")}
    assert all(torch.equal(value, kept[key]) for key, value in head.state_dict().items())
    head.reset_classifier(7)
    assert head(pooled()).logits.shape == (4, 7)
    assert set(head.state_dict()) == set(kept)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", HEADS)
def test_a_new_classifier_joins_the_head_where_it_is(name, classes):
    head = HEADS[name](6, classes).double().eval()
    head.reset_classifier(7)
    assert head.classifier.weight.dtype == torch.float64
    assert not head.classifier.training
    assert head(pooled().double()).logits.dtype == torch.float64
    head.to("meta").reset_classifier(5)
    assert head.classifier.weight.is_meta


@pytest.mark.parametrize("name", HEADS)
def test_every_parameter_that_trains_gets_a_gradient(name):
    head = HEADS[name](6, 3)
    F.cross_entropy(head(pooled()).logits, torch.tensor([0, 1, 2, 0])).backward()
    idle = {key for key, value in head.named_parameters() if value.grad is None or value.grad.abs().max() == 0}
    assert idle == ({"norm.bias"} if name == "bnneck" else set())


@pytest.mark.parametrize("name", HEADS)
def test_it_compiles_to_one_graph(name):
    head = HEADS[name](6, 3).eval()
    torch.compiler.reset()
    compiled = torch.compile(head, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(pooled()), head(pooled()))


@pytest.mark.parametrize("name", HEADS)
def test_bad_input_is_refused(name):
    with pytest.raises(InputError, match="num_classes is a whole number from 0"):
        HEADS[name](6, -1)
    with pytest.raises(InputError, match="num_classes is a whole number from 0"):
        HEADS[name](6, 3).reset_classifier(-1)
    with pytest.raises(InputError, match=r"pooled features \(b, 6\); got \(4, 5\)"):
        HEADS[name](6)(torch.zeros(4, 5))
    with pytest.raises(InputError, match="pooled features"):
        HEADS[name](6)(torch.zeros(4, 6, 1, 1, 1))


@pytest.mark.parametrize("name", ["bottleneck", "bnneck"])
def test_one_clip_is_too_few_for_a_batch_norm_that_trains(name):
    head = HEADS[name](6, 3)
    with pytest.raises(InputError, match="at least 2 clips"):
        head(pooled(b=1))
    assert head.eval()(pooled(b=1)).logits.shape == (1, 3)
