"""norfair's detections get embeddings, and its trackers find lost people by them."""

from types import SimpleNamespace

import numpy as np
import pytest

from nlreid.errors import InputError
from nlreid.trackers import CropEmbedder, NorfairReID


@pytest.fixture
def reid(model):
    return NorfairReID(CropEmbedder(model))


def detection(*box):
    return SimpleNamespace(points=np.array(box, float).reshape(-1, 2), embedding="before")


def seen(*embeddings):
    past = [SimpleNamespace(embedding=None if each is None else np.array(each, np.float32)) for each in embeddings]
    return SimpleNamespace(past_detections=past, last_detection=past[-1])


def test_detections_get_the_vectors_of_their_boxes(reid, frame):
    some = [detection(40, 20, 10, 90), detection(500, 0, 520, 50), detection(60, 10, 90, 80, 70, 5)]
    reid.attach(some, frame)
    people = [np.ascontiguousarray(frame[20:90, 10:40, ::-1]), np.ascontiguousarray(frame[5:80, 60:90, ::-1])]
    first, last = reid.embedder(people).numpy()
    np.testing.assert_allclose(some[0].embedding, first, atol=1e-5)
    assert some[1].embedding is None
    np.testing.assert_allclose(some[2].embedding, last, atol=1e-5)
    reid.attach([], frame)


@pytest.mark.parametrize("points", [(1, 2), (1, 2, 3, 4, 5, 6)])
def test_points_that_are_no_box(reid, frame, points):
    wrong = SimpleNamespace(points=np.array(points, float).reshape(-1, 2 if len(points) < 4 else 3), embedding=None)
    with pytest.raises(InputError, match="two corners of its box"):
        reid.attach([wrong], frame)


def test_objects_are_as_far_as_the_means_of_what_was_seen(reid):
    one, other = seen([1, 0], [0, 1], None), seen([1, 0])
    assert reid(one, other) == pytest.approx(1 - np.sqrt(0.5))
    assert reid(one, one) == pytest.approx(0)
    one.last_detection = SimpleNamespace(embedding=np.array([0.0, 1.0]))  # not among those that are kept
    assert reid(one, other) == pytest.approx(1 - 1 / np.sqrt(5))
    assert reid(other, seen(None)) == 2
    assert reid(other, seen([1, 0], [-1, 0])) == 2  # no direction


@pytest.mark.filterwarnings("ignore")  # another project's
@pytest.mark.parametrize("by_embedding", [True, False])
def test_its_tracker_finds_a_lost_person_again(reid, vtest, by_embedding):
    norfair = pytest.importorskip("norfair", reason="norfair is not installed; it is tried in an environment of its own")
    options = {"reid_distance_function": reid, "reid_distance_threshold": 0.5, "reid_hit_counter_max": 50}
    tracker = norfair.Tracker(
        distance_function="euclidean",
        distance_threshold=60,
        hit_counter_max=3,
        initialization_delay=1,
        **(options if by_embedding else {}),
    )
    ids = set()
    for number, (image, boxes) in enumerate(vtest):
        left, top, right, bottom = boxes[0]
        away = 200 if number >= 16 else 0  # somebody else's place: nothing but looks says who it is
        shifted = np.roll(image, away, axis=1)
        found = [norfair.Detection(np.array([[left + away, top], [right + away, bottom]]))]
        found = [] if 8 <= number < 16 else found
        reid.attach(found, shifted)
        ids |= {each.id for each in tracker.update(found)}
    assert len(ids) == (1 if by_embedding else 2)
