"""What labels are, for every loss: one integer a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.errors import InputError

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_labels(labels: Tensor, batch: int) -> None:
    """Refuse labels that are not one integer a sample; their values are not looked at.

    Raises:
        InputError: If `labels` is not an integer tensor of shape `(batch,)`.
    """
    if not isinstance(labels, Tensor):
        raise InputError(f"labels are a torch.Tensor; got {type(labels).__qualname__}; torch.tensor(…) makes one")
    if labels.dtype not in INTEGERS or labels.shape != (batch,):
        raise InputError(
            f"labels must be one integer per sample, here of shape ({batch},); got {labels.dtype} {tuple(labels.shape)}"
        )
