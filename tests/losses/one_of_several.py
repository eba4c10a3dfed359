"""A process of several that mine in the joined batch: answers its loss and gradients for each case, for test_gathering.py.

python one_of_several.py RANK PROCESSES STORE CASES ANSWERS
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import nlreid
from nlreid.errors import InputError


def main() -> None:
    rank, processes = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{sys.argv[3]}", rank=rank, world_size=processes, timeout=timedelta(seconds=90)
    )
    groups = {count: dist.new_group(list(range(count))) for count in range(1, processes + 1)}
    answers = {}
    for name, case in torch.load(sys.argv[4], weights_only=True).items():
        if rank < len(case["parts"]):
            group = groups[len(case["parts"])]
            answers[name] = network(case, rank, group) if "network" in case else answer(case, rank, group)
    torch.save(answers, Path(sys.argv[5]) / f"{rank}.pt")
    dist.destroy_process_group()


def answer(case, rank, group):
    """Of a loss of embeddings, or what it raises."""
    embeddings, pids = (part.clone() for part in case["parts"][rank])
    gather = True if dist.get_world_size(group) == dist.get_world_size() else group
    loss = nlreid.BatchHardTripletLoss(case["margin"], case["metric"], gather=gather)
    embeddings.requires_grad_()
    try:
        value = loss(embeddings, pids)
    except InputError as error:
        return {"error": str(error)}
    value.backward()
    return {"loss": value.detach(), "gradient": embeddings.grad}


def network(case, rank, group):
    """Of the whole loss of a network under `DistributedDataParallel`: the gradients of its parameters."""
    layer = nn.Linear(*case["network"].T.shape, bias=False)
    layer.weight.data.copy_(case["network"])
    clips, pids = case["parts"][rank]
    parallel = DistributedDataParallel(layer, process_group=group)  # kept: what it does in the backward pass ends with it
    logits = parallel(clips)
    total = nlreid.VideoReIDLoss(gather=group)(nlreid.ReIDOutput(logits, logits), pids).total
    total.backward()
    return {"gradient": layer.weight.grad}


if __name__ == "__main__":
    main()
