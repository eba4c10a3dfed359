"""`Stacked`: rows that lie in many places, one below the other, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlreid.errors import InputError


class Piece(Protocol):
    """Some of the rows, in one place."""

    @property
    def shape(self) -> tuple[int, int]:
        """`(n, d)`, n at least 1."""

    @property
    def dtype(self) -> torch.dtype:
        """Their type."""

    def read(self, rows: slice | NDArray[np.int64]) -> Tensor:
        """Some of the rows, in memory of their own, on the CPU: a slice of step 1, or by number from 0."""


class Stacked:
    """A matrix `(n, d)` whose rows are read from its pieces when they are asked for, and not held.

    Slices and whole numbers give tensors, on the CPU; `features[:]` brings all of it into memory. Whether numbers are finite
    is not looked at here: `nlreid.evaluate` and `nearest` check what they read.

    Args:
        pieces: The rows, in order; of one length and one type.

    Raises:
        InputError: If there is no piece, or they differ in length or type of their rows.
    """

    ndim = 2

    def __init__(self, pieces: Sequence[Piece]) -> None:
        kinds = {(piece.shape[1], piece.dtype): place for place, piece in reversed(list(enumerate(pieces)))}
        if len(kinds) != 1:
            said = "; ".join(f"piece {place} has {width} numbers a row, {dtype}" for (width, dtype), place in kinds.items())
            raise InputError(f"pieces of a matrix have rows of one length and type; got {said or 'no piece'}")
        ((width, self.dtype),) = kinds
        self._pieces = tuple(pieces)
        self._starts = np.concatenate([[0], np.cumsum([piece.shape[0] for piece in pieces])])
        self.shape = (int(self._starts[-1]), width)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Stacked({' x '.join(map(str, self.shape))} {self.dtype}, {len(self._pieces)} pieces)"

    def __getitem__(self, rows: slice | Tensor | Sequence[int] | NDArray[np.integer[Any]]) -> Tensor:
        """Some rows, in memory of their own, `(m, d)`.

        Raises:
            InputError: If a slice has steps, or a row is no whole number from 0 to n - 1.
            DataError: If they cannot be read.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                raise InputError(f"slices of {self!r} have step 1; got {rows}")
            return self._stretch(start, max(start, stop))
        places = np.asarray(rows)
        if places.ndim != 1 or not (places.dtype.kind in "iu" or not places.size):
            raise InputError(f"rows of {self!r} are a slice or whole numbers (m,); got {rows!r:.80}")
        places = places.astype(np.int64)
        outside = places[(places < 0) | (places >= len(self))]
        if len(outside):
            raise InputError(f"rows of {self!r} are from 0 to {len(self) - 1}; row {outside[0]} was asked for")
        return self._scattered(places)

    def _stretch(self, start: int, stop: int) -> Tensor:
        out = torch.empty(stop - start, self.shape[1], dtype=self.dtype, device="cpu")
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        at = start
        while at < stop:
            begin, end = int(self._starts[first]), min(stop, int(self._starts[first + 1]))
            out[at - start : end - start] = self._pieces[first].read(slice(at - begin, end - begin))
            at, first = end, first + 1
        return out

    def _scattered(self, places: NDArray[np.int64]) -> Tensor:
        out = torch.empty(len(places), self.shape[1], dtype=self.dtype, device="cpu")
        order = np.argsort(places, kind="stable")
        owners = np.searchsorted(self._starts, places[order], side="right") - 1
        for some in np.split(order, np.flatnonzero(np.diff(owners)) + 1) if len(order) else ():
            owner = int(np.searchsorted(self._starts, places[some[0]], side="right")) - 1
            out[torch.from_numpy(some)] = self._pieces[owner].read(places[some] - self._starts[owner])
        return out


def in_memory(features: Tensor | NDArray[np.floating[Any]] | Stacked) -> Tensor | NDArray[np.floating[Any]]:
    """Features as they are, but all rows of `Stacked` as one tensor: for what needs them at once."""
    return features[:] if isinstance(features, Stacked) else features
