"""What asks for anything but arrays of numbers is refused before it is looked up, and no size that a file claims is trusted."""

import copyreg
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from nlreid.errors import WeightsError
from nlreid.hub.reading.caffe2 import read_caffe2

NUMBERS = np.arange(24, dtype=np.float32).reshape(2, 3, 1, 4)


# --- files that want to run something


class Evil:
    """A pickle that makes a folder when it is loaded without protection."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(5))
def test_the_refused_function_is_named_and_does_not_run(tmp_path, refused, protocol):
    marker = tmp_path / "marker"
    content = pickle.dumps({"blobs": {"a": Evil(marker)}}, protocol)
    assert "it asks for posix.mkdir, and nothing but arrays is ever read" in refused(content)
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists()  # it would have


@pytest.mark.parametrize(
    "name",
    [
        "os system",
        "builtins eval",
        "__builtin__ getattr",
        "numpy load",
        "numpy.core.multiarray fromfile",
        "numpy dtype.__new__",
        "numpy ndarray.tofile",
        "_codecs decode",
        "collections OrderedDict.fromkeys",
        "copyreg _reconstructor",
        "torch._utils _rebuild_tensor_v2",
        "numpy.core.multiarray _reconstruct.__globals__",
    ],
)
def test_nothing_beside_the_words_of_arrays_is_understood(refused, name):
    content = b"c" + name.replace(" ", "\n").encode() + b"\n."
    assert f"it asks for {name.replace(' ', '.')}, and nothing but arrays" in refused(content)


def test_names_in_messages_are_short_and_printable(refused):
    assert r"it asks for o\x1bs.\x85, and" in refused(b"co\x1bs\n\x85\n.")
    assert r"its blob 'a\x1b' is no array" in refused(b"\x80\x02}U\x02a\x1bU\x01xs.")
    assert r"array of type 'f\n4'" in refused(blob(FLOAT.replace(b"U\x02f4", b"U\x03f\n4")))
    assert len(refused(b"c" + b"a" * 9999 + b"\nb\n.")) < 400


def test_registered_extensions_are_not_taken(tmp_path, refused):
    # Python's machine takes what the registry has cached without asking find_class
    copyreg.add_extension("os", "mkdir", 240)
    try:
        content = b"\x80\x02}U\x01a\x82\xf0U" + bytes([len(str(tmp_path / "m"))]) + str(tmp_path / "m").encode() + b"\x85Rs."
        pickle.loads(content)
        (tmp_path / "m").rmdir()  # it has run, and is in the registry's cache
        assert "0x82, that no array needs" in refused(content)
        assert not (tmp_path / "m").exists()
    finally:
        copyreg.remove_extension("os", "mkdir", 240)


WORD = b"cnumpy\nndarray\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
FLOAT = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
EMPTY = RECONSTRUCT + WORD + b"K\x00\x85U\x01b\x87R"


def state(shape=b"K\x01\x85", dtype=FLOAT, fortran=b"\x89", data=b"U\x04abcd"):
    return b"(K\x01" + shape + dtype + fortran + data + b"tb"


def blob(array):
    return b"\x80\x02}U\x01a" + array + b"s."


OBJECTS = b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
RECORDS = FLOAT.replace(b"U\x01<NNN", b"U\x01<N(U\x01xt}")
NESTED = FLOAT.replace(b"U\x01<NNN", b"U\x01<" + b"cnumpy\ndtype\nK\x03\x86" + b"NN")


def test_the_pieces_of_these_tests_are_an_array(read):
    assert read(blob(EMPTY + state()))["a"].shape == (1,)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (blob(EMPTY + state(dtype=OBJECTS, data=b"]U\x01xa")), "array of type 'O8'"),
        (blob(OBJECTS), "array of type 'O8'"),
        (pickle.dumps({"a": np.array([None, {}], dtype=object)}, 2), "array of type 'O8'"),
        (pickle.dumps({"a": np.zeros(2, "f4,i4")}, 2), "array of type 'V8'"),
        (pickle.dumps({"a": np.array(["x"])}, 2), "array of type 'U1'"),
        (pickle.dumps({"a": np.zeros(2, "c8")}, 2), "array of type 'c8'"),
        (pickle.dumps({"a": np.zeros(2, "M8[s]")}, 2), "array of type 'M8'"),
        (blob(FLOAT + b"Nb"), "type of numbers in a form that is not known"),
        (blob(EMPTY + state(dtype=RECORDS)), "not a plain one"),
        (blob(EMPTY + state(dtype=NESTED)), "not a plain one"),
        (blob(EMPTY + state(dtype=FLOAT.replace(b"U\x01<", b"U\x01="))), "byte order"),
        (blob(EMPTY + state(data=b"]K\x01a")), "something other than numbers"),
        (blob(EMPTY + state(dtype=b"N")), "something other than numbers"),
        (blob(EMPTY + state(dtype=FLOAT[: FLOAT.index(b"R") + 1])), "something other than numbers"),
        (blob(EMPTY), "without numbers"),
        (blob(EMPTY + state() + state()), "form that is not known"),
        (blob(EMPTY + b"Nb"), "form that is not known"),
        (blob(EMPTY + state(shape=b"]K\x01a")), "whose shape is none"),
        (blob(EMPTY + state(shape=b"J\xff\xff\xff\xff\x85")), "whose shape is none"),
        (blob(EMPTY + state(shape=b"\x88\x85")), "whose shape is none"),
        (blob(EMPTY + state(shape=b"(" + b"K\x01" * 33 + b"t")), "whose shape is none"),
        (blob(RECONSTRUCT + b"U\x01xK\x00\x85U\x01b\x87R" + state()), "not NumPy's own"),
        (blob(WORD + b"}U\x05__x__K\x01sb"), "sets the state of something that is no array"),
        (blob(RECONSTRUCT + b"N}U\x0c__defaults__N\x85s\x86b"), "sets the state of something that is no array"),
        (blob(b"ccollections\nOrderedDict\n)R}U\x05itemsNsb"), "sets the state of something that is no array"),
        (blob(WORD + b")R"), "calls something that is no function"),
        (blob(b"U\x01x)R"), "calls something that is no function"),
        (blob(FLOAT[: FLOAT.index(b"U\x02")] + b"U\x02f4R"), "calls something that is no function"),
        (blob(b"c_codecs\nencode\nX\x01\x00\x00\x00xU\x04zlib\x86R"), "encoding other than latin-1"),
        (blob(b"c_codecs\nencode\nX\x01\x00\x00\x00xU\x06rot_13\x86R"), "encoding other than latin-1"),
        (blob(WORD + b")\x81"), "0x81, that no array needs"),  # NEWOBJ
        (blob(b"(" + WORD + b"o"), "0x6f, that no array needs"),  # OBJ
        (b"(ios\nsystem\n.", "0x69, that no array needs"),  # INST
        (b"P1\n.", "0x50, that no array needs"),  # PERSID
        (b"\x80\x02K\x01Q.", "0x51, that no array needs"),  # BINPERSID
        (pickle.dumps({"a": NUMBERS}, 5), "protocol 5; Caffe2's files are of protocol 0 to 2"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(refused, content, answer):
    assert answer in refused(content)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "ends in the middle"),
        (b"\x80\x02}.", "holds no arrays by name"),
        (pickle.dumps({"blobs": {}}, 2), "holds no arrays by name"),
        (pickle.dumps([NUMBERS], 2), "holds no arrays by name"),
        (pickle.dumps({"blobs": {"a": "text"}}, 2), "its blob 'a' is no array"),
        (pickle.dumps({"blobs": {"a": None}}, 2), "its blob 'a' is no array"),
        (pickle.dumps({"blobs": {"a": True}}, 2), "its blob 'a' is no array"),
        (pickle.dumps({"blobs": {"a": [NUMBERS]}}, 2), "its blob 'a' is no array"),
        (pickle.dumps({"blobs": {"a": NUMBERS}, 3: 4}, 2), "other than a name"),
        (b"\x80\x02}U\x01aK\x01sU\x01aK\x02s.", "names an entry twice"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01sU\x01aK\x02s.", "names an entry twice"),
        (b"\x80\x02ccollections\nOrderedDict\n]((U\x01aK\x01t(U\x01aK\x02te\x85R.", "names an entry twice"),
        (b".", "IndexError"),
        (b"(.", "out of order"),
        (b"\x80\x02h\x05.", "KeyError"),
        (b"\x80\x02}q\x01h\x01h\x01s.", "other than a name"),
        (b"I1e5\n.", "ValueError"),
        (b"L" + b"9" * 100_000 + b"L\n.", "number that is too long"),
        (b"S'abc\n.", "string without quotes"),
        (b"Sabc\n.", "string without quotes"),
    ],
)
def test_damaged_files_are_refused(refused, content, answer):
    assert answer in refused(content)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "no", tmp_path):
        with pytest.raises(WeightsError, match=str(path)):
            read_caffe2(path)


# --- sizes that a file claims


def huge(side):
    return b"\x8a" + bytes([9]) + side.to_bytes(9, "little") + b"\x85"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(blob(EMPTY + state(shape=huge(2**40))), id="a shape"),
        pytest.param(blob(EMPTY + state(shape=huge(2**64))), id="a shape beyond 64 bits"),
        pytest.param(blob(EMPTY + state(shape=huge(2**62), data=b"U\x00")), id="a shape whose bytes are 0 in 64 bits"),
        pytest.param(blob(EMPTY + state(data=b"T" + struct.pack("<i", 2**31 - 1))), id="a string"),
        pytest.param(blob(EMPTY + state(data=b"T" + struct.pack("<i", -1))), id="a string of less than nothing"),
        pytest.param(b"\x80\x02X" + struct.pack("<I", 2**32 - 1), id="a text"),
        pytest.param(b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b".", id="a memo slot"),
        pytest.param(b"\x80\x02(" + b"((((t" * 1000 + b".", id="nesting"),
        pytest.param(
            b"\x80\x02}"
            + b"U\x04data"
            + b"T"
            + struct.pack("<i", 40_000)
            + bytes(40_000)
            + b"q\x01s("
            + b"".join(b"U\x04%04d" % number + EMPTY + state(shape=b"M\x10\x27\x85", data=b"h\x01") for number in range(1000))
            + b"u.",
            id="many arrays of one string",
        ),
    ],
)
def test_no_size_is_believed(refused, content):
    tracemalloc.start()
    try:
        refused(content)
        assert tracemalloc.get_traced_memory()[1] < 4e6 + 4 * len(content)
    finally:
        tracemalloc.stop()


def test_values_that_hold_themselves_many_times_over_cost_nothing(refused):
    deep = b"\x80\x02K\x00q\x00" + b"h\x00h\x00\x86q\x00" * 100  # 2^100 numbers, if one should count them
    assert "other than a name" in refused(deep + b"}h\x00K\x01s.")
    assert "no arrays by name" in refused(deep + b".")
