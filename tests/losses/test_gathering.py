"""Mining across processes: each loss and gradient is that of one process with the joined batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import nlreid

PROCESSES = 4
WORKER = Path(__file__).with_name("one_of_several.py")


def drawn(lengths, seed, *, ties=True):
    """Embeddings and identities of some processes, an identity's spread over them."""
    random = torch.Generator().manual_seed(seed)
    shape = (sum(lengths), 5)
    embeddings = torch.randint(-3, 4, shape, generator=random).double() if ties else torch.randn(shape, generator=random)
    pids = torch.randint(0, 3, (sum(lengths),), generator=random)
    return list(zip(embeddings.split(lengths), pids.split(lengths), strict=True))


CASES = {
    f"{len(lengths)} processes, {lengths}, {metric}, {margin}": {
        "parts": drawn(lengths, seed),
        "metric": metric,
        "margin": margin,
    }
    for seed, (lengths, metric, margin) in enumerate(
        [
            ([4, 4], "euclidean", 0.3),
            ([5, 2], "euclidean", "soft"),
            ([4, 4, 4], "cosine", 0.3),
            ([1, 6, 2], "euclidean", 0.3),
            ([4, 4, 4, 4], "euclidean", 0.3),
            ([3, 1, 1, 2], "cosine", "soft"),
        ]
    )
}
NETWORKS = {
    f"a network on {count}": {
        "parts": drawn([4] * count, 10 + count, ties=False),
        "network": torch.arange(-7.0, 8.0).sin().view(3, 5),
    }
    for count in (2, 3, 4)
}
WRONG = {
    "other lengths": {
        "parts": [(torch.zeros(2, 5), torch.arange(2)), (torch.zeros(2, 6), torch.arange(2))],
        "metric": "euclidean",
        "margin": 0.3,
    },
    "nobody to compare with": {
        "parts": [(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))] * 3,
        "metric": "euclidean",
        "margin": 0.3,
    },
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each process answers, of all cases: they start once."""
    folder = tmp_path_factory.mktemp("processes")
    torch.save(CASES | NETWORKS | WRONG, folder / "cases.pt")
    command = [str(PROCESSES), str(folder / "store"), str(folder / "cases.pt"), str(folder)]
    started = [
        subprocess.Popen([sys.executable, str(WORKER), str(rank), *command], stderr=subprocess.PIPE, text=True)
        for rank in range(PROCESSES)
    ]
    try:
        for process in started:
            _, said = process.communicate(timeout=240)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_are_those_of_the_joined_batch(answers, name):
    case = CASES[name]
    embeddings, pids = (torch.cat(parts) for parts in zip(*case["parts"], strict=True))
    embeddings.requires_grad_()
    loss = nlreid.BatchHardTripletLoss(case["margin"], case["metric"])(embeddings, pids)
    loss.backward()
    count = len(case["parts"])
    found = [answers[rank][name] for rank in range(count)]
    for answer in found:
        torch.testing.assert_close(answer["loss"], loss.detach(), rtol=1e-12, atol=0)
    gradient = torch.cat([answer["gradient"] for answer in found]) / count  # as DistributedDataParallel divides
    torch.testing.assert_close(gradient, embeddings.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parameters_of_a_network_get_the_gradient_of_the_joined_batch(answers, name):
    case = NETWORKS[name]
    clips, pids = (torch.cat(parts) for parts in zip(*case["parts"], strict=True))
    layer = nn.Linear(5, 3, bias=False)
    layer.weight.data.copy_(case["network"])
    logits = layer(clips)
    nlreid.VideoReIDLoss()(nlreid.ReIDOutput(logits, logits), pids).total.backward()
    for rank in range(len(case["parts"])):
        torch.testing.assert_close(answers[rank][name]["gradient"], layer.weight.grad, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_together_is_the_same_error_everywhere(answers):
    for rank in range(2):
        assert "by rank, torch.float32 (2, 5), torch.float32 (2, 6)" in answers[rank]["other lengths"]["error"]
    for rank in range(3):
        assert "6 samples of 1 identities" in answers[rank]["nobody to compare with"]["error"]


def test_alone_it_changes_nothing():
    (embeddings, pids), *_ = drawn([8], 0)
    gathered, plain = (nlreid.BatchHardTripletLoss(gather=gather)(embeddings, pids) for gather in (True, False))
    assert torch.equal(gathered, plain)
    assert "gather" in repr(nlreid.BatchHardTripletLoss(gather=True))
    assert "gather" not in repr(nlreid.BatchHardTripletLoss())
