"""BoxMOT's trackers take the network for one of their own; the package is not among the requirements of the tests."""

import numpy as np
import pytest
import torch

from nlreid.errors import UnknownNameError
from nlreid.trackers import BoxmotReID, CropEmbedder


@pytest.fixture
def reid(model):
    return BoxmotReID(CropEmbedder(model))


def test_each_box_has_a_vector_of_length_one(reid, frame):
    boxes = np.array([[10, 20, 40, 90], [60, 10, 90, 80], [500, 10, 520, 80]], np.float32)
    found = reid.get_features(boxes, frame)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    people = [np.ascontiguousarray(frame[20:90, 10:40, ::-1]), np.ascontiguousarray(frame[10:80, 60:90, ::-1])]
    black = np.zeros((64, 32, 3), np.uint8)
    np.testing.assert_allclose(found, reid.embedder([*people, black]).numpy(), atol=1e-5)


def test_frames_without_people(reid, frame):
    assert reid.get_features(np.zeros((0, 4), np.float32), frame).shape == (0, reid.embedder.width)


def test_colours_are_checked_at_once(reid):
    with pytest.raises(UnknownNameError):
        BoxmotReID(reid.embedder, "grey")


@pytest.mark.filterwarnings("ignore")  # another project's
@pytest.mark.parametrize("name", ["BotSort", "StrongSort", "DeepOcSort"])
def test_the_trackers_follow_people_with_it(reid, vtest, name):
    boxmot = pytest.importorskip("boxmot", reason="boxmot is not installed; it is tried in an environment of its own")
    tracker = getattr(boxmot, name)(reid_model=reid)
    asked, inner = [], reid.get_features

    def get_features(boxes, image):
        asked.append(len(boxes))
        return inner(boxes, image)

    reid.get_features = get_features
    with torch.random.fork_rng(devices=[]):
        for image, boxes in vtest:
            rows = np.hstack([boxes, np.tile([0.9, 0.0], (len(boxes), 1))])
            tracks = tracker.update(rows, image)
    assert len(asked) == len(vtest)  # it was asked in each frame, of each box
    assert asked[-1] == len(vtest[-1][1])
    assert len(tracks) >= 2  # of three, of whom two are one behind the other
    boxes = vtest[-1][1][tracks[:, 7].astype(int)]  # each track says of which row it is
    assert np.abs(tracks[:, :4] - boxes).max() < 20  # pixels
