"""Writing a pickle and reading it as Caffe2's."""

import pytest

from nlreid.errors import WeightsError
from nlreid.hub.reading.caffe2 import read_caffe2


@pytest.fixture
def read(tmp_path):
    def write_and_read(content):
        (tmp_path / "weights.pkl").write_bytes(content)
        return read_caffe2(tmp_path / "weights.pkl")

    return write_and_read


@pytest.fixture
def refused(tmp_path, read):
    """The message that a content is refused with."""

    def message(content):
        with pytest.raises(WeightsError) as caught:
            read(content)
        text = str(caught.value)
        assert text.startswith(f"{tmp_path / 'weights.pkl'}: ")
        assert "\n" not in text
        assert len(text) < 400 + len(str(tmp_path))
        return text

    return message
