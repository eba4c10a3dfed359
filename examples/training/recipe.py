"""The paper's recipe (arXiv 1807.05073, Sec. 4.2): what is minimised, by which optimiser, at which learning rate."""

from __future__ import annotations

import argparse

import torch

import nlreid
from nlreid.errors import InputError

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def share_of(identities: int, processes: int) -> int:
    """How many of the identities of a batch are of each process."""
    if identities % processes or identities < 2 * processes:
        raise InputError(
            f"--p {identities} identities for {processes} processes; a multiple of {processes} is shared out evenly, "
            f"and {2 * processes} are needed, so that each has two"
        )
    return identities // processes


def make_loss(arguments: argparse.Namespace) -> nlreid.VideoReIDLoss:
    """Both losses; the hardest positives and negatives are those of the whole batch, whichever process embeds them."""
    return nlreid.VideoReIDLoss(arguments.smoothing, arguments.margin, gather=True)


def make_optimiser(arguments: argparse.Namespace, model: nlreid.VideoReID) -> torch.optim.Optimizer:
    """Adam, or AdamW; norms and biases do not decay."""
    groups = model.param_groups(arguments.weight_decay)
    return OPTIMISERS[arguments.optimiser](groups, lr=arguments.lr, fused=True)


def rate(step: int, steps: int, warmup: int, decay_start: float) -> float:
    """The share of the learning rate in a step: 1, then from t0 to the end t1 falling to 0.001, as 0.001^((t-t0)/(t1-t0))."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    start = decay_start * steps
    return 0.001 ** ((step - start) / (steps - start)) if step > start else 1.0


def set_rate(arguments: argparse.Namespace, optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Give the optimiser the learning rate of a step."""
    for group in optimiser.param_groups:
        group["lr"] = arguments.lr * rate(step, steps, arguments.warmup, arguments.decay_start)
