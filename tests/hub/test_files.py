"""`read_tensors` gives tensors or a WeightsError, whatever the file is, and never runs what is in it."""

import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from nlreid.errors import WeightsError
from nlreid.hub.reading.files import read_tensors

DTYPES = [  # the legacy form of torch.save has no place for those of one byte that float
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.float8_e4m3fn,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int64,
    torch.bool,
]


def tensors(form="zip"):
    dtypes = [dtype for dtype in DTYPES if dtype.itemsize > 1 or not dtype.is_floating_point or form != "legacy"]
    named = {str(dtype).split(".")[1]: torch.arange(6).reshape(2, 3).to(dtype) for dtype in dtypes}
    return {**named, "scalar": torch.tensor(3), "empty": torch.zeros(0, 4)}


def write(path, form, content):
    if form == "safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")


FORMS = ["safetensors", "zip", "legacy"]


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read[name].double(), tensor.double())


# --- files that are weights


@pytest.mark.parametrize("name", ["weights", "weights.pt", "weights.safetensors", "weights.zip"])
@pytest.mark.parametrize("form", FORMS)
def test_the_content_decides_the_format(tmp_path, form, name):
    write(tmp_path / name, form, tensors(form))
    assert_same(read_tensors(tmp_path / name), tensors(form))
    assert_same(read_tensors(str(tmp_path / name)), tensors(form))


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda content: {"epoch": 3, "state_dict": content, "optimizer": {"state": {}, "lr": [0.1]}},
        lambda content: {"model_state": OrderedDict(content), "cfg": "text"},
        lambda content: {"model": content},
        lambda content: {"state_dict": {"model": content}},
    ],
)
def test_wrapped_state_dicts_are_found(tmp_path, form, wrap):
    write(tmp_path / "weights", form, wrap(tensors(form)))
    assert_same(read_tensors(tmp_path / "weights"), tensors(form))


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_wrappers_that_hold_the_same_are_one(tmp_path, form):
    content = tensors(form)
    copy = {name: tensor.clone() for name, tensor in content.items()}
    write(tmp_path / "weights", form, {"model": copy, "state_dict": content, "model_state": {}})
    assert_same(read_tensors(tmp_path / "weights"), content)


def test_what_has_no_tensors_is_no_other_state_dict(tmp_path):
    content = {"weight": torch.eye(2)}
    beside = {"state_dict_ema": {"weight": torch.zeros(2, 2)}, "model": {"encoder": {"depth": 50}}}
    torch.save({"model_state": content, "state_dict": {}, **beside}, tmp_path / "weights")
    assert_same(read_tensors(tmp_path / "weights"), content)


@pytest.mark.parametrize(
    "other",
    [
        {"weight": torch.zeros(2, 2)},
        {"weight": torch.eye(2).double()},
        {"bias": torch.eye(2)},
        {"weight": torch.eye(2), "bias": torch.eye(2)},
        {"weight": torch.eye(2), "epoch": 3},
        {"state_dict": {"weight": torch.eye(2)}},
        {"weight": torch.ones(1).expand(2 * 10**9)},
    ],
    ids=["values", "type", "names", "more", "number", "nested", "huge"],
)
def test_wrappers_that_differ_are_refused(tmp_path, other):
    torch.save({"state_dict": {"weight": torch.eye(2)}, "model": other}, tmp_path / "weights")
    with pytest.raises(WeightsError, match="several sets of tensors that differ, under state_dict and model; which one"):
        read_tensors(tmp_path / "weights")


def test_a_wrapper_that_holds_itself_is_no_state_dict(tmp_path):
    content = {}
    content["model"] = content
    torch.save(content, tmp_path / "weights")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_tensors(tmp_path / "weights")


def test_parameters_come_as_plain_tensors(tmp_path):
    torch.save(nn.BatchNorm1d(3).state_dict(keep_vars=True), tmp_path / "weights")
    assert not any(tensor.requires_grad for tensor in read_tensors(tmp_path / "weights").values())


# --- files that want to run something


class Evil:
    """A pickle that makes a file when it is loaded without protection."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def evil_files(folder, marker):
    for form in ("zip", "legacy"):
        write(folder / form, form, {"weight": torch.eye(2), "extra": Evil(marker)})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (folder / f"raw{protocol}").write_bytes(pickle.dumps({"weight": Evil(marker)}, protocol))


# torch warns that protocols other than its own are unusual before it refuses them
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("name", ["zip", "legacy", *(f"raw{protocol}" for protocol in range(pickle.HIGHEST_PROTOCOL + 1))])
def test_foreign_code_never_runs(tmp_path, name):
    marker = tmp_path / "marker"
    evil_files(tmp_path, marker)
    with pytest.raises(WeightsError, match=str(tmp_path / name)) as caught:
        read_tensors(tmp_path / name)
    assert not marker.exists()
    assert "weights_only" not in str(caught.value)  # torch's advice to switch the protection off
    pickle.loads((tmp_path / "raw2").read_bytes())
    assert marker.exists()  # it would have


def test_the_refused_function_is_named(tmp_path):
    evil_files(tmp_path, tmp_path / "marker")
    with pytest.raises(WeightsError, match=r"it asks for \w+\.mkdir, and nothing but tensors is ever read"):
        read_tensors(tmp_path / "zip")


# --- files that are larger than they look


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(2 * 10**9), torch.zeros(10**4).as_strided((5000, 5000), (1, 1))],
    ids=["repeated", "overlapping"],
)
def test_tensors_larger_than_their_memory_are_refused(tmp_path, form, tensor):
    write(tmp_path / "weights", form, {"module.evil\n\x1b[31m": tensor})
    assert (tmp_path / "weights").stat().st_size < 10**5
    answer = rf"weights: module\.evil\\n\\x1b\[31m is a tensor of {tensor.nbytes} bytes, and the file has \d+ for it, repeated"
    with pytest.raises(WeightsError, match=answer):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_tensors_may_share_memory_but_not_without_end(tmp_path, form):
    weight = torch.arange(10**5)
    write(tmp_path / "weights", form, dict.fromkeys("abc", weight))
    assert_same(read_tensors(tmp_path / "weights"), dict.fromkeys("abc", weight))
    write(tmp_path / "weights", form, dict.fromkeys("abcdef", weight))
    with pytest.raises(WeightsError, match="its tensors together are more than 4 times larger than the file"):
        read_tensors(tmp_path / "weights")


def again(source, target, change=lambda content: content, compression=zipfile.ZIP_STORED):
    """Write an archive once more, with its pickle changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename.endswith("data.pkl") else content)


def test_archives_written_again_are_read_and_compressed_ones_are_not(tmp_path):
    torch.save({"weight": torch.zeros(10**6)}, tmp_path / "whole")
    again(tmp_path / "whole", tmp_path / "stored")
    assert read_tensors(tmp_path / "stored")["weight"].shape == (10**6,)
    again(tmp_path / "whole", tmp_path / "bomb", compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb").stat().st_size < 10**4
    with pytest.raises(WeightsError, match=r"bomb: a compressed archive, and those of torch.save never are"):
        read_tensors(tmp_path / "bomb")


def test_records_that_share_their_bytes_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "weights")
    content = (tmp_path / "weights").read_bytes()
    with zipfile.ZipFile(tmp_path / "weights") as archive:
        begin, count = archive.start_dir, len(archive.infolist())
    entries = re.findall(rb"PK\x01\x02.*?(?=PK)", content[begin:], re.DOTALL)
    (large,) = (entry for entry in entries if b"/data/0" in entry)
    entries += [large.replace(b"/data/0", b"/data/%d" % number) for number in range(1, 10)]
    directory = b"".join(entries)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count + 9, count + 9, len(directory), begin, 0)
    (tmp_path / "weights").write_bytes(content[:begin] + directory + end)
    with zipfile.ZipFile(tmp_path / "weights") as archive:
        assert sum(entry.file_size for entry in archive.infolist()) > 40_000
    with pytest.raises(WeightsError, match="a compressed archive"):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize(("count", "size"), [(4, 4000), (4000, 4000), (3, 3)])
def test_storages_are_as_large_as_their_records(tmp_path, count, size):
    def changed(content):
        numbers = (struct.pack("<cI", b"J", number) for number in (count, size))
        for old, end in ((b"K\x04tq\x07Q", b"tq\x07Q"), (b"K\x04\x85", b"\x85")):
            assert content.count(old) == 1
            content = content.replace(old, next(numbers) + end)
        return content

    torch.save({"weight": torch.arange(4.0)}, tmp_path / "whole")
    again(tmp_path / "whole", tmp_path / "weights", changed)
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize(
    "asked",
    [
        b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\x040J\0\0\1\0tQ",  # a number, thrown away
        b"X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\x04\x87Q",  # a tuple of another instruction
        b"(X\7\0\0\0storagectorch\nNoStorage\nX\1\0\0\x000X\3\0\0\0cpuK\x04tQ",
        b"(X\7\0\0\0storagectorch\nFloatStorage\n]X\3\0\0\0cpuK\x04tQ",
        b"h\x07Q",
    ],
)
def test_storages_in_another_form_are_refused(tmp_path, asked):
    with zipfile.ZipFile(tmp_path / "weights", "w") as archive:
        archive.writestr("weights/data.pkl", b"\x80\x02}X\1\0\0\0a" + asked + b"s.")
        archive.writestr("weights/data/0", bytes(16))
    with pytest.raises(WeightsError, match="it asks for a storage in a form that is not known"):
        read_tensors(tmp_path / "weights")


# --- files that are no weights


def test_programs_of_torchscript_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "program.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("data.pkl", "code/__torch__.py", "constants.pkl", "version"):
            archive.writestr(f"program/{name}", b"\x80\x02}.")
    answer = "program.pt: a TorchScript program, not a file of weights: load it with torch.jit.load, and save its"
    with pytest.raises(WeightsError, match=answer):
        read_tensors(tmp_path / "program.pt")


def test_other_archives_are_named(tmp_path):
    np.savez(tmp_path / "arrays.npz", a=np.eye(2))
    with pytest.raises(WeightsError, match=r"an archive of zip, and not one of torch.save"):
        read_tensors(tmp_path / "arrays.npz")
    torch.save({"weight": torch.eye(2)}, tmp_path / "whole")
    again(tmp_path / "whole", tmp_path / "twice")
    with zipfile.ZipFile(tmp_path / "twice", "a") as archive:
        archive.writestr("whole/DATA/0", bytes(16))
    with pytest.raises(WeightsError, match="several records of one name"):
        read_tensors(tmp_path / "twice")


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "empty"),
        (b"x", "neither a safetensors file nor one of torch.save"),
        (bytes(1000), "neither a safetensors file nor one of torch.save"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"\x1f\x8b\x08 and then nothing", "an archive of gzip: unpack it first"),
        (b"PK\x03\x04 and then nothing", "or a damaged one|nothing but"),
        (b"\x80\x02.", "or a damaged one|nothing but"),
        ((20).to_bytes(8, "little") + b'{"a": ', "or a damaged one|nothing but"),
        ((2).to_bytes(8, "little") + b"{}", "holds no state dict"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, content, answer):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=answer) as caught:
        read_tensors(tmp_path / "weights.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'weights.pth'}: ")
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        read_tensors(tmp_path / "no")
    with pytest.raises(WeightsError, match="a folder; wanted is a file of weights"):
        read_tensors(tmp_path)


def test_what_is_no_file_is_named_for_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "file").touch()
    for path, answer in {
        tmp_path / "pipe": "a pipe; wanted is",
        "/dev/null": "a device; wanted is",
        tmp_path / "loop": "cannot be read (Too many levels of symbolic links); wanted is",
        tmp_path / "link": "a link to a file that is not there; wanted is",
        tmp_path / "file" / "file": "cannot be read (Not a directory); wanted is",
        tmp_path / ("x" * 5000): "cannot be read (File name too long); wanted is",
        tmp_path / "a\0b": "cannot be read (",
        tmp_path / "two\nlines\x1b[31m": "no such file; wanted is",
    }.items():
        with pytest.raises(WeightsError, match=re.escape(answer)) as caught:
            read_tensors(path)
        assert str(caught.value).isprintable()


def test_files_that_may_not_be_read_are_said_to_be_such(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "weights").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match=r"weights: cannot be read \(Permission denied\); wanted is"):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_what_a_damaged_file_asks_for_is_printable(tmp_path, form):
    evil_files(tmp_path, tmp_path / "marker")
    content = (tmp_path / form).read_bytes().replace(b"posix\nmkdir", b"po\x1b[x\nmkdir")
    (tmp_path / form).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_tensors(tmp_path / form)
    assert str(caught.value).isprintable()


@pytest.mark.filterwarnings("ignore:Validating sparse tensor:UserWarning")
@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        torch.eye(2),
        {"weight": torch.eye(2), "epoch": 3},
        {"weight": {"deeper": torch.eye(2)}},
        {0: torch.eye(2)},
        {"weight": torch.eye(2).to_sparse()},
        {"weight": torch.empty(2, device="meta")},
        {"state_dict": {}},
    ],
    ids=["nothing", "list", "tensor", "number", "nested", "numbered", "sparse", "meta", "empty"],
)
def test_only_dense_tensors_by_name_are_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "weights")
    with pytest.raises(WeightsError, match="holds no state dict; wanted are dense tensors by name"):
        read_tensors(tmp_path / "weights")


def test_arrays_of_numpy_are_refused(tmp_path):
    torch.save({"weight": np.eye(2)}, tmp_path / "weights")
    with pytest.raises(WeightsError, match="nothing but tensors"):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(2), np.int64(-7), np.uint8(3), np.float16(1)])
def test_single_numbers_of_numpy_may_stand_beside_a_state_dict(tmp_path, form, number):
    write(tmp_path / "weights", form, {"state_dict": {"weight": torch.eye(2)}, "rank1": number})
    assert torch.equal(read_tensors(tmp_path / "weights")["weight"], torch.eye(2))


@pytest.mark.parametrize("number", [np.datetime64("2020-01-01"), np.bytes_(b"ab"), np.str_("ab"), np.complex64(1)])
def test_other_things_of_numpy_may_not(tmp_path, number):
    torch.save({"state_dict": {"weight": torch.eye(2)}, "rank1": number}, tmp_path / "weights")
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(tmp_path / "weights")


@pytest.mark.parametrize("form", FORMS)
def test_files_cut_short_anywhere_are_refused(tmp_path, form):
    path = tmp_path / "weights"
    write(path, form, {"weight": torch.eye(3), "bias": torch.zeros(3)})
    whole = path.read_bytes()
    for length in {*range(0, 80), *range(80, len(whole), 41), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_tensors(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch remarks on some of what it then refuses
@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@example(place=0, value=0)
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path_factory, form, place, value):
    path = tmp_path_factory.getbasetemp() / f"damaged_{form}"
    write(path, form, {"weight": torch.eye(3), "bias": torch.zeros(3)})
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        read = read_tensors(path)
    except WeightsError as error:
        message = str(error)
    else:
        message = f"{path}: " + ", ".join(type(tensor).__name__ for tensor in read.values())
    assert message.startswith(f"{path}: ")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrapped_networks_are_taken_off(tmp_path, prefix):
    torch.save({f"{prefix}{name}": torch.ones(1) for name in ("conv1.weight", "module.bias")}, tmp_path / "weights.pth")
    assert read_tensors(tmp_path / "weights.pth").keys() == {"conv1.weight", "module.bias"}


def test_prefixes_of_some_names_only_stay(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "weights.pth")
    assert read_tensors(tmp_path / "weights.pth").keys() == {"module.a", "b"}
