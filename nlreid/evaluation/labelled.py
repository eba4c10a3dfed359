"""What is compared: features, and the identity and camera of each row."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError
from nlreid.evaluation.stacked import Stacked

JUNK = -1
"""The pid of what is no answer, right or wrong: it is left out of every ranking (MARS, Zheng et al. 2016)."""

Features = Tensor | NDArray[np.floating[Any]] | Stacked
_LARGEST = np.iinfo(np.int64).max
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Labels(Protocol):
    """Anything with pids and camids."""

    @property
    def pids(self) -> Any:
        """Identities, whole numbers `(n,)`; -1 is junk."""

    @property
    def camids(self) -> Any:
        """Cameras, whole numbers `(n,)`."""


class Labelled(Labels, Protocol):
    """Anything with features, pids and camids, such as `nlreid.Embeddings`."""

    @property
    def features(self) -> Any:
        """Floating point `(n, d)`: a tensor on any device, a NumPy array, which may be mapped from a file, or `Stacked`."""


def check_features(query: Any, gallery: Any) -> tuple[Features, Features]:
    """Both as tensor or array, if they can be compared; that they are finite is seen as they are read.

    Raises:
        InputError: If one is not floating point `(n, d)`, or d differs.
    """
    for name, features in (("query", query), ("gallery", gallery)):
        if not _is_plain(features) or features.ndim != 2 or not features.shape[1]:
            raise InputError(f"features of the {name} are a floating-point tensor or NumPy array (n, d); got {_kind(features)}")
    if query.shape[1] != gallery.shape[1]:
        raise InputError(
            f"features of query (q, d) and gallery (g, d) have one d; got {tuple(query.shape)} and {tuple(gallery.shape)}"
        )
    return query, gallery


def _kind(features: Any) -> str:
    if hasattr(features, "features"):
        return f"{type(features).__qualname__}; give its .features"
    return f"{getattr(features, 'dtype', type(features).__qualname__)} {tuple(np.shape(features))}"


def _is_plain(features: Any) -> bool:
    """Whether these are numbers of a type that is computed with, all of them there."""
    if isinstance(features, Tensor):
        return features.dtype in _FLOATS and features.layout == torch.strided and features.device.type != "meta"
    if isinstance(features, Stacked):
        return features.dtype in _FLOATS
    usual = features.dtype in (np.float16, np.float32, np.float64) if isinstance(features, np.ndarray) else False
    return usual and not isinstance(features, np.ma.MaskedArray)  # whose mask would be lost


def features_of(name: str, side: Any) -> Any:
    """The features of one side.

    Args:
        name: `"query"` or `"gallery"`, for messages.
        side: What they are of.

    Raises:
        InputError: If it has none.
    """
    if not hasattr(side, "features"):
        raise InputError(
            f"the {name} is nlreid.Embeddings(features, pids, camids), or has features, pids and camids in another way; "
            f"got {type(side).__qualname__}"
        )
    return side.features


def check_labels(name: str, side: Labels, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pids and camids of one side.

    Args:
        name: `"query"` or `"gallery"`, for messages.
        side: What they are of.
        count: How many there must be.

    Returns:
        int64 `(count,)` each.

    Raises:
        InputError: If they are missing, are not whole numbers, or are not as many as there must be.
    """
    return _labels(name, "pids", side, count), _labels(name, "camids", side, count)


def _labels(name: str, kind: str, side: Labels, count: int) -> NDArray[np.int64]:
    values = getattr(side, kind, None)
    if values is None:
        raise InputError(
            f"the {name} has no {kind}; evaluating needs the identity and the camera of each row: "
            "nlreid.Embeddings(features, pids, camids)"
        )
    name, wanted = f"{kind} of the {name}", f"whole numbers, one for each of {count} rows"
    array = whole_numbers(name, values, wanted)
    if array.shape != (count,):
        raise InputError(f"{name} are {wanted}; got {array.dtype} {array.shape}")
    return array


def whole_numbers(name: str, values: Any, wanted: str = "whole numbers (n,)") -> NDArray[np.int64]:
    """Labels of any kind (list, array, tensor on any device) as int64 `(n,)`.

    Args:
        name: What they are, for messages.
        values: What came.
        wanted: What is allowed, for messages.

    Raises:
        InputError: If they are anything else, or too large.
    """
    try:
        array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:  # uneven lists, tensors of odd kinds
        raise InputError(f"{name} are {wanted}; got {values!r:.80}") from error
    if array.ndim != 1 or not (array.dtype.kind in "iu" or array.size == 0):
        raise InputError(f"{name} are {wanted}; got {array.dtype} {array.shape}")
    if array.size and array.max() > _LARGEST:  # of uint64, which would wrap round, even into junk
        raise InputError(f"{name} are whole numbers up to {_LARGEST}, below 2^63; got {array.max()}")
    return array.astype(np.int64)


def device_of(features: Features) -> torch.device:
    """Where comparisons with these features run: where they are, if float64 is known there."""
    return features.device if isinstance(features, Tensor) and features.device.type != "mps" else torch.device("cpu")
