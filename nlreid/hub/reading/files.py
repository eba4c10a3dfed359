"""Reading weights from files without running anything in them: safetensors, torch's format with tensors only, Caffe2 arrays."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlreid.errors import WeightsError, shorten
from nlreid.hub.reading.caffe2 import SHARING, read_caffe2
from nlreid.hub.reading.tensor_file import TensorFile
from nlreid.hub.reading.torch_file import is_torch_file, read_torch
from nlreid.hub.table.config import METADATA_KEY, Config

WRAPPERS = ("state_dict", "model_state", "model")
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
_PICKLES = (b"\x80", b"(d", b"}q")  # of protocol 2 and later, 0, 1; of a dictionary
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MARK = b"\xef\xbb\xbf"  # of UTF-8, which some web pages begin with
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
        WeightsError: If the file is missing, damaged, of another format, or holds anything but dense tensors; or several state
            dicts that differ.
    """
    path = Path(path)
    size = _size(path)
    try:
        content = _read(path)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can make its reader raise anything; it goes on as ours, with its cause
        raise WeightsError(f"{path}: not a file of weights, or a damaged one ({_reason(error)})") from error
    return _unwrap(content, path, size)


def read_config(tensors: Mapping[str, Tensor]) -> Config | None:
    """What a file that the library wrote says about itself; `None` for any other file.

    Raises:
        WeightsError: If what it says is damaged, or of a newer format.
    """
    if not isinstance(tensors, TensorFile) or METADATA_KEY not in tensors.metadata:
        return None
    return Config.from_json(tensors.metadata[METADATA_KEY], tensors.path)


def _size(path: Path) -> int:
    try:
        status = path.stat()
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return status.st_size
    except FileNotFoundError:
        kind = "a link to a file that is not there" if path.is_symlink() else "no such file"
    except (OSError, ValueError) as error:  # a path that is too long, or with a character that no path has
        kind = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise WeightsError(f"{path}: {kind}; wanted is a file of weights")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); wanted is a file of weights") from error


def _read(path: Path) -> Any:
    start = _start(path)
    if start[8:9] == b"{":  # eight bytes of header length, then the header, a JSON object
        return TensorFile(path)
    if is_torch_file(start):
        return read_torch(path)
    if start.startswith(_PICKLES):
        return read_caffe2(path)
    if not start:
        raise WeightsError(f"{path}: empty; wanted is a file of weights")
    known = (what for mark, what in _MISTAKES.items() if start.removeprefix(_MARK).lstrip().startswith(mark))
    raise WeightsError(f"{path}: {next(known, 'neither a safetensors file nor one of torch.save or Caffe2')}")


def _unwrap(content: Any, path: Path, size: int) -> Mapping[str, Tensor]:
    if isinstance(content, TensorFile) and len(content):
        return _without_prefix(content)
    for _ in WRAPPERS:  # one can stand in another
        content = _inner(content, path)
    if not isinstance(content, Mapping) or not content or not all(_is_entry(*item) for item in content.items()):
        raise WeightsError(
            f"{path}: holds no state dict; wanted are dense tensors by name, bare or under one of {', '.join(WRAPPERS)}"
        )
    _check_sizes(content, path, size)
    return _without_prefix({name: tensor.detach() for name, tensor in content.items()})


def _inner(content: Any, path: Path) -> Any:
    """What stands in a wrapper; of several with tensors, all must hold the same."""
    if not isinstance(content, Mapping):
        return content
    wrapped = {key: content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)}
    full = {key: inner for key, inner in wrapped.items() if _has_tensors(inner)}
    first, *others = (full or wrapped).values() or [content]
    if not all(_are_same(first, other) for other in others if full):
        raise WeightsError(
            f"{path}: holds several sets of tensors that differ, under {' and '.join(full)}; which one is wanted is not said: "
            "save that one alone"
        )
    return first


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(
        isinstance(value, Tensor) or (isinstance(value, Mapping) and isinstance(key, str) and key in WRAPPERS)
        for key, value in content.items()
    )


def _are_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    if first.keys() != second.keys() or not all(_is_entry(*item) for each in (first, second) for item in each.items()):
        return False
    pairs = [(tensor, second[name]) for name, tensor in first.items()]
    return all(one.dtype == other.dtype and _lies_whole(one, other) and torch.equal(one, other) for one, other in pairs)


def _lies_whole(*tensors: Tensor) -> bool:
    """Whether memory holds each number of a tensor: one that is repeated in it costs nothing to name, and all to copy."""
    return all(tensor.nbytes <= tensor.untyped_storage().nbytes() for tensor in tensors)


def _check_sizes(tensors: Mapping[str, Tensor], path: Path, size: int) -> None:
    for name, tensor in tensors.items():
        if not _lies_whole(tensor):
            raise WeightsError(
                f"{path}: {shorten(name)} is a tensor of {tensor.nbytes} bytes, and the file has "
                f"{tensor.untyped_storage().nbytes()} for it, repeated; save it with .contiguous()"
            )
    if sum(tensor.nbytes for tensor in tensors.values()) > SHARING * size:
        raise WeightsError(f"{path}: its tensors together are more than {SHARING} times larger than the file, which they share")


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
        return f"it asks for {shorten(foreign[1])}, and nothing but tensors is ever read"
    if "WeightsUnpickler" in str(error) or "weights_only" in str(error):  # with advice to read it without protection
        return "it holds something other than tensors"
    return shorten(str(error).strip().split("\n")[0], 200) or type(error).__name__
