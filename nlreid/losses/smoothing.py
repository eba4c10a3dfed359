"""Cross-entropy with smoothed labels (arXiv 1807.05073, Eq. 8-9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlreid.errors import InputError, real_number
from nlreid.losses.labels import check_labels

# PyTorch leaves out samples of label -100 unless told of another; this one can be no class and no usual filler, so that
# a label of -100 is an error like every other label that is not a class.
IGNORE_NOTHING = torch.iinfo(torch.int64).min


class LabelSmoothingCrossEntropy(nn.Module):
    """Cross-entropy against a target that gives every class a little (paper, Eq. 8-9), averaged over the batch.

    Of N classes, the true one has the target 1 - (N - 1) / N * epsilon and each other one epsilon / N.

    >>> loss = LabelSmoothingCrossEntropy(epsilon=0.1)
    >>> sure = torch.tensor([[4.0, 0.0]])
    >>> f"{loss(sure, torch.tensor([0])):.4f}"  # log(1 + exp(-4)) + 4 * 0.1 / 2
    '0.2181'

    float16 and bfloat16 logits are computed, and the loss returned, in float32; other types stay what they are.

    Args:
        epsilon: How much of the target is spread evenly over the classes, in [0, 1); 0 is plain cross-entropy.

    Raises:
        InputError: If `epsilon` is outside [0, 1).
    """

    def __init__(self, epsilon: float = 0.1) -> None:
        super().__init__()
        if not 0 <= real_number("epsilon", epsilon, "in [0, 1)") < 1:
            raise InputError(f"epsilon must be in [0, 1); got {epsilon}")
        self.epsilon = epsilon

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
            """What `forward` gives."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of one batch.

        Labels on the CPU are held to 0..n-1 here. On an accelerator the same check would make the host wait for the
        device at every step, so there a label that is no class trips the assertion of PyTorch's own kernel.

        Args:
            logits: Floating, `(b, n)`: one score per class, before softmax.
            labels: Integer, `(b,)`: the class of each sample, 0..n-1.

        Returns:
            A scalar, in nats.

        Raises:
            InputError: If a shape or type does not fit, or a label on the CPU is outside 0..n-1.
        """
        if not logits.is_floating_point() or logits.ndim != 2 or logits.numel() == 0:
            raise InputError(
                f"logits must be floating, (batch, classes), with no empty axis; got {logits.dtype} {tuple(logits.shape)}"
            )
        batch, classes = logits.shape
        check_labels(labels, batch)
        if labels.device.type == "cpu":
            _check_range(labels, classes)
        return F.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)),
            labels.long(),
            ignore_index=IGNORE_NOTHING,
            label_smoothing=self.epsilon,
        )

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        return f"epsilon={self.epsilon}"


def _check_range(labels: Tensor, classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"labels must be in 0..{classes - 1} for {classes} classes; got {low if low < 0 else high}; "
            f"number the identities of the training set from 0, or build the model with more num_classes"
        )
