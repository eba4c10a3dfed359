"""Pictures are written whole or not at all."""

import pytest
from PIL import Image

from nlreid.errors import DataError, InputError
from nlreid.visualize import save_picture
from nlreid.visualize.picture_file import check_picture_path

PICTURE = Image.linear_gradient("L").convert("RGB")


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.PNG", "PNG"), ("a.jpg", "JPEG"), ("a.jpeg", "JPEG")])
def test_the_ending_says_the_format(tmp_path, name, kind):
    save_picture(PICTURE, tmp_path / name)
    with Image.open(tmp_path / name) as read:
        assert (read.format, read.mode, read.size) == (kind, "RGB", (256, 256))
        assert kind != "PNG" or read.tobytes() == PICTURE.tobytes()


def test_an_older_picture_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def interrupted(_descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_picture(PICTURE, path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]
    save_picture(PICTURE, path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("write", [check_picture_path, lambda path: save_picture(PICTURE, path)], ids=["check", "save"])
def test_places_where_no_picture_can_be(tmp_path, write):
    with pytest.raises(InputError, match=r"a\.gif: the ending of a picture's name says its format; wanted one of \.png, \.jpg"):
        write(tmp_path / "a.gif")
    with pytest.raises(InputError, match=r"wanted one of \.png"):
        write(tmp_path / "png")
    with pytest.raises(InputError, match="the path of a file or folder; got 7"):
        write(7)
    with pytest.raises(DataError, match="there is no folder"):
        write(tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_for_a_jpeg_can_be_a_png(tmp_path):
    long = Image.new("RGB", (1, 65_501))
    with pytest.raises(InputError, match=r"at most 65500 pixels a side, the picture \(1, 65501\); name it \.png"):
        save_picture(long, tmp_path / "a.jpg")
    save_picture(long, tmp_path / "a.png")
    save_picture(long.crop((0, 0, 1, 65_500)), tmp_path / "a.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png"]
