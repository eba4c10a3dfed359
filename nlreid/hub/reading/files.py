"""Reading weights from files without running anything in them: safetensors, torch's format with tensors only, Caffe2 arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlreid.errors import WeightsError
from nlreid.hub.reading.caffe2 import read_caffe2
from nlreid.hub.reading.tensor_file import TensorFile
from nlreid.hub.reading.torch_file import is_torch_file, read_torch
from nlreid.hub.table.config import METADATA_KEY, Config

WRAPPERS = ("state_dict", "model_state", "model")
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
_PICKLES = (b"\x80", b"(d", b"}q")  # of protocol 2 and later, 0, 1; of a dictionary
# What a download that went wrong begins with, and what it is.
_MISTAKES = {
    b"version https://git-lfs": "a Git LFS pointer, not the file that it points to: fetch that with 'git lfs pull'",
    b"\x1f\x8b": "an archive of gzip: unpack it first",
    b"<": "a web page, not a file of weights: download the file itself",
}


def read_tensors(path: str | Path) -> Mapping[str, Tensor]:
    """The tensors of a file, by name; the content decides the format, not the file's name.

    Args:
        path: A safetensors file; one of `torch.save` with a state dict, bare or under one of `WRAPPERS`; or a Caffe2 pickle of
            blobs. A prefix of `PREFIXES` that stands before every name is taken off.

    Returns:
        The tensors on the CPU, each of the type that it has in the file; those of a safetensors file are a `TensorFile`, which
        reads each when it is asked for.

    Raises:
        WeightsError: If the file is missing, damaged, of another format, or holds anything but dense tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; wanted is a file of weights")
    try:
        content = _read(path)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can make its reader raise anything; it goes on as ours, with its cause
        raise WeightsError(f"{path}: not a file of weights, or a damaged one ({_reason(error)})") from error
    return _unwrap(content, path)


def read_config(tensors: Mapping[str, Tensor]) -> Config | None:
    """What a file that the library wrote says about itself; `None` for any other file.

    Raises:
        WeightsError: If what it says is damaged, or of a newer format.
    """
    if not isinstance(tensors, TensorFile) or METADATA_KEY not in tensors.metadata:
        return None
    return Config.from_json(tensors.metadata[METADATA_KEY], tensors.path)


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(64)
    if start[8:9] == b"{":  # eight bytes of header length, then the header, a JSON object
        return TensorFile(path)
    if is_torch_file(start):
        return read_torch(path)
    if start.startswith(_PICKLES):
        return read_caffe2(path)
    if not start:
        raise WeightsError(f"{path}: empty; wanted is a file of weights")
    known = (what for mark, what in _MISTAKES.items() if start.lstrip().startswith(mark))
    raise WeightsError(f"{path}: {next(known, 'neither a safetensors file nor one of torch.save or Caffe2')}")


def _unwrap(content: Any, path: Path) -> Mapping[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, TensorFile) and len(content):
        return _without_prefix(content)
    if not isinstance(content, Mapping) or not content or not all(_is_entry(*item) for item in content.items()):
        raise WeightsError(
            f"{path}: holds no state dict; wanted are dense tensors by name, bare or under one of {', '.join(WRAPPERS)}"
        )
    return _without_prefix({name: tensor.detach() for name, tensor in content.items()})


def _without_prefix(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    for prefix in PREFIXES * 2:  # a network can be wrapped in both, either way round
        if all(name.startswith(prefix) for name in tensors):
            if isinstance(tensors, TensorFile):
                tensors = tensors.without_prefix(prefix)
            else:
                tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _is_entry(name: object, tensor: object) -> bool:
    if not isinstance(name, str) or not isinstance(tensor, Tensor):
        return False
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def _reason(error: Exception) -> str:
    foreign = re.search(r"GLOBAL (\S+)", str(error))
    if foreign:
        return f"it asks for {foreign[1]}, and nothing but tensors is ever read"
    if "WeightsUnpickler" in str(error):  # followed by paragraphs of advice to read it without protection
        return "it holds something other than tensors"
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
