"""What is saved appears whole, all files of it, or not at all; what else is in the folder is left alone."""

import os
import stat
from pathlib import Path

import pytest

import nlreid
from nlreid.errors import WeightsError
from nlreid.hub.writing.writer import whole_folder
from nlreid.publish import save_pretrained
from nlreid.publish.save import FILES

CARD = {"licence": "MIT"}


def small():
    return nlreid.create_model("test_c2d", num_classes=5)


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_other_files_of_a_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "README.md").write_text("old")
    save_pretrained(small(), tmp_path, card=CARD)
    assert written(tmp_path).keys() == {"notes.txt", *FILES}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "licence" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize(
    "step",
    ["nlreid.publish.save.write_tensors", "pathlib.Path.write_text", "nlreid.hub.writing.writer.os.fsync"],
)
def test_nothing_half_written_stays(tmp_path, monkeypatch, step, error, exists):
    folder = tmp_path / "model"
    if exists:
        save_pretrained(small(), folder, card=CARD)
    before = written(folder) if exists else None

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(step, fails)
    wanted = WeightsError if isinstance(error, OSError) else type(error)
    with pytest.raises(wanted, match="No space left on device" if wanted is WeightsError else None):
        save_pretrained(small(), folder, card=CARD)
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if exists else [])
    assert not exists or written(folder) == before


def test_interrupted_between_two_files_the_set_is_finished(tmp_path, monkeypatch):
    old, new = small(), small()
    folder = save_pretrained(old, tmp_path / "model", card=CARD)
    complete = written(save_pretrained(new, tmp_path / "other" / "model", card=CARD))
    real, calls = Path.replace, []

    def replace_once(self, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        save_pretrained(new, folder, card=CARD)
    assert written(folder) == complete


def test_a_place_that_cannot_be_written_is_said_to_be_one(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WeightsError, match=r"file: cannot be written \(.*\); free space there, or name another folder"):
        save_pretrained(small(), tmp_path / "file", card=CARD)
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "model" / "config.json").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"cannot be written \(config.json is a folder there\)"):
        save_pretrained(small(), tmp_path / "model", card=CARD)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]


def test_folders_on_the_way_are_made_and_others_may_read(tmp_path):
    umask = os.umask(0o022)
    try:
        folder = save_pretrained(small(), tmp_path / "a" / "b", card=CARD)
    finally:
        os.umask(umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_relative_folder_is_one_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save_pretrained(small(), "model", card=CARD) == Path("model")
    with whole_folder(Path("model")) as temporary:
        (temporary / "more.txt").write_text("x")
    assert written(tmp_path / "model").keys() == {"more.txt", *FILES}
