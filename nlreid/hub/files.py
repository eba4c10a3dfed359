"""Reading weights from files without running anything in them: safetensors, or torch's format with tensors only."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nlreid.errors import WeightsError

WRAPPERS = ("state_dict", "model_state", "model")


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; the content decides the format, not the file's name.

    Args:
        path: A safetensors file, or one of `torch.save` with a state dict, bare or under one of `WRAPPERS`.

    Raises:
        WeightsError: If the file is missing, damaged, of another format, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        return safetensors.torch.load_file(path) if _is_safetensors(path) else _unwrap(_load_torch(path), path)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: not a file of weights, or a damaged one ({_first_line(error)})") from error


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    # eight bytes of header length, then the header, a JSON object
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _load_torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()) or not content:
        raise WeightsError(
            f"{path}: holds no state dict; wanted are tensors by name, bare or under one of {', '.join(WRAPPERS)}"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
