"""One run: a network trained for a fixed number of steps, then scored on people and cameras that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

import nlreid
from ablation_study.people import ACTIONS, Clips, batch
from ablation_study.variants import Variant, make
from nlreid.data.samplers import RandomIdentitySampler
from nlreid.inflation.weights import load_inflated
from nlreid.layers.modes import evaluating

P, K = 6, 4  # of a batch of clips
RANKS = (1, 5, 10)


def train(
    variant: Variant, clips: Clips, lr: float, steps: int, seed: int, start: Mapping[str, Tensor] | None = None, p: int = P
) -> nlreid.VideoReID:
    """Train on persons with both losses (paper, Eq. 10): Adam, the rate falling to 0.001 of itself over the second half.

    Args:
        variant: What to train.
        clips: What to train on.
        lr: Learning rate.
        steps: Of the optimiser.
        seed: Of values and batches.
        start: Values of the backbone, those of a network of single frames or of the same network without non-local blocks.
        p: Identities of a batch.
    """
    torch.manual_seed(seed)
    labels = torch.unique(clips.pid, return_inverse=True)[1]
    model = make(variant, int(labels.max()) + 1)
    if start is not None:
        _start(model, start)
    loss = nlreid.VideoReIDLoss()
    sampler, epoch, rows = RandomIdentitySampler(clips.pid.tolist(), p, K, seed), 0, []
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.param_groups(weight_decay=5e-4), lr=lr, fused=True)
    for step in range(steps):
        if len(rows) < p * K:
            sampler.set_epoch(epoch)
            rows, epoch = [int(draw) for draw in sampler], epoch + 1
        chosen, rows = torch.tensor(rows[: p * K]), rows[p * K :]
        output = model(normalised(model, batch(clips, chosen, variant.frames, generator)))
        _step(optimiser, loss(output, labels[chosen]).total, lr, step / steps)
    return model


def _start(model: nlreid.VideoReID, values: Mapping[str, Tensor]) -> None:
    """Fill the backbone; non-local blocks stay what they are at their start, the identity."""
    own = model.backbone.state_dict()
    shared = {name: tensor.shape for name, tensor in own.items() if ".non_local_" not in name}
    if shared == {name: tensor.shape for name, tensor in values.items()}:
        model.backbone.load_state_dict({**own, **values})
    else:
        flat = {name: tensor.squeeze(2) if tensor.ndim == 5 else tensor for name, tensor in values.items()}
        load_inflated(model.backbone, flat, model.spec.init)


def train_actions(variant: Variant, clips: Clips, lr: float, steps: int, seed: int) -> tuple[dict[str, Tensor], float]:
    """Train a network without non-local blocks to tell actions apart; its backbone's values, and its accuracy at the end."""
    torch.manual_seed(seed)
    model = make(variant, len(ACTIONS))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.param_groups(weight_decay=5e-4), lr=lr, fused=True)
    right = []
    for step in range(steps):
        chosen = torch.randint(len(clips.pid), (P * K,), generator=generator)
        logits = model(normalised(model, batch(clips, chosen, variant.frames, generator))).logits
        right.append((logits.argmax(1) == clips.pid[chosen]).float().mean())
        _step(optimiser, F.cross_entropy(logits, clips.pid[chosen]), lr, step / steps)
    return model.backbone.state_dict(), float(torch.stack(right[-steps // 10 :]).mean())


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, lr: float, done: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = lr * min(1.0, 0.001 ** (2 * done - 1))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def score(model: nlreid.VideoReID, parts: tuple[Clips, Clips]) -> dict[str, float]:
    """Rank-1, 5, 10 and mAP, as fractions of 1."""
    query, gallery = (nlreid.Embeddings(_embedded(model, part.frames), part.pid, part.camid) for part in parts)
    scores = nlreid.evaluate(query, gallery, metric="cosine")
    return {f"rank-{k}": float(scores.cmc[k - 1]) for k in RANKS} | {"mAP": float(scores.mAP)}


def _embedded(model: nlreid.VideoReID, frames: Tensor) -> Tensor:
    with evaluating(model), torch.inference_mode():
        return torch.cat([model(normalised(model, part)).embedding for part in frames.split(P * K)])


def normalised(model: nlreid.VideoReID, frames: Tensor) -> Tensor:
    """uint8 `(b, t, h, w, 3)` to what the network wants, `(b, 3, t, h, w)`."""
    mean, std = (torch.tensor(values) * 255 for values in (model.clip_spec.mean, model.clip_spec.std))
    return ((frames.float() - mean) / std).permute(0, 4, 1, 2, 3).contiguous()
