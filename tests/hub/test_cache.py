"""The cache lies where the user wants it, and files in it are whole or not there."""

import os
from pathlib import Path

import pytest
from checkpoint import check, entry_at
from filelock import FileLock, Timeout

from nlreid.errors import DownloadError
from nlreid.hub.fetching.cache import cache, locked, written_whole
from nlreid.hub.fetching.fetch import fetch
from nlreid.hub.fetching.folders import named_folder


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/own", "/shared", "/own"),
        ("~/own", "/shared", "/home/me/own"),
        ("", "/shared", "/shared/nlreid"),
        (None, "~/shared", "/home/me/shared/nlreid"),
        (None, "", "/home/me/.cache/nlreid"),
        (None, None, "/home/me/.cache/nlreid"),
    ],
)
def test_where_it_lies(monkeypatch, own, shared, expected):
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("NLREID_CACHE", own), ("XDG_CACHE_HOME", shared)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert cache().folder == Path(expected)


def test_a_cache_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NLREID_CACHE", str(tmp_path / "file" / "folder"))
    with pytest.raises(DownloadError, match=r"^NLREID_CACHE is '.*', which is no folder \(Not a directory\)"), locked("walker"):
        pytest.fail("it cannot be locked")


TOO_LONG = "x" * 5000
NO_FOLDERS = [("~nosuchuser/x", "home directory"), (TOO_LONG, "File name too long"), (f"/{'x/' * 2500}", "File name too long")]


@pytest.mark.parametrize(("named", "why"), NO_FOLDERS)
@pytest.mark.parametrize("variable", ["NLREID_CACHE", "XDG_CACHE_HOME", "NLREID_WEIGHTS"])
def test_names_that_no_folder_can_have(monkeypatch, variable, named, why):
    for name in ("NLREID_CACHE", "XDG_CACHE_HOME", "NLREID_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, named)
    with pytest.raises(DownloadError) as caught:
        fetch(entry_at("https://s/walker.pth"), check)
    line = str(caught.value)
    assert line.startswith(f"{variable} is '{named[:20]}"[: len(variable) + 10])
    assert why in line
    assert line.endswith(f"let {variable.replace('XDG_CACHE_HOME', 'NLREID_CACHE')} name another")
    assert len(line) < 300
    assert "\n" not in line


def test_without_a_home(monkeypatch):
    for name in ("NLREID_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", str)  # nobody knows where it is
    with pytest.raises(DownloadError, match=r"^HOME is '~/.cache', which is no folder .* let NLREID_CACHE name another"):
        cache()


def test_a_name_with_a_zero_byte():
    with pytest.raises(DownloadError, match=r"^THE_FOLDER is 'a\\x00b', which is no folder \(embedded null byte\)"):
        named_folder("THE_FOLDER", "a\0b")


def test_the_lock_is_for_one(monkeypatch, tmp_path):
    monkeypatch.setenv("NLREID_CACHE", str(tmp_path))
    other = FileLock(tmp_path / "walker.lock")
    with locked("walker"), locked("runner"), pytest.raises(Timeout):
        other.acquire(blocking=False)
    with other:
        assert other.is_locked


def test_the_lock_is_let_go(monkeypatch, tmp_path):
    monkeypatch.setenv("NLREID_CACHE", str(tmp_path / "deep" / "folder"))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), locked("walker"):
            raise KeyboardInterrupt
    with locked("walker") as place:
        assert place == cache()
        assert place.folder.is_dir()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half(temporary):
        temporary.write_text("ne")
        raise error

    with pytest.raises(error), written_whole(path) as temporary:
        write_half(temporary)
    assert [other.name for other in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_what_goes_well(tmp_path, monkeypatch):
    path, synced = tmp_path / "file", []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: synced.append(path.exists()))
    with written_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert synced == [False]  # on the disk before it has its name
    assert [other.name for other in tmp_path.iterdir()] == ["file"]
