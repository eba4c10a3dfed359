from __future__ import annotations

import itertools
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nlreid.data.images import image_files, read_image
from nlreid.errors import DataError

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.integers(0, 65535), min_size=1, max_size=20))
@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_grey_of_16_bits_is_the_nearest_of_8(tmp_path_factory, suffix, values):
    path = tmp_path_factory.getbasetemp() / f"grey.{suffix}"
    Image.fromarray(np.array([values], np.uint16)).save(path)
    nearest = [min(range(256), key=lambda eight: abs(eight * 257 - sixteen)) for sixteen in values]
    assert read_image(path).tolist() == [[[grey] * 3 for grey in nearest]]


def test_tiff_of_16_bits_in_the_other_byte_order(tmp_path):
    Image.fromarray(np.array([[0, 256, 65535]], ">u2")).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize(("mode", "kind"), [("F", np.float32), ("I", np.int32)])
def test_pixels_without_a_known_white_are_refused(tmp_path, mode, kind):
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[0, 1]], kind)).save(path)
    with pytest.raises(DataError, match=rf"a\.tif: an image of mode {mode}; wanted 1, L, .*16 bits"):
        read_image(path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pictures_of_8_bits_are_what_pillow_makes_of_them(tmp_path, mode):
    Image.fromarray(COLOURS).convert(mode).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(read_image(tmp_path / "a.png"), np.array(image.convert("RGB")))


def exif(*entries):
    """An EXIF block of one directory; an entry is tag, type, count and its four bytes."""
    directory = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in sorted(entries))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)


def orientation(value):
    return (0x0112, 3, 1, struct.pack("<HH", value, 0))


LOOKS = {  # EXIF 2.32, 4.6.4: which edge of the scene row 0 and column 0 are
    1: COLOURS,
    2: COLOURS[:, ::-1],
    3: COLOURS[::-1, ::-1],
    4: COLOURS[::-1],
    5: COLOURS.transpose(1, 0, 2),
    6: np.rot90(COLOURS, -1),
    7: np.rot90(COLOURS, 2).transpose(1, 0, 2),
    8: np.rot90(COLOURS),
    0: COLOURS,
    9: COLOURS,
}


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("value", LOOKS)
def test_pictures_are_upright(tmp_path, suffix, value):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    tag = Image.Exif()
    tag[0x0112] = value
    Image.fromarray(COLOURS).save(path, exif=tag, **options)
    assert np.array_equal(read_image(path), LOOKS[value])


def test_grey_of_16_bits_is_upright_too(tmp_path):
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3) * 257
    Image.fromarray(grey).save(tmp_path / "a.png", exif=exif(orientation(6)))
    assert np.array_equal(read_image(tmp_path / "a.png")[..., 0], np.rot90(grey // 257, -1))


@pytest.mark.parametrize("tag", [0x010E, 0x011A, 0x8769, 0x8825, 0x927C, 0x9286])
def test_other_tags_may_be_damaged(tmp_path, tag):
    path = tmp_path / "a.png"
    for kind, count, value in itertools.product(range(14), (1, 2**31), (b"\1\0\0\0", b"\xff\xff\xff\xff")):
        Image.fromarray(COLOURS).save(path, exif=exif(orientation(6), (tag, kind, count, value)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of some
            read = read_image(path)
        beyond = value[0] == 255  # where this points beyond the block, Pillow may not read on
        assert np.array_equal(read, LOOKS[6]) or (beyond and np.array_equal(read, COLOURS))


def channels_or_error(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_image(path).shape[2]
        except DataError as error:
            return str(error)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@settings(deadline=None, max_examples=60)
@given(block=st.binary(max_size=60))
def test_any_block_is_a_picture_or_an_error(tmp_path_factory, suffix, block):
    path = tmp_path_factory.getbasetemp() / f"block.{suffix}"
    Image.fromarray(COLOURS).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0" + block)
    found = channels_or_error(path)
    assert found == 3 or str(path) in found


@settings(deadline=None, max_examples=100)
@given(suffix=st.sampled_from(["jpg", "png", "tif", "webp", "bmp", "ppm"]), data=st.data())
def test_changed_bytes_are_a_picture_or_an_error(tmp_path_factory, suffix, data):
    path = tmp_path_factory.getbasetemp() / f"bytes.{suffix}"
    Image.fromarray(COLOURS).save(path)
    content = bytearray(path.read_bytes())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)):
        content[place] = value
    path.write_bytes(content)
    found = channels_or_error(path)
    assert found == 3 or str(path) in found


def test_what_only_looks_like_a_picture_is_not_listed(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "10.png")
    Image.fromarray(COLOURS).save(tmp_path / "9.JPG")
    (tmp_path / "11.png").mkdir()
    (tmp_path / "12.png").symlink_to("nowhere")
    (tmp_path / "13.png").symlink_to("13.png")
    (tmp_path / "14.png").symlink_to("10.png")
    assert [path.name for path in image_files(tmp_path)] == ["9.JPG", "10.png", "14.png"]
