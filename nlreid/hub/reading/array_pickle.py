"""What the pickle of an array may say: each name that it asks for is a word, and has one meaning, which is given here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from nlreid.errors import shorten

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1")
_DIMENSIONS = 32  # what NumPy had in the time of Python 2


@dataclass(frozen=True)
class Span:
    """A string that was left in the file: where it begins, and how long it is."""

    start: int
    size: int

    def __len__(self) -> int:
        return self.size


@dataclass(frozen=True)
class Global:
    """A name of `GLOBALS`, standing for itself."""

    name: str


@dataclass(eq=False)
class Dtype:
    """A type of numbers: its code, one of `DTYPES`, and the byte order, which follows in a state."""

    code: str
    order: str = ""

    def build(self, state: Any) -> None:
        """Take the byte order out of what `numpy.dtype` pickles; fields and nested arrays are refused."""
        if self.order or type(state) is not tuple or len(state) != 8 or state[0] != 3:
            raise UnpicklingError("it holds a type of numbers in a form that is not known")
        if any(part is not None for part in state[2:5]):  # the nested type, names and fields of a record
            raise UnpicklingError("it holds a type of numbers that is not a plain one")
        self.order = text(state[1])
        if self.order not in ("<", ">", "|"):
            raise UnpicklingError("it holds a type of numbers whose byte order is not known")


@dataclass(eq=False)
class PickledArray:
    """An array whose numbers are still in the file, or in a string."""

    dtype: Dtype | None = None
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: bytes | Span = b""

    def build(self, state: Any) -> None:
        """Take what `numpy.ndarray` pickles: version, shape, type, whether columns come first, numbers."""
        if self.dtype is not None or type(state) is not tuple or len(state) != 5 or state[0] != 1:
            raise UnpicklingError("it holds an array in a form that is not known")
        _, shape, dtype, fortran, data = state
        if type(shape) is not tuple or len(shape) > _DIMENSIONS or any(type(side) is not int or side < 0 for side in shape):
            raise UnpicklingError("it holds an array whose shape is none")
        self.shape, self.fortran = shape, fortran is True
        self.fill(dtype, data)

    def fill(self, dtype: Any, data: Any) -> None:
        """Take type and numbers; there must be as many as the shape says, so that no shape makes memory out of nothing."""
        if not isinstance(dtype, Dtype) or not dtype.order or not isinstance(data, bytes | Span):
            raise UnpicklingError("it holds an array of something other than numbers")
        wanted = prod(self.shape) * int(dtype.code[1:])
        if len(data) != wanted:
            raise UnpicklingError(f"it holds an array of {len(data)} bytes whose shape says otherwise")
        self.dtype, self.data = dtype, data

    def read(self, file: BinaryIO) -> np.ndarray[Any, Any]:
        """The numbers in memory of their own, in this machine's byte order, rows first."""
        if self.dtype is None:
            raise UnpicklingError("it holds an array without numbers")
        stored = np.frombuffer(_content(file, self.data), self.dtype.order + self.dtype.code)
        array = stored.astype(self.dtype.code, copy=False)
        shaped = array.reshape(self.shape, order="F" if self.fortran else "C")
        return shaped.copy(order="C") if self.fortran else shaped


def text(value: Any) -> str:
    """A short string, whether Python 2 had it as bytes or not.

    Raises:
        UnpicklingError: If it is none.
    """
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise UnpicklingError("it holds something other than a name where a name belongs")
    return value


def put(target: Any, name: Any, value: Any) -> None:
    """Set an entry of a dictionary; names are text, and none comes twice."""
    if type(target) is not dict or (name := text(name)) in target:
        raise UnpicklingError("it names an entry twice" if type(target) is dict else "it is damaged")
    target[name] = value


def _content(file: BinaryIO, data: bytes | Span) -> bytearray:
    if isinstance(data, bytes):
        return bytearray(data)
    content = bytearray(data.size)
    file.seek(data.start)
    if file.readinto(content) != data.size:  # type: ignore[attr-defined]
        raise UnpicklingError("it changed while it was read")
    return content


def _array(kind: Any, *_: Any) -> PickledArray:
    if kind != Global("numpy.ndarray"):
        raise UnpicklingError("it holds an array of a kind that is not NumPy's own")
    return PickledArray()  # shape, type and numbers follow in a state


def _dtype(code: Any, *_: Any) -> Dtype:
    code = text(code)
    if code not in DTYPES:  # 'O' is objects, 'V' records: their states would bring anything along
        raise UnpicklingError(f"it holds an array of type '{shorten(code)}'; known are {', '.join(DTYPES)}")
    return Dtype(code)


def _scalar(dtype: Any, data: Any) -> PickledArray:
    number = PickledArray()
    number.fill(dtype, data)
    return number


def _encode(string: Any, codec: Any) -> bytes:
    if type(string) is not str or text(codec) not in ("latin1", "latin-1"):
        raise UnpicklingError("it asks for an encoding other than latin-1")
    return string.encode("latin-1")


def _ordered(pairs: Any = ()) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in pairs:
        put(entries, name, value)
    return entries


GLOBALS: dict[str, Callable[..., Any] | None] = {
    "numpy.ndarray": None,  # it stands for itself, as the kind of an array
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered,
}
