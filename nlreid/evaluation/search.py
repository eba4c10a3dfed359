"""Nearest neighbours of embeddings, by cosine similarity."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nlreid.errors import InputError


def nearest(query: Tensor, gallery: Tensor, top: int = 5) -> tuple[Tensor, Tensor]:
    """The most similar gallery rows of each query row.

    >>> nearest(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0], [1.0, 1.0]]), top=2)
    (tensor([[1.0000, 0.7071]]), tensor([[1, 2]]))

    Args:
        query: Floating `(q, d)`; need not be normalised.
        gallery: Floating `(g, d)`.
        top: How many to give; at most g are given.

    Returns:
        Cosine similarities `(q, min(top, g))`, falling, and the gallery rows' indices; of equal ones the first comes first.

    Raises:
        InputError: If the shapes do not fit or `top` is below 1.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise InputError(f"query (q, d) and gallery (g, d) have one d; got {tuple(query.shape)} and {tuple(gallery.shape)}")
    if top < 1:
        raise InputError(f"top is at least 1; got {top}")
    similarity = F.normalize(query, dim=1) @ F.normalize(gallery, dim=1).T
    ranked = torch.sort(similarity, dim=1, descending=True, stable=True)
    return ranked.values[:, :top], ranked.indices[:, :top]
