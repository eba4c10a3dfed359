"""`read_caffe2` gives the arrays that Python 2 wrote, exactly, or a WeightsError."""

import pickle
import pickletools
from collections import OrderedDict
from io import BytesIO

import numpy as np
import pytest
import torch
from golden.python2 import blobs_in_text, write_blobs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nlreid.errors import WeightsError
from nlreid.hub.reading.caffe2 import read_caffe2
from nlreid.hub.reading.files import read_tensors

NUMBERS = np.arange(24, dtype=np.float32).reshape(2, 3, 1, 4)
BLOBS = {"conv1_w": NUMBERS, "bn_s": np.ones(2, np.float32), "big": np.full(2000, 0.5, np.float32), "model_iter": 70_000}
TYPES = ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "|i1", "<i2", "<i4", "<i8", ">i8", "|u1"]


def in_binary(blobs):
    file = BytesIO()
    write_blobs(file, blobs)
    return file.getvalue()


WRITERS = {"protocol 2": in_binary, "protocol 0": blobs_in_text}
for protocol in range(5):  # for those who saved such a file again

    def again(blobs, protocol=protocol):
        return pickle.dumps({"blobs": OrderedDict(blobs)}, protocol)

    WRITERS[f"protocol {protocol} of Python 3"] = again


def assert_same(tensors, blobs):
    assert tensors.keys() == blobs.keys()
    for name, blob in blobs.items():
        expected = torch.from_numpy(np.asarray(blob).astype(np.asarray(blob).dtype.newbyteorder("=")))
        assert (tensors[name].dtype, tensors[name].shape) == (expected.dtype, expected.shape)
        assert torch.equal(tensors[name], expected)


# --- files that are weights


@pytest.mark.parametrize("writer", WRITERS)
def test_blobs_come_as_tensors(read, writer):
    assert_same(read(WRITERS[writer](BLOBS)), BLOBS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy, for the old name of its own module
def test_the_writer_of_these_tests_writes_what_python_reads():
    for content in (in_binary(BLOBS), blobs_in_text(BLOBS)):
        back = pickle.loads(content, encoding="latin1")
        assert back.keys() == {"blobs"}
        for name, blob in BLOBS.items():
            assert np.array_equal(back["blobs"][name], blob)
    used = {code.name for code, _, _ in pickletools.genops(in_binary(BLOBS))}
    assert {"BINSTRING", "SHORT_BINSTRING", "GLOBAL", "REDUCE", "BUILD", "BINPUT"} <= used
    assert not {"BINUNICODE", "BINBYTES", "STACK_GLOBAL", "FRAME", "MEMOIZE"} & used


def test_arrays_stand_bare_as_well(read):
    bare = {"a": NUMBERS, "b": NUMBERS[0]}
    assert_same(read(pickle.dumps(bare, 2)), bare)


@pytest.mark.parametrize("writer", WRITERS)
@settings(deadline=None)
@given(data=st.data())
def test_every_type_shape_and_order_comes_back(tmp_path_factory, writer, data):
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=6, max_side=3))
    array = data.draw(arrays.arrays(data.draw(st.sampled_from(TYPES)), shape, elements=st.integers(0, 100)))
    path = tmp_path_factory.getbasetemp() / "types"
    path.write_bytes(WRITERS[writer]({"a": array}))
    assert_same(read_caffe2(path), {"a": array})


@pytest.mark.parametrize("order", ["<f4", ">f4"])
@pytest.mark.parametrize("protocol", range(5))
def test_columns_first_becomes_rows_first(read, order, protocol):
    array = np.asfortranarray(NUMBERS[:, :, 0].astype(order))
    assert not array.flags.c_contiguous
    (tensor,) = read(pickle.dumps({"a": array}, protocol)).values()
    assert torch.equal(tensor, torch.from_numpy(NUMBERS[:, :, 0].copy()))
    assert tensor.is_contiguous()


def test_tensors_own_their_memory_and_can_be_written(read):
    shared = pickle.dumps({"a": NUMBERS, "b": NUMBERS.copy()}, 2)
    for content in (in_binary({"a": NUMBERS, "b": NUMBERS}), shared):
        first, second = read(content).values()
        first.zero_()
        assert torch.equal(second, torch.from_numpy(NUMBERS))
        assert first.is_contiguous()


@pytest.mark.parametrize("protocol", range(5))
def test_one_array_may_stand_under_several_names(read, protocol):
    large = np.arange(4000, dtype=np.float32)
    content = pickle.dumps({"a": large, "b": large, "c": large}, protocol)
    assert len(content) < 2 * large.nbytes or protocol == 0
    tensors = read(content)
    assert_same(tensors, {"a": large, "b": large, "c": large})
    tensors["a"].zero_()
    assert torch.equal(tensors["b"], torch.from_numpy(large))


def test_numbers_without_an_array_come_without_dimensions(read):
    blobs = {"model_iter": 400_000, "lr": np.float32(0.25), "rate": 0.1}
    tensors = read(pickle.dumps({"blobs": blobs}, 2))
    assert [tensor.dtype for tensor in tensors.values()] == [torch.int64, torch.float32, torch.float32]
    assert {name: tensor.item() for name, tensor in tensors.items()} == pytest.approx(blobs)
    assert {tensor.shape for tensor in tensors.values()} == {()}


def test_beside_the_blobs_may_stand_other_plain_values(read):
    content = pickle.dumps({"cfg": "NUM_GPUS: 8\n", "epoch": [1, 2.5, None, True], "blobs": {"a": NUMBERS}}, 2)
    assert_same(read(content), {"a": NUMBERS})


# --- files that are damaged


@pytest.mark.parametrize("writer", ["protocol 2", "protocol 0"])
def test_files_cut_short_anywhere_are_refused(tmp_path, writer):
    whole = WRITERS[writer](BLOBS)
    path = tmp_path / "weights"
    for length in {*range(0, 400), *range(400, len(whole), 97), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_caffe2(path)


@pytest.mark.parametrize("writer", WRITERS)
@settings(deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@example(place=0, value=0)
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path_factory, writer, place, value):
    path = tmp_path_factory.getbasetemp() / "damaged"
    content = bytearray(WRITERS[writer]({"a": NUMBERS, "b": NUMBERS[0]}))
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        tensors = read_caffe2(path)
    except WeightsError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


@given(noise=st.binary(max_size=60))
def test_noise_is_refused(tmp_path_factory, noise):
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(noise)
    with pytest.raises(WeightsError):
        read_caffe2(path)


def test_they_are_found_among_other_formats(tmp_path):
    for writer in WRITERS.values():
        (tmp_path / "weights.pyth").write_bytes(writer(BLOBS))
        assert_same(read_tensors(tmp_path / "weights.pyth"), BLOBS)
