"""Cross-view quadratic discriminant analysis (Liao, Hu, Zhu, Li, CVPR 2015, arXiv 1406.4216, Sec. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlreid.errors import InputError, real_number, whole_number
from nlreid.evaluation.labelled import Features
from nlreid.evaluation.metric_learning.covariances import cross_view_covariances
from nlreid.evaluation.stacked import in_memory

Labels = Tensor | np.ndarray[Any, Any] | Sequence[int]


class XQDA:
    """A subspace and a metric, learned from how one person differs between cameras, and different persons.

    The differences of features from different cameras have a covariance for the same person, S_I, and one for two
    persons, S_E (Sec. 4.1). The subspace is spanned by the directions w that maximise w'S_E w / w'S_I w, the generalised
    eigenvectors of S_E w = l S_I w, and the metric there is inv(W'S_I W) - inv(W'S_E W) (Sec. 4.2). With W'S_I W = 1 both
    are diagonal: the weight of a direction is 1 - 1/l. Only directions with l > 1 are kept, as in the authors' code, so
    the metric is positive definite, and the distance is the Euclidean one of `transform(features)`.

    >>> features = torch.tensor([[0.0, 0.0], [0.0, 5.0], [1.0, 1.0], [1.0, 5.5], [2.0, -1.0], [2.0, 4.0]])
    >>> metric = XQDA(dim=1).fit(features, pids=[1, 1, 2, 2, 3, 3], camids=[0, 1, 0, 1, 0, 1])
    >>> metric.transform(features).shape
    torch.Size([6, 1])

    The authors' code takes left singular vectors of inv(S_I) S_E, a matrix which is not symmetric, for its eigenvectors.
    So its metric is not diagonal and can be indefinite; here the paper's text is followed. It keeps one direction where
    no l is above 1; here that is an error, for such a metric has negative squared distances.

    Args:
        dim: How many directions to keep at most, those with the largest l first; None for all with l > 1.
        regularisation: What is added to the diagonal of S_I (Sec. 4.3), in squared units of the features: the default is
            for features of length about one. 0 is allowed where S_I has an inverse without it.

    Attributes:
        mean: What is subtracted from features first, `(d,)`, float64; it changes no distance. None before `fit`.
        projection: The weighted directions, `(d, r)`, float64; None before `fit`.
        eigenvalues: The l of each direction, falling, `(r,)`, float64; None before `fit`.

    Raises:
        InputError: If `dim` is no whole number from 1, or `regularisation` is negative or not finite.
    """

    def __init__(self, dim: int | None = None, regularisation: float = 0.001) -> None:
        self.dim = None if dim is None else whole_number("dim", dim)
        wanted = "a finite number of at least 0"
        self.regularisation = real_number("regularisation", regularisation, wanted)
        if self.regularisation < 0:
            raise InputError(f"regularisation is {wanted}; got {regularisation!r}")
        self.mean: Tensor | None = None
        self.projection: Tensor | None = None
        self.eigenvalues: Tensor | None = None

    def __repr__(self) -> str:
        learned = "nothing learned yet" if self.projection is None else "{} to {} numbers".format(*self.projection.shape)
        return f"XQDA(dim={self.dim}, regularisation={self.regularisation}): {learned}"

    @torch.no_grad()
    def fit(self, features: Features, pids: Labels, camids: Labels) -> XQDA:
        """Learn from labelled features.

        Every pair of features from two different cameras counts once. With two cameras these are the paper's two views;
        with more it is the union over all pairs of cameras. Where only two views are meant, such as query and gallery,
        give 0 and 1 in the place of `camids`. Each number in `pids` is a person: leave out junk and distractors before.

        Args:
            features: Floating and finite, `(n, d)`; a tensor, a NumPy array, or `nlreid.evaluation.Stacked`, read as a whole.
            pids: Identities, `(n,)`, integers.
            camids: Cameras, `(n,)`, integers.

        Returns:
            Itself.

        Raises:
            InputError: If shapes or types do not fit, a value is not finite, all features are of one camera, no person was
                seen by two, there is only one person, S_I has no inverse, or no direction has l > 1.
        """
        rows = _features(in_memory(features))
        people, cameras = (_labels(name, given, rows) for name, given in (("pids", pids), ("camids", camids)))
        mean = rows.mean(0)
        rows = rows - mean
        # All differences lie in the span of the rows: if these are fewer than the axes, its own axes are enough.
        basis = torch.linalg.qr(rows.T).Q if len(rows) < rows.shape[1] else None
        intra, extra = cross_view_covariances(rows if basis is None else rows @ basis, people, cameras)
        if not (intra.isfinite().all() and extra.isfinite().all()):
            raise InputError("features are too far apart to be squared in float64; divide them by a number")
        intra.diagonal().add_(self.regularisation)
        directions, eigenvalues = _directions(intra, extra, self.dim)
        directions = directions if basis is None else basis @ directions
        self.mean, self.eigenvalues = mean, eigenvalues
        self.projection = directions * (1 - 1 / eigenvalues).sqrt()
        return self

    @torch.no_grad()
    def transform(self, features: Features) -> Tensor:
        """Features whose Euclidean distances are the learned ones.

        Args:
            features: Floating and finite, `(m, d)`, d as in `fit`, of one of these types. m may be 0.

        Returns:
            `(m, r)`, of the type and on the device of the features, at least float32.

        Raises:
            InputError: If `fit` has not been called, or the features do not fit.
        """
        if self.mean is None or self.projection is None:
            raise InputError("XQDA has learned nothing yet; call fit(features, pids, camids) first")
        given = in_memory(features)
        rows = _features(given, len(self.mean))
        moved = (rows - self.mean.to(rows.device)) @ self.projection.to(rows.device)
        if not isinstance(given, Tensor):
            return moved.to(torch.float64 if given.dtype.itemsize == 8 else torch.float32)
        return moved.to(given.device, torch.promote_types(given.dtype, torch.float32))


def _directions(intra: Tensor, extra: Tensor, most: int | None) -> tuple[Tensor, Tensor]:
    """Generalised eigenvectors `(d, r)` of length one under `intra`, and their eigenvalues `(r,)` above 1, falling."""
    factor, failed = torch.linalg.cholesky_ex(intra)
    pivots = factor.diagonal().square()
    if failed or pivots.min() <= len(intra) * torch.finfo(torch.float64).eps * pivots.max():
        raise InputError("the covariance within persons has no inverse; give a larger regularisation")
    half = torch.linalg.solve_triangular(factor, extra, upper=False)
    whitened = torch.linalg.solve_triangular(factor, half.T, upper=False)
    values, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = int((values > 1).sum()) if most is None else min(most, int((values > 1).sum()))
    if kept == 0:
        raise InputError(
            f"in no direction do different persons differ more than one person does (largest ratio {float(values[0]):.3g}); "
            f"check the labels, or give a smaller regularisation"
        )
    return torch.linalg.solve_triangular(factor.T, vectors[:, :kept], upper=True), values[:kept]


def _features(features: Tensor | np.ndarray[Any, Any], width: int | None = None) -> Tensor:
    """Features in float64, if they are what they must be."""
    if isinstance(features, np.ndarray) and features.dtype.kind == "f":
        rows = torch.from_numpy(np.array(features, dtype=np.float64))
    elif isinstance(features, Tensor) and features.is_floating_point():
        rows = features.to("cpu" if features.device.type == "mps" else features.device, torch.float64)
    else:
        raise InputError(f"features are a floating tensor or array; got {getattr(features, 'dtype', type(features).__name__)}")
    if rows.ndim != 2 or rows.shape[1] != (width or max(rows.shape[1], 1)) or (width is None and len(rows) == 0):
        wanted = f"(rows, {width})" if width else "(rows, channels), neither of them 0"
        raise InputError(f"features are {wanted}; got {tuple(rows.shape)}")
    if not rows.isfinite().all():
        raise InputError("features are finite; got infinite values or NaN")
    return rows


def _labels(name: str, given: Labels, rows: Tensor) -> Tensor:
    """Labels as numbers from 0, `(n,)`."""
    try:
        labels = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{name} are integers, one for each of {len(rows)} features; got {given!r:.80}") from error
    if labels.dtype.kind not in "iu" or labels.shape != (len(rows),):
        raise InputError(f"{name} are integers, one for each of {len(rows)} features; got {labels.dtype} {labels.shape}")
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1]).to(rows.device)
