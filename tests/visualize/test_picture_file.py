"""Pictures are written whole or not at all, in the format that their name says."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from nlreid.errors import DataError, InputError
from nlreid.visualize import save_picture
from nlreid.visualize.picture_file import check_picture_path


def figure(width=2.0, height=1.0):
    shown = Figure((width, height))
    shown.text(0.5, 0.5, "a")
    return shown


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.PNG", "PNG"), ("a.jpg", "JPEG"), ("a.jpeg", "JPEG")])
@pytest.mark.parametrize("dpi", [50, 150])
def test_the_ending_says_the_format_and_dpi_the_size(tmp_path, name, kind, dpi):
    save_picture(figure(), tmp_path / name, dpi=dpi)
    with Image.open(tmp_path / name) as read:
        assert (read.format, read.size) == (kind, (2 * dpi, dpi))
        assert read.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("name", "start"), [("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_pictures_that_can_be_enlarged(tmp_path, name, start):
    save_picture(figure(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, name):
    written = []
    for _ in range(2):
        save_picture(figure(), tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_an_older_picture_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def interrupted(_descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_picture(figure(), path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]
    save_picture(figure(), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("write", [check_picture_path, lambda path: save_picture(figure(), path)], ids=["check", "save"])
def test_places_where_no_picture_can_be(tmp_path, write):
    answer = r"a\.gif: the ending of a picture's name says its format; wanted one of \.png, \.jpg, \.jpeg, \.pdf, \.svg"
    with pytest.raises(InputError, match=answer):
        write(tmp_path / "a.gif")
    with pytest.raises(InputError, match=r"wanted one of \.png"):
        write(tmp_path / "png")
    with pytest.raises(InputError, match="the path of a file or folder; got 7"):
        write(7)
    with pytest.raises(DataError, match="there is no folder"):
        write(tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_for_pixels_can_be_a_pdf(tmp_path):
    long = figure(0.1, 600)
    with pytest.raises(InputError, match=r"at most 65000 pixels a side, this one would have 11 x 66000; draw less of it"):
        save_picture(long, tmp_path / "a.png")
    save_picture(long, tmp_path / "a.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_what_is_no_figure_and_no_dpi(tmp_path):
    with pytest.raises(InputError, match=r"is a matplotlib\.figure\.Figure, as draw_… answer; got Image"):
        save_picture(Image.new("RGB", (1, 1)), tmp_path / "a.png")
    for dpi in (0, -5, float("nan"), "150"):
        with pytest.raises(InputError, match="dpi is a number above 0; got"):
            save_picture(figure(), tmp_path / "a.png", dpi=dpi)
