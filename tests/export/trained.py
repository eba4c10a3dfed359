"""Models with the norms of trained ones, and clips for them."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

import nlreid


def new_model(name="test_r3d_nl", **options):
    """A model none of whose non-local blocks is the identity any more."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nlreid.create_model(name, **options)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if tensor.is_floating_point():
                    tensor.data.uniform_(0.3, 0.9, generator=generator)
    return model


def clips(model, batch, frames, seed=0):
    size = model.clip_spec.size
    return torch.randn(batch, 3, frames, *size, generator=torch.Generator().manual_seed(seed))


def answers(model, clip):
    with torch.inference_mode():
        return model.eval()(clip)
