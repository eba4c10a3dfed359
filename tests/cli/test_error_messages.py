"""Messages of errors are one line that a terminal can show, also those that come from another process."""

from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from nlreid import Tracklet
from nlreid.errors import DataError, InputError, NLReIDError

KINDS = [NLReIDError, DataError, InputError]


class Unreadable(Dataset):
    """One tracklet whose pictures are not there."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return Tracklet("7", [self.path]).read([index], (8, 4))


def of_a_worker(path):
    with pytest.raises(DataError) as caught:
        list(DataLoader(Unreadable(path), num_workers=1))
    return str(caught.value).split("\n")


def test_an_error_of_a_worker_begins_with_what_it_says(tmp_path):
    path = tmp_path / "1.png"
    with pytest.raises(DataError) as caught:
        Unreadable(path)[0]
    first, *rest = of_a_worker(path)
    assert first == f"{caught.value} (in DataLoader worker process 0)"
    assert first.startswith(f"{path}: ")
    assert "Original Traceback (most recent call last):" in rest
    assert any(line.strip().startswith("File ") and "test_error_messages.py" in line for line in rest)


def test_names_of_files_cannot_command_a_terminal_from_a_worker_either():
    lines = of_a_worker(Path("no\x1b[31m\nnlreid: all is well\u202e.png"))
    assert lines[0].startswith(r"no\x1b[31m\nnlreid: all is well\u202e.png: ")
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_message_is_one_line(kind):
    text = "Caught \x1b[31m in it.\nOriginal Traceback"
    assert str(kind(text)) == r"Caught \x1b[31m in it.\nOriginal Traceback"
    assert str(kind("two\nlines: Caught DataError")) == r"two\nlines: Caught DataError"
    assert str(kind()) == ""
