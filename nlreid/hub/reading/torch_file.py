"""Files of `torch.save`: tensors and plain values, and single numbers of NumPy, which training loops leave beside them."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from nlreid.hub.reading.array_pickle import GLOBALS, Dtype, text
from nlreid.hub.reading.torch_archive import check_archive

_LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the number that the first pickle of the format before torch 1.6 holds

_ARCHIVE = b"PK\x03\x04"


def is_torch_file(start: bytes) -> bool:
    """Whether a file that begins so is one of `torch.save`."""
    return start.startswith(_ARCHIVE) or _LEGACY in start[:32]


def read_torch(path: Path) -> Any:
    """What a file of `torch.save` holds, on the CPU.

    Raises:
        Exception: Whatever torch raises, if the file is damaged or asks for anything else.
        UnpicklingError: If it is an archive that `torch.save` did not write.
    """
    # given the path, torch would let its suffix decide
    with path.open("rb") as file, torch.serialization.safe_globals(_NUMBERS):
        if file.read(len(_ARCHIVE)) == _ARCHIVE:
            check_archive(file)
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)


class _Dtype(Dtype):
    """The type of a number, as torch's reader makes and fills it."""

    def __init__(self, code: Any, *_: Any) -> None:
        known: Any = GLOBALS["numpy.dtype"]
        super().__init__(known(code).code)

    def __setstate__(self, state: Any) -> None:
        self.build(state)


def _number(dtype: Any, data: Any) -> int | float:
    if not isinstance(dtype, Dtype) or not dtype.order or type(data) is not bytes or len(data) != int(dtype.code[1:]):
        raise UnpicklingError("it holds a number of NumPy that is none")
    number: int | float = np.frombuffer(data, dtype.order + dtype.code)[0].item()
    return number


def _bytes(string: Any, codec: Any) -> bytes:
    if text(codec) not in ("latin1", "latin-1"):
        raise UnpicklingError("it asks for an encoding other than latin-1")
    return text(string).encode("latin-1")


_NUMBERS: list[Any] = [
    (_Dtype, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
    (_bytes, "_codecs.encode"),
]
