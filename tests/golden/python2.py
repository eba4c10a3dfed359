"""Pickles of arrays as `cPickle` of Python 2.7 wrote them, instruction by instruction, in protocols 2 and 0."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

Blobs = Mapping[str, "np.ndarray | int"]


def write_blobs(file: BinaryIO, blobs: Blobs) -> None:
    """Write `{"blobs": {name: array}}` in protocol 2, the one of published Caffe2 checkpoints."""
    _Writer(file).write(blobs)


class _Writer:
    """What it has written once (a name of NumPy, a type of numbers) it takes from the memo, as `cPickle` does."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.memo: dict[str, int] = {}
        self.slots = 0

    def write(self, blobs: Blobs) -> None:
        self.file.write(b"\x80\x02}")
        self.put()
        self.string(b"blobs")
        self.file.write(b"}")
        self.put()
        self.file.write(b"(")
        for name, blob in blobs.items():
            self.string(name.encode("latin-1"))
            if isinstance(blob, int):
                self.integer(blob)
            else:
                self.array(blob)
        self.file.write(b"us.")

    def put(self) -> int:
        self.slots += 1
        self.file.write(b"q" + bytes([self.slots]) if self.slots < 256 else b"r" + struct.pack("<I", self.slots))
        return self.slots

    def get(self, slot: int) -> None:
        self.file.write(b"h" + bytes([slot]) if slot < 256 else b"j" + struct.pack("<I", slot))

    def string(self, content: bytes) -> None:
        self.file.write(b"U" + bytes([len(content)]) if len(content) < 256 else b"T" + struct.pack("<i", len(content)))
        self.file.write(content)
        self.put()

    def integer(self, number: int) -> None:
        if 0 <= number < 256:
            self.file.write(b"K" + bytes([number]))
        elif 0 <= number < 65536:
            self.file.write(b"M" + struct.pack("<H", number))
        else:
            self.file.write(b"J" + struct.pack("<i", number))

    def word(self, module: str, name: str) -> None:
        key = f"{module}.{name}"
        if key in self.memo:
            self.get(self.memo[key])
        else:
            self.file.write(f"c{module}\n{name}\n".encode())
            self.memo[key] = self.put()

    def array(self, array: np.ndarray) -> None:
        self.word("numpy.core.multiarray", "_reconstruct")
        self.word("numpy", "ndarray")
        self.integer(0)
        self.file.write(b"\x85")
        self.put()
        self.string(b"b")
        self.file.write(b"\x87")
        self.put()
        self.file.write(b"R")
        self.put()
        self.file.write(b"(")
        self.integer(1)
        self.shape(array.shape)
        self.dtype(array.dtype)
        self.file.write(b"\x89")  # rows first
        self.string(array.tobytes())
        self.file.write(b"t")
        self.put()
        self.file.write(b"b")

    def shape(self, shape: tuple[int, ...]) -> None:
        short = {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}
        if len(shape) > 3:
            self.file.write(b"(")
        for side in shape:
            self.integer(side)
        self.file.write(short.get(len(shape), b"t"))
        if shape:
            self.put()

    def dtype(self, dtype: np.dtype) -> None:
        if dtype.str in self.memo:
            self.get(self.memo[dtype.str])
            return
        self.word("numpy", "dtype")
        self.string(dtype.str[1:].encode())
        self.integer(0)
        self.integer(1)
        self.file.write(b"\x87")
        self.put()
        self.file.write(b"R")
        self.memo[dtype.str] = self.put()
        self.file.write(b"(")
        self.integer(3)
        self.string(dtype.str[:1].encode())
        self.file.write(b"NNN")
        self.integer(-1)
        self.integer(-1)
        self.integer(0)
        self.file.write(b"t")
        self.put()
        self.file.write(b"b")


def blobs_in_text(blobs: Blobs) -> bytes:
    """The same in protocol 0, which is text: strings are quoted as `repr` of Python 2 did."""
    return b"(dS'blobs'\n(d" + b"".join(f"S'{name}'\n".encode() + _in_text(blob) + b"s" for name, blob in blobs.items()) + b"s."


def _in_text(blob: np.ndarray | int) -> bytes:
    if isinstance(blob, int):
        return f"I{blob}\n".encode()
    shape = "".join(f"I{side}\n" for side in blob.shape)
    dtype = f"cnumpy\ndtype\n(S'{blob.dtype.str[1:]}'\nI0\nI1\ntR(I3\nS'{blob.dtype.str[0]}'\nNNNI-1\nI-1\nI0\ntb"
    array = f"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n({shape}t{dtype}I00\n"
    return array.encode() + b"S" + repr(blob.tobytes())[1:].encode() + b"\ntb"
