"""A `TensorFile` gives what the format's own library gives, a tensor at a time, and refuses files that it cannot be sure of."""

import json

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.reading.tensor_file import DTYPES, TensorFile, on_meta


def raw(header, data=b""):
    """A safetensors file written by hand: any header, any bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), max_size=4)),
        min_size=1,
        max_size=5,
    ),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=1),
)
def test_it_agrees_with_the_library(tmp_path_factory, described, metadata):
    path = tmp_path_factory.getbasetemp() / "tensors"
    generator = torch.Generator().manual_seed(len(described))
    tensors = {
        name: (torch.rand(shape, generator=generator) * 9).to(DTYPES[dtype]) for name, (dtype, shape) in described.items()
    }
    safetensors.torch.save_file(tensors, path, metadata or None)
    read, expected = TensorFile(path), safetensors.torch.load_file(path)
    assert set(read) == set(expected) == set(read.on_meta())
    assert len(read) == len(expected)
    assert read.metadata == metadata
    for name, tensor in expected.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read[name].float(), tensor.float())
        assert (read.on_meta()[name].dtype, read.on_meta()[name].shape) == (tensor.dtype, tensor.shape)


def test_tensors_are_the_readers_own(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(3)}, tmp_path / "file")
    read = TensorFile(tmp_path / "file")
    read["a"].zero_()
    assert torch.equal(read["a"], torch.ones(3))


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "file"
    safetensors.torch.save_file({"a": torch.ones(3), "b": torch.ones(2)}, path)
    read = TensorFile(path)
    assert read["a"].sum() == 3
    safetensors.torch.save_file({"b": torch.zeros(2), "a": torch.zeros(3), "c": torch.zeros(1)}, tmp_path / "other")
    (tmp_path / "other").replace(path)
    with pytest.raises(WeightsError, match="changed while it was read"):
        read["a"]


def test_unknown_names_are_key_errors(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(3)}, tmp_path / "file")
    with pytest.raises(KeyError):
        TensorFile(tmp_path / "file")["b"]


def test_prefixes_come_off_without_reading(tmp_path):
    safetensors.torch.save_file({"module.a": torch.ones(3), "module.b": torch.zeros(1)}, tmp_path / "file")
    read = read_tensors(tmp_path / "file")
    assert isinstance(read, TensorFile)
    assert set(read) == {"a", "b"}
    assert torch.equal(read["a"], torch.ones(3))


def test_shapes_without_values():
    assert all(tensor.is_meta for tensor in on_meta({"a": torch.ones(2)}).values())


def test_shapes_are_made_once(tmp_path, monkeypatch):
    safetensors.torch.save_file({"module.a": torch.ones(3), "module.b": torch.zeros(1)}, tmp_path / "file")
    read, made, real = read_tensors(tmp_path / "file"), [], torch.empty

    def empty(*shape, **options):
        made.append(shape)
        return real(*shape, **options)

    monkeypatch.setattr(torch, "empty", empty)
    for _ in range(3):
        assert on_meta(read)["a"].shape == (3,)
        assert on_meta(read.without_prefix("")).keys() == {"a", "b"}
    assert len(made) == 2 * (1 + 3)


def test_metadata_that_is_null_is_none(tmp_path):
    (tmp_path / "file").write_bytes(raw({"__metadata__": None, "a": entry([1], 0, 4)}, b"1234"))
    read = read_tensors(tmp_path / "file")
    assert (set(read), read.metadata, read_config(read)) == ({"a"}, {}, None)


def test_a_file_of_more_tensors_than_any_network_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(raw({f"t{number}": entry([0], 0, 0) for number in range(2**16 + 1)}))
    with pytest.raises(WeightsError, match="it has 65537 tensors; a file of weights has at most 65536"):
        read_tensors(tmp_path / "file")


def test_names_in_messages_are_short_and_printable(tmp_path):
    for name, answer in (("evil\n\x1b[31m", r"evil\\n\\x1b\[31m is of type U16"), ("x" * 9999, "x… is of type U16")):
        (tmp_path / "file").write_bytes(raw({name: entry([2], 0, 4, "U16")}, b"1234"))
        with pytest.raises(WeightsError, match=answer) as caught:
            read_tensors(tmp_path / "file")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (raw({"a": entry([2**63, 0], 0, 0)}), "shape that no tensor can have"),
        (raw({"a": entry([0, 2**62, 4], 0, 0)}), "shape that no tensor can have"),
        (raw({"a": entry([2**62, 4, 0], 0, 0)}), "damaged"),
        (raw({"a": entry([1] * 40, 0, 4)}, b"1234"), "shape that no tensor can have"),
        (raw(b'{"a":%s,"a":%s}' % (ONE, ONE), b"1234"), "twice"),
        (raw(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234"), "damaged"),
        (raw({}), "holds no state dict"),
        (raw({"__metadata__": {"a": "b"}}), "holds no state dict"),
        (raw(b"{not json", b"1234"), "damaged"),
        (raw(b"{" + b"[" * 5000, b"1234"), "damaged"),
        (raw({"a": entry([2], 0, 4)}, b"1234"), "damaged"),
        (raw({"a": entry([1], 0, 4)}, b"12"), "damaged"),
        (raw({"a": entry([1], 0, 4)}, b"12345678"), "damaged"),
        (raw({"a": entry([1], 4, 8)}, b"12345678"), "damaged"),
        (raw({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"1234"), "damaged"),
        (raw({"a": entry([-1], 0, 4)}, b"1234"), "damaged"),
        (raw({"a": entry([2**40, 2**40], 0, 4)}, b"1234"), "damaged"),
        (raw({"a": entry([1], 0, 4, "F33")}, b"1234"), "damaged"),
        (raw({"a": entry([2], 0, 4, "U16")}, b"1234"), "type U16; known are"),
        (raw({"a": {"shape": [1]}}, b"1234"), "damaged"),
        (raw({"a": 3}, b"1234"), "damaged"),
        ((2**62).to_bytes(8, "little") + b"{}", "damaged"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, content, answer):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(WeightsError, match=answer) as caught:
        read_tensors(tmp_path / "file")
    assert str(caught.value).startswith(f"{tmp_path / 'file'}: ")
    assert "\n" not in str(caught.value)
