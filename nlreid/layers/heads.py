"""From the pooled feature of a clip to its embedding and its scores (paper Sec. 3; BNNeck: Luo et al. 2019)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from nlreid.errors import InputError, whole_number


class ReIDOutput(NamedTuple):
    """What a network answers about a batch of clips."""

    embedding: Tensor
    """`(b, d)`, not normalised; embeddings of one person lie close."""
    logits: Tensor | None
    """`(b, n)`, one score a person of the training set; None where there is no classifier."""


# so that torch.export.save can write a program that gives one
_pytree._register_namedtuple(ReIDOutput, serialized_type_name="nlreid.ReIDOutput")


class Head(nn.Module, ABC):
    """What every head is: pooled features in, `ReIDOutput` out, and a classifier that can be replaced.

    A subclass ends its `__init__` with `reset_classifier`, so that the classifier is its last child.

    Args:
        in_features: Length of the pooled feature.
        embedding_dim: Length of the embedding, which is also what the classifier takes.
        classifier_bias: Whether the classifier adds one.
    """

    classifier: nn.Linear | None

    def __init__(self, in_features: int, embedding_dim: int, *, classifier_bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.embedding_dim = embedding_dim
        self._classifier_bias = classifier_bias
        # follows .to(), so that a new classifier finds its device and type even where the head has no weights
        self.register_buffer("_place", torch.empty(0), persistent=False)

    @property
    def num_classes(self) -> int:
        """Persons that the classifier tells apart; 0 without one."""
        return 0 if self.classifier is None else self.classifier.out_features

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, untrained classifier in place of the old one, on the same device and of the same type.

        Args:
            num_classes: Persons to tell apart; 0 removes the classifier and nothing else.

        Raises:
            InputError: If it is no whole number, or negative.
        """
        num_classes = whole_number("num_classes", num_classes, least=0)
        self.classifier = self._new_classifier(num_classes) if num_classes else None

    def _new_classifier(self, num_classes: int) -> nn.Linear:
        place = self.get_buffer("_place")
        classifier = nn.Linear(
            self.embedding_dim, num_classes, bias=self._classifier_bias, device=place.device, dtype=place.dtype
        )
        # nearly equal scores at the start: the first gradients then come from the data, not from chance
        nn.init.normal_(classifier.weight, std=0.001)
        if self._classifier_bias:
            nn.init.zeros_(classifier.bias)
        return classifier.train(self.training)

    def forward(self, x: Tensor) -> ReIDOutput:
        """Embed and classify.

        Args:
            x: Pooled features, `(b, in_features)`.

        Returns:
            The embedding `(b, embedding_dim)` and the logits `(b, num_classes)`, None without a classifier.

        Raises:
            InputError: If `x` has another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise InputError(f"{type(self).__name__} wants pooled features (b, {self.in_features}); got {tuple(x.shape)}")
        embedding, classified = self._embed(x)
        return ReIDOutput(embedding, None if self.classifier is None else self.classifier(classified))

    @abstractmethod
    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding, and what the classifier reads."""


class LinearHead(Head):
    """The pooled feature is the embedding; a linear classifier reads it.

    >>> LinearHead(4, num_classes=3)(torch.ones(2, 4)).logits.shape
    torch.Size([2, 3])

    Args:
        in_features: Length of the pooled feature, and of the embedding.
        num_classes: Persons to tell apart; 0 leaves the classifier out.
    """

    def __init__(self, in_features: int, num_classes: int = 0) -> None:
        super().__init__(in_features, in_features)
        self.reset_classifier(num_classes)

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class BottleneckHead(Head):
    """FC, batch norm, LeakyReLU 0.1, dropout, classifier: the paper's head (Sec. 3).

    The embedding is exactly what enters the classifier, in training after dropout; the triplet loss takes it too.

    Args:
        in_features: Length of the pooled feature.
        num_classes: Persons to tell apart; 0 leaves the classifier out.
        embedding_dim: Length of the embedding.
        dropout: Share of the embedding that training sets to zero.
    """

    def __init__(self, in_features: int, num_classes: int = 0, embedding_dim: int = 512, dropout: float = 0.5) -> None:
        super().__init__(in_features, embedding_dim)
        self.fc = nn.Linear(in_features, embedding_dim, bias=False)  # the norm would cancel a bias
        self.norm = nn.BatchNorm1d(embedding_dim)
        self.act = nn.LeakyReLU(0.1)
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_normal_(self.fc.weight, a=0.1)
        self.reset_classifier(num_classes)

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _check_batch(self.norm, x)
        embedding = self.dropout(self.act(self.norm(self.fc(x))))
        return embedding, embedding


class BNNeckHead(Head):
    """Batch norm between the triplet loss and the classifier (Luo et al. 2019, "bag of tricks", Sec. 3.5).

    The classifier, which has no bias, always reads the normalised feature, and the norm's shift stays at zero. The
    embedding is the feature **before** the norm in train mode, for the triplet loss, and **after** it in eval mode,
    for retrieval by cosine: `train()` and `eval()` change which of the two `embedding` is, not its shape.

    Args:
        in_features: Length of the pooled feature, and of the embedding.
        num_classes: Persons to tell apart; 0 leaves the classifier out.
    """

    def __init__(self, in_features: int, num_classes: int = 0) -> None:
        super().__init__(in_features, in_features, classifier_bias=False)
        self.norm = nn.BatchNorm1d(in_features)
        self.norm.bias.requires_grad_(False)  # zero, and stays so: the classes then meet at the origin
        self.reset_classifier(num_classes)

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _check_batch(self.norm, x)
        normalised = self.norm(x)
        return (x if self.training else normalised), normalised


def _check_batch(norm: nn.BatchNorm1d, x: Tensor) -> None:
    if norm.training and len(x) < 2:
        raise InputError(f"batch norm in train mode wants at least 2 clips; got {len(x)}: batch more, or call eval()")


HEADS: dict[str, Callable[..., Head]] = {"linear": LinearHead, "bottleneck": BottleneckHead, "bnneck": BNNeckHead}
