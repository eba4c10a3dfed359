"""MATLAB files, as the data sets of this field describe themselves: arrays by name, read through SciPy and h5py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlreid.data.disk import reading
from nlreid.errors import DataError, MissingExtraError, import_extra, shorten

_LARGEST = 2**53  # every whole number up to it is a double
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_PLACES = (0, 512)  # MATLAB puts a header of 512 bytes before it


def read_mat(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of a MATLAB file, by name: of version 4, 6 or 7 through SciPy, of 7.3, which is HDF5, through h5py.

    Only compressed files (MATLAB's default) carry checksums: changed bytes in another may go unseen, or crash SciPy.

    Args:
        path: The file.
        names: Read only these, as far as the file has them; None reads all. Of a file of version 7.3, arrays of numbers.

    Raises:
        DataError: If the file is missing, damaged, or no MATLAB file.
        MissingExtraError: If SciPy (for 7.3: h5py) is not installed.
    """
    read = _read_hdf5 if _is_hdf5(path) else _read_older
    try:
        return read(path, names)
    except MissingExtraError:
        raise
    except Exception as error:  # a damaged file raises whatever its bytes lead to, in SciPy, h5py, NumPy or zlib
        raise DataError(
            f"{path}: not a whole MATLAB file ({type(error).__name__}: {error}); unpack or download it again"
        ) from error


def _read_older(path: Path, names: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    scipy_io = import_extra("scipy.io", "datasets")
    content: dict[str, NDArray[Any]] = scipy_io.loadmat(path, appendmat=False, variable_names=names)
    if "" in content:  # zeros are an array without a name to SciPy 1.14
        raise ValueError("it has an array without a name")
    return {name: array for name, array in content.items() if not name.startswith("__")}


def _read_hdf5(path: Path, names: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    h5py = import_extra("h5py", "datasets")
    with h5py.File(path, "r") as file:
        plain = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf"}
        # MATLAB stores columns one after the other, so HDF5 sees the transpose
        return {name: item[()].T for name, item in plain.items() if names is None or name in names}


def variable(path: Path, names: Sequence[str]) -> NDArray[Any]:
    """One array of a MATLAB file.

    Args:
        path: The file.
        names: What the array may be called; the first of them that the file has is taken.

    Raises:
        DataError: If the file cannot be read (see `read_mat`) or has none of the names, or if the variable is sparse.
        MissingExtraError: If SciPy or h5py is not installed.
    """
    content = read_mat(path, names)
    for name in names:
        if name in content:
            return _full(path, name, content[name])
    found = ", ".join(sorted(read_mat(path))) or "none"
    raise DataError(f"{path}: has no variable {' or '.join(map(repr, names))}; its variables: {shorten(found)}")


def whole_numbers(path: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """One array of a MATLAB file, which stores whole numbers as floating-point ones unless told otherwise.

    Args:
        path: The file.
        names: What the array may be called, see `variable`.

    Raises:
        DataError: See `variable`; also if the array is empty or not of whole numbers.
        MissingExtraError: If SciPy or h5py is not installed.
    """
    array = variable(path, names)
    if not _is_whole(array):
        raise DataError(f"{path}: {names[0]!r} holds whole numbers; this one is {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def numbered_rows(path: Path, names: Sequence[str]) -> list[int]:
    """One row or column of whole numbers, as a list.

    Args:
        path: The file.
        names: What the array may be called, see `variable`.

    Raises:
        DataError: See `whole_numbers`; also if the array has several rows and columns.
        MissingExtraError: If SciPy or h5py is not installed.
    """
    array = whole_numbers(path, names)
    if array.size != max(array.shape, default=1):
        raise DataError(f"{path}: {names[0]!r} is one row or column of numbers; this one has shape {array.shape}")
    return [int(number) for number in array.ravel()]


def _full(path: Path, name: str, array: object) -> NDArray[Any]:
    if not isinstance(array, np.ndarray):  # of a sparse matrix SciPy makes an object of its own
        raise DataError(f"{path}: {name!r} is a {type(array).__name__}; wanted a full array: save full({name}) in MATLAB")
    return array


def _is_whole(array: NDArray[Any]) -> bool:
    if array.dtype.kind not in "iuf" or not array.size:
        return False
    small = bool(array.min() >= -_LARGEST and array.max() <= _LARGEST)  # neither is true of NaN
    return small and bool((array == np.rint(array)).all())


def _is_hdf5(path: Path) -> bool:
    with reading(path), path.open("rb") as file:
        start = file.read(max(_HDF5_PLACES) + len(_HDF5))
    return any(start.startswith(_HDF5, place) for place in _HDF5_PLACES)
