from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nlreid.data.tracklet import Tracklet
from nlreid.data.transforms import resize
from nlreid.errors import DataError, InputError


def pictures(*sizes, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def test_pictures_of_several_sizes_are_read_at_one_size_in_the_order_asked():
    frames = pictures((16, 8), (20, 10), (16, 8))
    read = Tracklet("1", frames).read([2, 0, 2], (16, 8))
    assert read.dtype == torch.uint8
    assert read.shape == (3, 16, 8, 3)
    for picture, index in zip(read, [2, 0, 2], strict=True):
        np.testing.assert_array_equal(picture.numpy(), frames[index])
    small = Tracklet("1", frames).read([1], (10, 5))
    torch.testing.assert_close(small, resize(torch.from_numpy(frames[1])[None], (10, 5)), rtol=0, atol=0)


def test_a_picture_is_decoded_once_however_often_it_is_asked_for(tmp_path, monkeypatch):
    opened = []
    genuine = Image.open
    Image.fromarray(pictures((4, 4))[0]).save(tmp_path / "1.png")
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or genuine(path))
    read = Tracklet("1", [tmp_path / "1.png"]).read([0, 0, 0], (4, 4))
    assert opened == [tmp_path / "1.png"]
    assert torch.equal(read[0], read[2])


def test_pictures_in_files_equal_pictures_in_memory(tmp_path):
    frames = pictures((6, 4), (8, 5))
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    assert torch.equal(Tracklet("a", paths).read([0, 1], (6, 4)), Tracklet("a", frames).read([0, 1], (6, 4)))


def test_views_are_read_as_they_look():
    frame = pictures((8, 8))[0]
    read = Tracklet("1", [frame[:, ::-1]]).read([0], (8, 8))
    np.testing.assert_array_equal(read[0].numpy(), frame[:, ::-1])


def test_grey_and_palette_files_become_rgb(tmp_path):
    for mode in ("L", "P", "RGBA", "1"):
        Image.new(mode, (4, 6)).save(tmp_path / f"{mode}.png")
        assert Tracklet("1", [tmp_path / f"{mode}.png"]).read([0], (6, 4)).shape == (1, 6, 4, 3)


def test_a_tracklet_without_frames_or_with_other_numbers_is_refused():
    with pytest.raises(InputError, match="'7' has no frames"):
        Tracklet("7", [])
    with pytest.raises(InputError, match="has 2 frames but 1 frame numbers"):
        Tracklet("7", pictures((4, 4), (4, 4)), frame_numbers=(1,))
    assert len(Tracklet("7", pictures((4, 4), (4, 4)), frame_numbers=(1, 2))) == 2


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_a_picture_of_another_kind_is_named(bad):
    tracklet = Tracklet("7", [*pictures((4, 4)), bad])
    with pytest.raises(InputError, match="frame 1 of tracklet '7' must be uint8 RGB"):
        tracklet.read([1], (4, 4))


def test_a_missing_or_cut_image_file_is_named(tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(pictures((32, 32))[0]).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:200])
    for name in ("missing.png", "cut.png"):
        with pytest.raises(DataError, match=name):
            Tracklet("1", [tmp_path / name]).read([0], (4, 4))


def test_an_array_of_pictures_and_paths_as_text_will_do(tmp_path):
    stack = np.stack(pictures((8, 4), (8, 4)))
    assert np.array_equal(Tracklet("1", stack).read([1], (8, 4))[0], stack[1])
    Image.fromarray(stack[0]).save(tmp_path / "a.png")
    assert np.array_equal(Tracklet("1", [str(tmp_path / "a.png")]).read([0], (8, 4))[0], stack[0])
    with pytest.raises(InputError, match="must be a NumPy array or a path; got Tensor"):
        Tracklet("1", [torch.zeros(4, 4, 3)]).read([0], (4, 4))


def test_pictures_come_as_they_are_in_the_order_asked(tmp_path):
    frames = pictures((6, 4), (8, 5), (7, 3))
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    for tracklet in (Tracklet("a", frames), Tracklet("a", paths)):
        read = tracklet.pictures([2, 0, 2])
        assert [picture.dtype for picture in read] == [torch.uint8] * 3
        for picture, index in zip(read, [2, 0, 2], strict=True):
            np.testing.assert_array_equal(picture.numpy(), frames[index])
        assert read[0] is read[2]  # read once


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, "tracklet '7' has frames 0..2; frame 3 was asked for"),
        (-1, "each index of a frame of tracklet '7' is a whole number from 0; got -1"),
        (0.5, "a whole number from 0; got 0.5"),
        ((0, 1), r"a whole number from 0; got \(0, 1\)"),
    ],
)
def test_a_frame_that_does_not_exist_is_named(index, message):
    tracklet = Tracklet("7", pictures((4, 4), (4, 4), (4, 4)))
    for read in (tracklet.pictures, lambda indices: tracklet.read(indices, (4, 4))):
        with pytest.raises(InputError, match=message):
            read([0, index])


@pytest.mark.parametrize("number", [7, np.int64(7), np.uint8(7), torch.tensor(7)])
def test_numbers_of_any_library_are_kept_as_pythons(number):
    tracklet = Tracklet("a", pictures((4, 4), (4, 4)), pid=number, camid=number, frame_numbers=[number, 8])
    assert (tracklet.pid, tracklet.camid, tracklet.frame_numbers) == (7, 7, (7, 8))
    assert {type(value) for value in (tracklet.pid, tracklet.camid, *tracklet.frame_numbers)} == {int}


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_numbers_up_to_64_bits_will_do(number):
    tracklet = Tracklet("a", pictures((4, 4)), pid=number, camid=number, frame_numbers=(number,))
    assert torch.tensor([tracklet.pid, tracklet.camid, *tracklet.frame_numbers]).tolist() == [number] * 3


@pytest.mark.parametrize("number", ["3", 1.5, 2.0, float("nan"), True, 2**63, -(2**63) - 1, 10**25, [1], np.uint64(2**63)])
@pytest.mark.parametrize("what", ["pid", "camid", "each of frame_numbers"])
def test_other_numbers_are_refused(what, number):
    facts = {"frame_numbers": (1, number)} if what.startswith("each") else {what: number}
    with pytest.raises(InputError, match=f"^{what} of tracklet 'a' is a whole number of at most 64 bits; got "):
        Tracklet("a", pictures((4, 4), (4, 4)), **facts)


def test_none_is_no_frame_number():
    with pytest.raises(InputError, match=r"each of frame_numbers of tracklet 'a' is .*; got None"):
        Tracklet("a", pictures((4, 4), (4, 4)), frame_numbers=(1, None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": 5}, "the name of a tracklet is text; got 5"),
        ({"name": None}, "the name of a tracklet is text; got None"),
        ({"frames": None}, "the frames of tracklet 'a' are a sequence of NumPy arrays or of paths; got None"),
        ({"frames": 5}, "the frames of tracklet 'a' are a sequence"),
        ({"frames": "abc.png"}, "the frames of tracklet 'a' are a sequence .* got 'abc.png'"),
        ({"frames": {0: "abc.png"}}, "the frames of tracklet 'a' are a sequence"),
        ({"frames": {"abc.png"}}, "the frames of tracklet 'a' are a sequence"),
        ({"frames": iter(["abc.png"])}, "the frames of tracklet 'a' are a sequence"),
        ({"frames": torch.zeros(2, 4, 4, 3, dtype=torch.uint8)}, "the frames of tracklet 'a' are a sequence"),
        ({"frames": np.array(5)}, "the frames of tracklet 'a' have no number"),
        ({"frame_numbers": 5}, "frame_numbers of tracklet 'a' are a tuple of whole numbers, or None; got 5"),
        ({"frame_numbers": "12"}, "each of frame_numbers of tracklet 'a' is .*; got '1'"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Tracklet(**{"name": "a", "frames": pictures((4, 4), (4, 4)), **arguments})
