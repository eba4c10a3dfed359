from __future__ import annotations

import re
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.sparse import csc_matrix

from nlreid.data.datasets.mat_file import numbered_rows, read_mat, variable, whole_numbers
from nlreid.errors import DataError, MissingExtraError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "info"  # no suffix: the name is taken as it is
    savemat(path, {"a": np.arange(3), "b": np.eye(2)}, appendmat=False, do_compression=True)
    return path


def test_arrays_by_name(path):
    content = read_mat(path)
    assert sorted(content) == ["a", "b"]
    assert content["a"].tolist() == [[0, 1, 2]]
    assert sorted(read_mat(path, ["b", "c"])) == ["b"]


def test_the_first_name_that_the_file_has(path):
    assert variable(path, ["c", "b", "a"]).shape == (2, 2)
    with pytest.raises(DataError, match="info: has no variable 'c' or 'd'; its variables: a, b"):
        variable(path, ["c", "d"])


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.float64])
def test_whole_numbers_of_any_type(path, kind):
    savemat(path, {"a": np.array([1, 2, 200], kind)}, appendmat=False)
    numbers = whole_numbers(path, ["a"])
    assert (numbers.dtype, numbers.tolist()) == (np.int64, [[1, 2, 200]])


@pytest.mark.parametrize("content", [[1.5], [np.nan], [np.inf], [2.0**60], "text", np.zeros((1, 2), object), [1j], []])
def test_other_numbers_are_refused(path, content):
    savemat(path, {"a": content}, appendmat=False)
    with pytest.raises(DataError, match="info: 'a' holds whole numbers; this one is"):
        whole_numbers(path, ["a"])


def test_a_sparse_matrix_is_refused(path):
    savemat(path, {"a": csc_matrix([[4, 7.0]])}, appendmat=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of SciPy announce another class of sparse matrices
        with pytest.raises(DataError, match=r"info: 'a' is a cs.*; wanted a full array: save full\(a\)"):
            whole_numbers(path, ["a"])


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1, 6)])
def test_a_row_or_a_column_is_a_list_of_numbers(path, shape):
    savemat(path, {"a": np.arange(6.0).reshape(shape)}, appendmat=False)
    assert numbered_rows(path, ["a"]) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 2, 3)])
def test_a_table_is_no_list_of_numbers(path, shape):
    savemat(path, {"a": np.arange(6).reshape(shape)}, appendmat=False)
    with pytest.raises(
        DataError, match=f"info: 'a' is one row or column of numbers; this one has shape {re.escape(str(shape))}"
    ):
        numbered_rows(path, ["a"])


def test_missing_or_no_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.mat: cannot be read .No such file"):
        read_mat(tmp_path / "nothing.mat")
    with pytest.raises(DataError, match=r"cannot be read .Is a directory"):
        read_mat(tmp_path)


@pytest.mark.parametrize("content", [b"", b"MATLAB", b"a,b\n1,2\n" * 100, bytes(200)])
def test_no_matlab_file(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match="info: not a whole MATLAB file"):
        read_mat(path)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_cut_off_file_is_an_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.mat"
    savemat(path, {"a": np.arange(50)}, do_compression=True)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match=r"cut\.mat: "):
        variable(path, ["a"])


def test_without_scipy(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nlreid\[datasets\]'"):
        read_mat(path)
