"""What cannot be read is an error of ours that names the path, whichever reader comes upon it."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import pytest

from nlreid.data.datasets.folder import read_folder
from nlreid.data.datasets.ilids_vid import read_ilids_vid
from nlreid.data.datasets.ls_vid import read_ls_vid
from nlreid.data.datasets.mars import read_mars
from nlreid.data.datasets.mot import read_tracks, read_video_tracklets
from nlreid.data.datasets.people import read_people
from nlreid.data.datasets.prid2011 import read_prid2011
from nlreid.data.disk import as_path, contents, exists, file_names, is_file, is_folder, read_text, resolved
from nlreid.data.images import read_image
from nlreid.data.video import read_frames
from nlreid.errors import DataError, InputError

READERS = {
    "mars": read_mars,
    "ls_vid": read_ls_vid,
    "ilids_vid": partial(read_ilids_vid, split=0),
    "prid2011": partial(read_prid2011, split=0),
    "people": read_people,
    "folder": read_folder,
    "frames": read_frames,
    "tracks": read_tracks,
    "video": lambda root: read_video_tracklets(root, Path(__file__)),
}


def loop(folder):
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ["loop", "too long", "in a loop", "nothing"])
def test_a_root_that_cannot_be_there(tmp_path, reader, odd):
    root = {"loop": loop(tmp_path), "too long": tmp_path / ("a" * 300), "in a loop": tmp_path / "loop" / "x"}.get(odd)
    root = tmp_path / "missing" if root is None else root
    with pytest.raises(DataError) as caught:
        list(READERS[reader](root))
    assert str(root) in str(caught.value) or reader == "video"  # which reads its track file first


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("root", [None, 5, b"people", ["people"], "a\0b"])
def test_a_root_that_is_no_path(reader, root):
    with pytest.raises(InputError, match=re.escape(f"is the path of a file or folder; got {root!r}")):
        READERS[reader](root)


@pytest.mark.parametrize("reader", READERS)
def test_a_root_that_may_not_be_entered(tmp_path, monkeypatch, reader):
    root = tmp_path / "closed" / "root"
    stat, scandir, opened = Path.stat, os.scandir, Path.open

    def guarded(genuine):
        def call(path, *args, **kwargs):
            if str(path).startswith(str(root)):
                raise PermissionError(13, "Permission denied", str(path))
            return genuine(path, *args, **kwargs)

        return call

    monkeypatch.setattr(Path, "stat", guarded(stat))
    monkeypatch.setattr(Path, "open", guarded(opened))
    monkeypatch.setattr(os, "scandir", guarded(scandir))
    with pytest.raises(DataError) as caught:
        list(READERS[reader](root))
    assert "Permission denied" in str(caught.value) or reader == "video"


def test_a_folder_that_may_be_listed_and_not_entered(tmp_path, monkeypatch):
    genuine = Path.stat

    def forbidden(self, **options):
        if self.parts[-1] == "..":
            raise PermissionError(13, "Permission denied")
        return genuine(self, **options)

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: not a folder that can be read (Permission denied)")):
        contents(tmp_path)


def test_what_lies_in_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    for name, target in (("to_file", "file"), ("to_folder", "folder"), ("lost", "nowhere"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    found = [sorted(names) for names in contents(tmp_path)]
    assert found == [["file", "to_file"], ["folder", "to_folder"], ["loop", "lost"]]
    assert file_names(tmp_path) == {"file", "to_file"}
    assert file_names(tmp_path / "missing") == set()
    with pytest.raises(DataError, match="file: not a folder"):
        file_names(tmp_path / "file")


def test_a_link_that_cannot_be_followed_is_named(tmp_path):
    (tmp_path / "link.png").symlink_to("a" * 300)
    with pytest.raises(DataError, match=r"link\.png: cannot be read"):
        contents(tmp_path)


def test_what_is_there(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "lost").symlink_to("nowhere")
    paths = [tmp_path, tmp_path / "file", tmp_path / "lost", tmp_path / "missing", tmp_path / "file" / "below"]
    assert [exists(path) for path in paths] == [True, True, False, False, False]
    assert [is_file(path) for path in paths] == [False, True, False, False, False]
    assert [is_folder(path) for path in paths] == [True, False, False, False, False]
    for ask in (exists, is_file, is_folder):
        with pytest.raises(DataError, match="loop: cannot be read"):
            ask(loop(tmp_path / ask.__name__) if (tmp_path / ask.__name__).mkdir() is None else tmp_path)


def test_places_and_texts(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert resolved(tmp_path / "link" / ".." / "new") == tmp_path.resolve() / "new"
    with pytest.raises(DataError, match="loop: cannot be read"):
        resolved(loop(tmp_path))
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "text") == "a"
    (tmp_path / "text").write_bytes(b"\xff")
    with pytest.raises(DataError, match="text: not UTF-8 text"):
        read_text(tmp_path / "text")
    with pytest.raises(DataError, match="there: cannot be read"):
        read_text(tmp_path / "there")
    assert as_path("root", str(tmp_path)) == as_path("root", tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["missing.png", "a" * 300 + ".png", "loop"])
def test_pictures_that_cannot_be_opened_are_named(tmp_path, name):
    loop(tmp_path)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / name))):
        read_image(tmp_path / name)
