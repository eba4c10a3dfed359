"""The loss that the network is trained with: cross-entropy plus triplet (arXiv 1807.05073, Eq. 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from nlreid.errors import InputError
from nlreid.losses.smoothing import LabelSmoothingCrossEntropy
from nlreid.losses.triplet import BatchHardTripletLoss

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class EmbeddingAndLogits(Protocol):
    """What the loss reads from the output of a network."""

    @property
    def embedding(self) -> Tensor:
        """Floating, `(b, d)`."""

    @property
    def logits(self) -> Tensor | None:
        """Floating, `(b, n)`; None without a classifier."""


class LossParts(NamedTuple):
    """The loss of a batch and the two that it is the sum of; scalars, each with its gradient.

    Args:
        total: What to call `backward()` on.
        cross_entropy: The label-smoothed cross-entropy of the logits (Eq. 8).
        triplet: The batch-hard triplet loss of the embeddings (Eq. 7).
    """

    total: Tensor
    cross_entropy: Tensor
    triplet: Tensor


class VideoReIDLoss(nn.Module):
    """Label-smoothed cross-entropy of the logits plus batch-hard triplet loss of the embeddings (paper, Eq. 10).

    The paper adds the two with equal weight, and so does `total`. For other weights, sum the parts:
    `parts.cross_entropy + 0.5 * parts.triplet`.

    Args:
        epsilon: As in `LabelSmoothingCrossEntropy`.
        margin: As in `BatchHardTripletLoss`.
        metric: As in `BatchHardTripletLoss`.
        gather: As in `BatchHardTripletLoss`. The cross-entropy stays the mean of each process's own batch, of which
            `DistributedDataParallel` makes the mean of all, where they are of equal length.

    Raises:
        InputError: If `epsilon` or `margin` is out of its range.
        UnknownNameError: If `metric`, or a `margin` that is a string, is unknown.
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        margin: float | Literal["soft"] = 0.3,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        *,
        gather: bool | ProcessGroup = False,
    ) -> None:
        super().__init__()
        self.cross_entropy = LabelSmoothingCrossEntropy(epsilon)
        self.triplet = BatchHardTripletLoss(margin, metric, gather=gather)

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, output: EmbeddingAndLogits, pids: Tensor) -> LossParts:
            """What `forward` gives."""

    def forward(self, output: EmbeddingAndLogits, pids: Tensor) -> LossParts:
        """The loss of one batch.

        Args:
            output: What the network answered: `embedding` `(b, d)` and `logits` `(b, n)`.
            pids: Integer, `(b,)`: the identities, numbered as the classifier's classes, 0..n-1.

        Returns:
            The loss and its parts.

        Raises:
            InputError: If there are no logits, a shape or type does not fit, a label is no class, or no anchor of the
                batch has both a positive and a negative.
        """
        if output.logits is None:
            raise InputError(
                "the output has no logits, since the model has no classifier; "
                "give create_model the num_classes of the training set, or use BatchHardTripletLoss alone"
            )
        cross_entropy = self.cross_entropy(output.logits, pids)
        triplet = self.triplet(output.embedding, pids)
        return LossParts(cross_entropy + triplet, cross_entropy, triplet)
