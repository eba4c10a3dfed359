from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nlreid.data.datasets.folder import read_folder
from nlreid.errors import DataError


def write(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.full((4, 4, 3), len(name), np.uint8)).save(folder / name)


def test_every_folder_with_pictures_is_a_tracklet_in_natural_order(tmp_path):
    write(tmp_path / "cam1" / "person10", "1.jpg")
    write(tmp_path / "cam1" / "person2", "10.jpg", "2.jpg", "1.PNG")
    write(tmp_path / "cam1", "overview.bmp")
    (tmp_path / "cam1" / "person2" / "notes.txt").write_text("no picture")
    (tmp_path / "nothing").mkdir()
    tracklets = list(read_folder(tmp_path))
    assert [tracklet.name for tracklet in tracklets] == ["cam1", "cam1/person2", "cam1/person10"]
    assert [path.name for path in tracklets[1].frames] == ["1.PNG", "2.jpg", "10.jpg"]
    assert tracklets[1].read([0, 1, 2], (4, 4))[:, 0, 0, 0].tolist() == [5, 5, 6]


def test_the_root_itself_may_be_the_tracklet(tmp_path):
    write(tmp_path / "person", "1.png", "2.png")
    [tracklet] = read_folder(tmp_path / "person")
    assert tracklet.name == "person"
    assert len(tracklet) == 2
    write(tmp_path / "person" / "person", "1.png")
    assert [tracklet.name for tracklet in read_folder(tmp_path / "person")] == [".", "person"]


def test_hidden_files_and_folders_are_not_seen(tmp_path):
    write(tmp_path / "a", "1.png", ".2.png")
    write(tmp_path / ".trash", "1.png")
    [tracklet] = read_folder(tmp_path)
    assert [path.name for path in tracklet.frames] == ["1.png"]


def test_linked_folders_count_and_circles_end(tmp_path):
    write(tmp_path / "elsewhere", "1.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root")
    assert [tracklet.name for tracklet in read_folder(tmp_path / "root")] == ["linked"]


def test_a_root_without_pictures_says_what_layout_is_wanted(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"no image file .* one folder of pictures per person"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="missing: not a folder"):
        read_folder(tmp_path / "missing")
