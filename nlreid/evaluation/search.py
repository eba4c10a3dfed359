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
        query: Floating and finite, `(q, d)`; need not be normalised, and a row of zeros is like none.
        gallery: Of the same type, `(g, d)`.
        top: How many to give; at most g are given.

    Returns:
        Cosine similarities `(q, min(top, g))`, falling, at least float32, and the gallery rows' indices; of equal
        similarities the first row comes first.

    Raises:
        InputError: If shapes or types do not fit, a value is not finite, or `top` is below 1.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise InputError(f"query (q, d) and gallery (g, d) have one d; got {tuple(query.shape)} and {tuple(gallery.shape)}")
    if not query.is_floating_point() or query.dtype != gallery.dtype:
        raise InputError(f"query and gallery are floating point, of one type; got {query.dtype} and {gallery.dtype}")
    if not query.isfinite().all() or not gallery.isfinite().all():
        raise InputError("query and gallery are finite; got infinite values or NaN, which have no similarity")
    if top < 1:
        raise InputError(f"top is at least 1; got {top}")
    similarity = _unit(query) @ _unit(gallery).T
    ranked = torch.sort(similarity, dim=1, descending=True, stable=True)
    return ranked.values[:, :top], ranked.indices[:, :top]


def _unit(rows: Tensor) -> Tensor:
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if rows.shape[1]:
        # scaled first, so that no square overflows or vanishes
        rows = rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    return F.normalize(rows, dim=1)
