"""What a point attends to is a row of the whole affinity matrix, and the picture shows it where it is."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.visualize import Attention, attend, draw_attention
from nlreid.visualize.heat_map import heated

BLOCKS = ["layer2.non_local_0", "layer3.non_local_0"]


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nlreid.create_model("test_r3d_nl")


@pytest.fixture
def frames():
    return torch.randint(0, 256, (8, 48, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def entering(model, frames, block):
    """The feature map that enters a block, by running what stands before it, a module after the other."""
    x = model.clip_spec.transform()(frames)[None]
    for name, step in model.backbone._steps():
        parts = step.named_children() if block.startswith(f"{name}.") else [("", step)]
        for inner, part in parts:
            if f"{name}.{inner}" == block:
                return x
            x = part(x)
    raise AssertionError(block)


@pytest.mark.parametrize("block", BLOCKS)
def test_it_is_a_row_of_the_matrix_of_all_pairs(model, frames, block):
    points = [(0, 0, 0), (7, 47, 39), (5, 20, 11), (2, 31, 30)]
    seen = attend(model, frames, points, block=block)
    with torch.no_grad():
        model.eval()
        x = entering(model, frames, block)
        module = model.backbone.get_submodule(block)
        theta, phi = (conv(x)[0].flatten(1) for conv in (module.theta, module.phi))
        matrix = (theta.T @ phi).softmax(dim=1)
        model.train()
    t, h, w = x.shape[2:]
    for row, (frame, down, across) in zip(seen.weights, points, strict=True):
        place = (frame * t // 8 * h + down * h // 48) * w + across * w // 40
        torch.testing.assert_close(row.flatten(), matrix[place], rtol=1e-4, atol=1e-6)
    assert seen.block == block
    torch.testing.assert_close(seen.weights.sum((1, 2, 3)), torch.ones(4))


def test_the_first_block_is_the_default_and_the_model_stays_as_it_was(model, frames):
    modes = [module.training for module in model.modules()]
    assert any(modes)
    statistics = {name: value.clone() for name, value in model.state_dict().items()}
    seen = attend(model, frames, torch.tensor([(1, 2, 3)]))
    assert seen.block == BLOCKS[0]
    assert seen.points == ((1, 2, 3),)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, statistics[name]) for name, value in model.state_dict().items())
    block = model.backbone.get_submodule(BLOCKS[0])
    assert not block._forward_hooks


def test_what_the_block_adds_at_the_points(model, frames):
    points, block = [(0, 0, 0), (5, 20, 11)], model.backbone.get_submodule(BLOCKS[1])
    assert attend(model, frames, points, block=BLOCKS[1]).added.tolist() == [0, 0]  # the identity
    try:
        torch.nn.init.uniform_(block.norm.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(0))
        seen = attend(model, frames, points, block=BLOCKS[1])
        with torch.no_grad():
            model.eval()
            x = entering(model, frames, BLOCKS[1])[0]
            change = block(x[None])[0] - x
        t, h, w = x.shape[1:]
        for added, (frame, down, across) in zip(seen.added, points, strict=True):
            place = slice(None), frame * t // 8, down * h // 48, across * w // 40
            torch.testing.assert_close(added, change[place].norm() / x[place].norm())
            assert added > 0.01
    finally:
        torch.nn.init.zeros_(block.norm.weight)
        model.train()


def test_no_hook_stays_after_an_error(model, frames):
    with pytest.raises(InputError, match="at least"):
        attend(model, frames[:1], [(0, 0, 0)])
    assert not model.backbone.get_submodule(BLOCKS[0])._forward_hooks


def test_weights_are_spread_over_the_frames_by_time_and_space(frames):
    weights = torch.rand(2, 4, 3, 2, generator=torch.Generator().manual_seed(1))
    spread = Attention("a", frames, ((0, 0, 0), (1, 1, 1)), weights, torch.zeros(2)).on_frames()
    assert spread.shape == (2, 8, 48, 40)
    for point in range(2):
        for frame in range(8):
            row = F.interpolate(weights[point, frame // 2][None, None], (48, 40), mode="bilinear", align_corners=False)
            torch.testing.assert_close(spread[point, frame], row[0, 0])


def test_positions_of_odd_numbers_of_frames():
    frames = torch.zeros(5, 4, 4, 3, dtype=torch.uint8)
    weights = torch.arange(3.0).view(1, 3, 1, 1)
    spread = Attention("a", frames, ((0, 0, 0),), weights, torch.zeros(1)).on_frames()
    assert spread[0, :, 0, 0].tolist() == [0, 0, 1, 1, 2]


def test_the_largest_weight_is_the_lightest_and_what_is_not_above_0_is_grey():
    frames = np.full((1, 1, 4, 3), (30, 60, 90), np.uint8)
    picture = heated(frames, np.array([[[-1.0, 0.0, 0.5, 2.0]]], np.float32))
    assert picture[0, 0, :2].tolist() == [[60, 60, 60]] * 2
    light = picture[0, 0].astype(int).sum(axis=1)
    assert light[3] > light[2] > light[1]
    assert picture[0, 0, 3].tolist() == [round(0.15 * 60 + 0.85 * value) for value in (255, 240, 120)]


def test_weights_that_are_all_zero_show_nothing():
    picture = heated(np.full((2, 2, 2, 3), 80, np.uint8), np.zeros((2, 2, 2), np.float32))
    assert (picture == 80).all()


def test_the_picture_has_a_row_for_each_point(model, frames):
    one, two = (draw_attention(attend(model, frames, [(3, 24, 20)] * count), height=48) for count in (1, 2))
    step = two.height - one.height
    assert step > 48
    assert one.width == two.width
    rows = np.asarray(two)
    assert np.array_equal(rows[-step - 12 : -12 - 6], rows[-2 * step - 12 : -step - 12 - 6])  # the same point twice
    ring = (rows == (0, 220, 255)).all(axis=2).nonzero()
    assert len(ring[0])
    assert ((ring[1] - 12) // (40 + 6) == 3).all()  # in the fourth frame


@pytest.mark.parametrize(
    ("points", "answer"),
    [
        ([(8, 0, 0)], r"point \(8, 0, 0\) lies outside the clip; frame, y and x are from 0 to below \(8, 48, 40\)"),
        ([(0, 0, 0), (0, -1, 0)], "lies outside"),
        ([(0, 0)], "triples of whole numbers"),
        ((0, 0, 0), "triples of whole numbers"),
        ([(0.5, 0, 0)], "triples of whole numbers"),
        ([], "at least one"),
    ],
)
def test_points_that_are_none(model, frames, points, answer):
    with pytest.raises(InputError, match=answer):
        attend(model, frames, points)


def test_models_and_blocks_that_do_not_fit(model, frames):
    with pytest.raises(InputError, match=r"'test_c2d' has no non-local block; nlreid\.list_models\('\*_nl'\)"):
        attend(nlreid.create_model("test_c2d"), frames, [(0, 0, 0)])
    with pytest.raises(InputError, match=r"one of nlreid\.create_model; got Linear"):
        attend(torch.nn.Linear(1, 1), frames, [(0, 0, 0)])
    with pytest.raises(UnknownNameError, match=r"did you mean 'layer2\.non_local_0'"):
        attend(model, frames, [(0, 0, 0)], block="layer2.non_local_1")
    with pytest.raises(InputError, match=r"one tensor, as Tracklet\.read gives; got list"):
        attend(model, list(frames), [(0, 0, 0)])
    with pytest.raises(InputError, match="uint8 RGB pictures"):
        attend(model, frames.float(), [(0, 0, 0)])
    with pytest.raises(InputError, match="height is a whole number from 1"):
        draw_attention(attend(model, frames, [(0, 0, 0)]), height=0)
