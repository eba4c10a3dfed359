"""What a point attends to is a row of the whole affinity matrix, and the picture shows it where it is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from visualize.reading import check_legible, drawn, photographs, sheet, texts

import nlreid
from nlreid.errors import InputError, UnknownNameError
from nlreid.visualize import Attention, attend, draw_attention
from nlreid.visualize.heat import heated

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


def attention(t, places, count, seed=0, shape=(24, 16)):
    """Of frames that are given, weights that are drawn."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (t, *shape, 3), dtype=torch.uint8, generator=generator)
    points = tuple((place % t, place % shape[0], 2 * place % shape[1]) for place in range(count))
    weights = torch.randn(count, *places, generator=generator)
    return Attention("layer2.non_local_1", frames, points, weights, torch.rand(count, generator=generator))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 30), st.integers(0, 99))
def test_the_strongest_are_those_of_a_plain_search(t, count, asked, seed):
    places = (-(-t // 2), 3, 2)
    seen = attention(t, places, count, seed)
    for found, weights in zip(seen.strongest(asked), seen.weights, strict=True):
        rows = sorted(
            ((-float(weights[frame, y, x]), frame, y, x) for frame, y, x in np.ndindex(*places) if weights[frame, y, x] > 0)
        )
        assert [each.weight for each in found] == [-row[0] for row in rows[:asked]]
        for each, (_, frame, y, x) in zip(found, rows, strict=False):
            first = next(number for number in range(t) if number * places[0] // t == frame)
            assert (each.frame, each.y, each.x) == (first, (y + 0.5) * 24 / 3, (x + 0.5) * 16 / 2)


@pytest.mark.parametrize("t", [1, 8, 16])
@pytest.mark.parametrize("strongest", [0, 3])
def test_the_figure_shows_the_clip_and_a_row_for_each_point(t, strongest):
    seen = attention(t, (-(-t // 2), 3, 2), 2)
    figure = draw_attention(seen, strongest=strongest)
    check_legible(figure)
    *rows, _key = photographs(figure)
    assert len(rows) == 3 * t
    expected = [seen.frames.numpy(), *(heated(seen.frames.numpy(), weights) for weights in seen.on_frames().numpy())]
    for place, (pixels, _) in enumerate(rows):
        assert np.array_equal(pixels, expected[place // t][place % t])
    boxes = [box for _, box in rows]
    assert all(boxes[place].left == boxes[place % t].left for place in range(3 * t))
    rings = drawn(figure, "point")[:-2]  # twice each, for its edge; the last is that of the key
    for place, (frame, y, x) in enumerate(seen.points):
        box = boxes[(1 + place) * t + frame]
        for ((across, down),) in rings[2 * place : 2 * place + 2]:
            assert across == pytest.approx(box.left + (x + 0.5) / 16 * (box.right - box.left))
            assert down == pytest.approx(box.top + (y + 0.5) / 24 * (box.bottom - box.top))
    lines = drawn(figure, "connection")[: -2 if strongest else None : 2]
    ends = [end for found in seen.strongest(strongest) for end in found] if strongest else []
    for (start, end), to in zip(lines, ends, strict=True):
        assert start in [ring[0] for ring in rings]
        place = lines.index([start, end]) // strongest
        box = boxes[(1 + place) * t + to.frame]
        assert end == pytest.approx(
            [box.left + to.x / 16 * (box.right - box.left), box.top + to.y / 24 * (box.bottom - box.top)]
        )


def test_the_figures_of_each_row_stand_above_it():
    seen = attention(8, (4, 3, 2), 2)
    written = [text for text, _ in texts(draw_attention(seen))]
    assert "layer2.non_local_1, 8 frames" in written
    assert [text for text in written if text.isdecimal()] == [str(number) for number in range(1, 9)]
    for (frame, y, x), weights, added in zip(seen.points, seen.weights, seen.added.tolist(), strict=True):
        figures = f"largest weight {float(weights.max()):.2g} (all equal: {1 / 24:.2g}); adds {100 * added:.2g} % of"
        assert f"from frame {frame + 1}, x {x}, y {y}; {figures} the feature's length" in written


@pytest.mark.parametrize(("t", "shape"), [(8, (96, 48)), (16, (96, 48)), (4, (30, 80)), (1, (96, 48)), (40, (96, 48))])
def test_figures_fit_a_page_as_long_as_people_can_be_seen(t, shape):
    figure = draw_attention(attention(t, (1, 3, 2), 1, shape=shape))
    _, box = photographs(figure)[0]
    height, width = box.bottom - box.top, box.right - box.left
    assert width / height == pytest.approx(shape[1] / shape[0])
    assert sheet(figure).right <= 7.2 + 1e-6 or min(height, width) == pytest.approx(0.4)
    check_legible(figure)


@pytest.mark.parametrize(
    ("points", "answer"),
    [
        ([(8, 0, 0)], r"point \(8, 0, 0\) lies outside the clip; frame, y and x are from 0 to below \(8, 48, 40\)"),
        ([(0, 0, 0), (0, -1, 0)], "lies outside"),
        ([(0, 0)], "triples of whole numbers"),
        ((0, 0, 0), "triples of whole numbers"),
        ([(0.5, 0, 0)], "triples of whole numbers"),
        ([], "at least one"),
        ([(0, 0, 0), (0, 0)], "triples of whole numbers"),
        ("abc", "triples of whole numbers"),
        (None, "triples of whole numbers"),
    ],
)
def test_points_that_are_none(model, frames, points, answer):
    with pytest.raises(InputError, match=answer):
        attend(model, frames, points)


def test_what_is_not_finite_is_told_and_not_drawn(frames):
    broken = nlreid.create_model("test_r3d_nl")
    torch.nn.init.constant_(broken.backbone.get_submodule(BLOCKS[0]).theta.weight, float("nan"))
    with pytest.raises(InputError, match=r"what 'layer2\.non_local_0' computes is not finite; are the weights\?"):
        attend(broken, frames, [(0, 0, 0)])


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
    with pytest.raises(InputError, match=r"what nlreid\.visualize\.attend answers; got Tensor"):
        draw_attention(frames)
    with pytest.raises(InputError, match="height is a number above 0, in inches; got 0"):
        draw_attention(attend(model, frames, [(0, 0, 0)]), height=0)
    with pytest.raises(InputError, match="strongest is a whole number from 0; got -1"):
        draw_attention(attend(model, frames, [(0, 0, 0)]), strongest=-1)
    with pytest.raises(InputError, match="count is a whole number from 1; got 0"):
        attend(model, frames, [(0, 0, 0)]).strongest(0)
