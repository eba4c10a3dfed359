"""Triplet loss with the hardest positive and negative of the batch (arXiv 1807.05073, Eq. 7; Hermans et al. 2017)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlreid.errors import InputError, real_number, unknown_name
from nlreid.losses.gathering import gather_batch
from nlreid.losses.labels import check_labels

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

METRICS = ("euclidean", "cosine")


class BatchHardTripletLoss(nn.Module):
    """Each anchor against its farthest positive and its nearest negative in the batch (paper, Eq. 7).

    The mean, over the anchors, of max(0, d_ap - d_an + margin), or of log(1 + exp(d_ap - d_an)) for `margin="soft"`.
    The anchor is not its own positive. An anchor that is alone with its identity, or that has no other identity beside
    it, does not count.

    >>> loss = BatchHardTripletLoss(margin=0.3)
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> f"{loss(embeddings, torch.tensor([7, 7, 8])):.2f}"  # (max(0, 1 - 1.5 + 0.3) + max(0, 1 - 0.5 + 0.3)) / 2
    '0.40'

    Distances:

    - `"euclidean"`: between the embeddings as they are, not normalised. It has no derivative at distance 0; there the
      gradient is taken to be 0 (a subgradient), so that embeddings which coincide get no push from each other and
      never a NaN.
    - `"cosine"`: 1 - cos, in 0..2. An embedding of zeros has no direction; its cosine with everything is taken as 0.

    float16 and bfloat16 embeddings are computed, and the loss returned, in float32, inside autocast too; other types
    stay what they are. Memory is `b * b` distances; only the pairs that were chosen are kept for the backward pass.

    Args:
        margin: By how much a negative must be farther than a positive, in the unit of the metric; or `"soft"`.
        metric: `"euclidean"` or `"cosine"`.
        gather: Whether to look among the samples of all processes of `torch.distributed`, or of those of a process group, as
            the paper does (8 processes with 16 tracklets each). Every process then has the loss of the joined batch, and under
            `DistributedDataParallel` the parameters get its gradient; see `nlreid.losses.gathering`.

    Raises:
        InputError: If `margin` is negative or not finite.
        UnknownNameError: If `margin` is a string other than `"soft"`, or `metric` is unknown.
    """

    def __init__(
        self,
        margin: float | Literal["soft"] = 0.3,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        *,
        gather: bool | ProcessGroup = False,
    ) -> None:
        super().__init__()
        if isinstance(margin, str):
            if margin != "soft":
                raise unknown_name("margin", margin, ["soft"], hint="Allowed: 'soft', or a number of at least 0.")
        elif real_number("margin", margin, "a finite number of at least 0, or 'soft'") < 0:
            raise InputError(f"margin must be a finite number of at least 0, or 'soft'; got {margin}")
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
        self.margin = margin
        self.metric = metric
        self.gather = gather

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, embeddings: Tensor, pids: Tensor) -> Tensor:
            """What `forward` gives."""

    def forward(self, embeddings: Tensor, pids: Tensor) -> Tensor:
        """The loss of one batch.

        On an accelerator the host waits for the device once, to learn which anchors count.

        Args:
            embeddings: Floating, `(b, d)`.
            pids: Integer, `(b,)`: the identity of each embedding; any numbers.

        Returns:
            A scalar.

        Raises:
            InputError: If a shape or type does not fit, or no anchor has both a positive and a negative. With `gather`, the
                other processes wait for one that fails by itself, until their group's timeout or until they are ended.
        """
        if not embeddings.is_floating_point() or embeddings.ndim != 2 or embeddings.numel() == 0:
            raise InputError(
                f"embeddings must be floating, (batch, channels), with no empty axis; "
                f"got {embeddings.dtype} {tuple(embeddings.shape)}"
            )
        check_labels(pids, len(embeddings))
        with torch.autocast(embeddings.device.type, enabled=False):  # whatever a backend's autocast would lower
            vectors = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            if self.metric == "cosine":
                vectors = _unit(vectors)
            if self.gather:
                vectors, pids = gather_batch(vectors, pids, None if self.gather is True else self.gather)
            anchors, positives, negatives = self._mine(vectors.detach(), pids)
            gaps = self._distance(vectors, anchors, positives) - self._distance(vectors, anchors, negatives)
            return (F.softplus(gaps) if isinstance(self.margin, str) else F.relu(gaps + self.margin)).mean()

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        return f"margin={self.margin!r}, metric={self.metric!r}" + (", gather=True" if self.gather else "")

    def _mine(self, vectors: Tensor, pids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The anchors that count, the hardest positive and the hardest negative of each: places in the batch.

        Of several equally hard ones it is the first.
        """
        same = pids[:, None] == pids[None, :]  # (b, b)
        positive = same & ~torch.eye(len(pids), dtype=torch.bool, device=pids.device)
        anchors = (positive.any(1) & ~same.all(1)).nonzero().squeeze(1)  # (a,)
        if len(anchors) == 0:
            raise InputError(
                f"no anchor of the batch has both another sample of its identity and a sample of another identity: "
                f"{len(pids)} samples of {len(set(pids.tolist()))} identities; draw at least 2 samples of at least "
                f"2 identities, as nlreid.data.samplers.RandomIdentitySampler does"
            )
        distances = self._distances(vectors)[anchors]  # (a, b)
        farthest = distances.masked_fill(~positive[anchors], -math.inf).argmax(1)
        nearest = distances.masked_fill(same[anchors], math.inf).argmin(1)
        return anchors, farthest, nearest

    def _distances(self, vectors: Tensor) -> Tensor:
        """Every distance, `(b, b)`, to choose by."""
        # |a|^2 + |b|^2 - 2ab by matrix multiplication, cdist's own choice for larger batches, loses small distances
        # between long vectors: it would choose among near neighbours at random
        distances: Tensor = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
        if self.metric == "euclidean":
            return distances
        zero = torch.linalg.vector_norm(vectors, dim=1) == 0
        cosine: Tensor = distances.square() / 2  # between unit vectors |a - b|^2 = 2 (1 - cos)
        return cosine.masked_fill(zero[:, None] | zero[None, :], 1)

    def _distance(self, vectors: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """The distance of each of some pairs of places, `(a,)`, to differentiate."""
        distances: Tensor
        if self.metric == "cosine":
            distances = 1 - (vectors[first] * vectors[second]).sum(1)
        else:  # unlike the square root of a sum, the norm has the gradient 0 at 0
            distances = torch.linalg.vector_norm(vectors[first] - vectors[second], dim=1)
        return distances


def _unit(vectors: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / norms.masked_fill(norms == 0, 1)  # zeros stay zeros, with a gradient of ordinary size
