"""Embeddings in two dimensions, for a map of them: their principal components (Pearson 1901), computed with torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError
from nlreid.evaluation.labelled import features_of, whole_numbers
from nlreid.evaluation.stacked import in_memory


@dataclass(frozen=True, eq=False)
class Projection:
    """Where embeddings lie in the plane in which they differ most.

    Args:
        points: Their places, float64 `(n, 2)`, around 0; the first axis is the one along which they differ most.
        explained: The share of their variance along each of the two axes, between 0 and 1: what is missing to 1 is not seen.
        pids: The person of each, int64 `(n,)`, or None.
        camids: The camera of each, int64 `(n,)`, or None.
    """

    points: Tensor
    explained: tuple[float, float]
    pids: NDArray[np.int64] | None = None
    camids: NDArray[np.int64] | None = None


def project(people: Any) -> Projection:
    """The first two principal components of embeddings.

    A linear picture: distances in it are never larger than those between the embeddings, and whoever lies apart in it does so
    in truth; whoever lies together may still be far apart in what is not seen. How much that is, `explained` says. Which
    way an axis points is chosen so that the value farthest from 0 is positive: the same embeddings give the same points.

    >>> from types import SimpleNamespace
    >>> flat = project(SimpleNamespace(features=np.array([[0.0, 1.0, 5.0], [4.0, 1.0, 5.0]])))
    >>> flat.points.abs(), round(flat.explained[0], 4)
    (tensor([[2.0000, 0.0000],
            [2.0000, 0.0000]], dtype=torch.float64), 1.0)

    Args:
        people: `nlreid.Embeddings`, or anything with `features` `(n, d)`, at least two rows; `pids` and `camids` `(n,)` may be
            missing or None. All of it is brought to the CPU's memory as float64: of millions, select some.

    Raises:
        InputError: If features are not finite floating point `(n, d)` with n from 2 and d from 1, or labels do not fit.
    """
    features = _checked(in_memory(features_of("data", people)))
    centred = features - features.mean(0)
    few = len(centred) <= centred.shape[1]  # the smaller of the two matrices of products has the same eigenvalues
    values, vectors = torch.linalg.eigh(centred @ centred.T if few else centred.T @ centred)  # rising
    values = values.clamp_min(0)
    points = vectors[:, -2:] * values[-2:].sqrt() if few else centred @ vectors[:, -2:]
    points = torch.cat([torch.zeros(len(points), 2 - points.shape[1], dtype=points.dtype), points], dim=1).flip(1)
    farthest = points.gather(0, points.abs().argmax(0, keepdim=True))
    points = torch.where(farthest < 0, -points, points)
    shares = (points.square().sum(0) / values.sum().clamp_min(torch.finfo(torch.float64).tiny)).tolist()
    labels = {name: _labels(name, getattr(people, name, None), len(points)) for name in ("pids", "camids")}
    return Projection(points, (min(shares[0], 1.0), min(shares[1], 1.0)), **labels)


def _checked(features: Any) -> Tensor:
    plain = isinstance(features, Tensor | np.ndarray) and not (isinstance(features, Tensor) and features.is_meta)
    rows = torch.as_tensor(features) if plain else torch.empty(0)
    if not rows.is_floating_point() or rows.ndim != 2 or len(rows) < 2 or not rows.shape[1]:
        kind = (
            f"{getattr(features, 'dtype', type(features).__qualname__)} {tuple(np.shape(features))}"
            if plain
            else repr(features)
        )
        raise InputError(f"features of a map are floating point (n, d), n from 2; got {kind:.80}")
    rows = rows.detach().to("cpu", torch.float64)
    if not rows.isfinite().all():
        raise InputError("features of a map are finite; some of these are not")
    return rows


def _labels(name: str, values: Any, count: int) -> NDArray[np.int64] | None:
    if values is None:
        return None
    labels = whole_numbers(name, values)
    if len(labels) != count:
        raise InputError(f"{name} has an entry for each of {count} rows; got {len(labels)}")
    return labels
