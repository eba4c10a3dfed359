"""Reading Caffe2 checkpoints: pickles of Python 2 with arrays by blob name, read by a machine that cannot run anything."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch
from torch import Tensor

from nlreid.errors import WeightsError, shorten
from nlreid.hub.reading.array_pickle import PickledArray
from nlreid.hub.reading.pickle_machine import load

WRAPPER = "blobs"
SHARING = 4  # how many times larger than their file tensors may be that share what stands in it


def read_caffe2(path: str | Path) -> dict[str, Tensor]:
    """The blobs of a Caffe2 checkpoint, by name, as PySlowFast publishes them.

    What the file asks for beyond arrays and plain values is refused before it is looked up; nothing of it is ever called.

    Args:
        path: A pickle of protocol 0, 1 or 2 with arrays by name, bare or under `"blobs"`. Numbers that stand there without an
            array, such as the count of iterations, come as tensors without dimensions.

    Returns:
        Tensors on the CPU with memory of their own, each of the type that it has in the file.

    Raises:
        WeightsError: If the file is missing, damaged, or holds anything but arrays of numbers.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _tensors(_blobs(load(file)), file)
    except Exception as error:  # a damaged pickle can make its reader raise anything; it goes on as ours, with its cause
        reason = str(error) if isinstance(error, UnpicklingError | OSError) else type(error).__name__
        raise WeightsError(f"{path}: not a Caffe2 pickle of arrays, or a damaged one ({reason})") from error


def _blobs(content: Any) -> dict[str, Any]:
    if type(content) is dict and type(content.get(WRAPPER)) is dict:
        content = content[WRAPPER]
    if type(content) is not dict or not content:
        raise UnpicklingError(f"it holds no arrays by name, bare or under {WRAPPER!r}")
    return content


def _tensors(blobs: dict[str, Any], file: BinaryIO) -> dict[str, Tensor]:
    tensors = {}
    room = SHARING * file.seek(0, 2)
    if sum(len(blob.data) for blob in blobs.values() if isinstance(blob, PickledArray)) > room:
        raise UnpicklingError(f"its arrays together are more than {SHARING} times larger than the file")
    for name, blob in blobs.items():
        if isinstance(blob, PickledArray):
            tensors[name] = torch.from_numpy(blob.read(file))
        elif type(blob) in (int, float):
            tensors[name] = torch.tensor(blob)
        else:
            raise UnpicklingError(f"its blob '{shorten(name)}' is no array")
    return tensors
