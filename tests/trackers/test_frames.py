"""The vector of a picture is that of a tracklet of this one picture."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.trackers import CropEmbedder
from nlreid.trackers.crops import cut

from .conftest import new_model


def pictures(*sizes):
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_it_is_what_embed_answers(model, batch_size):
    people = pictures((40, 20), (64, 32), (90, 31))
    tracklets = [nlreid.Tracklet(str(place), [picture]) for place, picture in enumerate(people)]
    found = CropEmbedder(model, batch_size=batch_size)(people)
    assert_close(found, nlreid.embed(model, tracklets, progress=False).features, atol=1e-5, rtol=0)
    assert_close(found.norm(dim=1), torch.ones(3))
    assert found.dtype == torch.float32


def test_a_network_of_single_frames_needs_no_repetition():
    people = pictures((40, 20), (64, 32))
    model = new_model("test_c2d")
    assert_close(CropEmbedder(model, frames=1)(people), CropEmbedder(model)(people), atol=1e-5, rtol=0)


def test_the_mode_of_the_network_stays(model):
    model.train()
    try:
        CropEmbedder(model)(pictures((40, 20)))
        assert model.training
    finally:
        model.eval()


def test_nobody_is_no_row(model):
    embedder = CropEmbedder(model)
    assert embedder([]).shape == (0, embedder.width)


def test_what_cannot_embed_is_refused(model):
    with pytest.raises(InputError, match=r"one of nlreid\.create_model; got str"):
        CropEmbedder("r3d50_nl")
    with pytest.raises(InputError, match=f"at least; got frames={model.min_frames - 1}|frames is a whole number from 1"):
        CropEmbedder(model, frames=model.min_frames - 1)
    with pytest.raises(InputError, match="batch_size"):
        CropEmbedder(model, batch_size=0)
    with pytest.raises(InputError, match="uint8 RGB picture"):
        CropEmbedder(model)([np.zeros((4, 4), np.uint8)])


def test_networks_without_weights_that_mean_something_are_told():
    broken = new_model("test_c2d")
    for parameter in broken.parameters():
        torch.nn.init.zeros_(parameter)
    with pytest.raises(InputError, match="picture 0 is zero or not finite"):
        CropEmbedder(broken)(pictures((40, 20)))


# --- boxes


def test_boxes_are_cut_out_as_red_green_blue(frame):
    (inside,) = cut([[10, 20, 40, 90]], frame)
    np.testing.assert_array_equal(inside, frame[20:90, 10:40, ::-1])
    (same,) = cut([[10, 20, 40, 90]], frame, "rgb")
    np.testing.assert_array_equal(same, frame[20:90, 10:40])
    frame[:] = 0
    assert inside.any()  # a copy


def test_boxes_end_with_the_frame(frame):
    over, beside, turned = cut([[-5, -5, 10, 10, 0.9, 0], [200, 0, 220, 50, 0.9, 0], [40, 10, 30, 60, 0.9, 0]], frame)
    assert over.shape == (10, 10, 3)
    assert beside is None
    assert turned is None


@pytest.mark.parametrize("nobody", [[], np.zeros((0, 4)), np.zeros((0, 6)), np.array([])])
def test_no_boxes(frame, nobody):
    assert cut(nobody, frame) == []


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"\(n, 4\) or wider; got \(4,\)"),
        ([[1, 2, 3]], r"\(1, 3\)"),
        ([[0, 0, float("nan"), 5]], "boxes are finite"),
        ([["a", 2, 3, 4]], "boxes are numbers"),
    ],
)
def test_boxes_that_are_none(frame, boxes, message):
    with pytest.raises(InputError, match=message):
        cut(boxes, frame)


@pytest.mark.parametrize("frame", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), None])
def test_frames_that_are_none(frame):
    with pytest.raises(InputError, match=r"uint8 \(h, w, 3\)"):
        cut([[0, 0, 2, 2]], frame)


def test_colours_have_a_name(frame):
    with pytest.raises(UnknownNameError, match="did you mean 'rgb'"):
        cut([[0, 0, 2, 2]], frame, "rgba")
