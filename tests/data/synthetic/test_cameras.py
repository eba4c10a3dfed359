"""Cameras and what lies between them and people: each step against something plainer, and the paste of a figure."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.fft import dctn, idctn

from nlreid.data.datasets.synthetic import cameras as cameras_module
from nlreid.data.datasets.synthetic import composition, occluders
from nlreid.data.datasets.synthetic.cameras import HEIGHTS, draw_cameras, photograph
from nlreid.data.datasets.synthetic.composition import compose
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.scenes import SIDE, draw_scenes, shadows, views

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = {  # a camera that changes nothing but for its optics
    "gain": 1, "saturation": 1, "gamma": 1, "contrast": 1, "lift": 0, "sharpening": 0, "noise": 0, "quantum": 0, "height": 128,
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def camera(count=1, **changes):
    values = PLAIN | changes
    return {name: torch.full((count, 3 if name == "gain" else 1), float(value)) for name, value in values.items()}


# --- compression


def test_compression_keeps_whole_multiples_of_the_quantum():
    """Against SciPy's transform, block by block; coefficients stay clear of halves, where rounding may go either way."""
    quantum = torch.tensor([[0.05], [0.2]])
    k = torch.arange(8.0)
    step = quantum[..., None, None] * (1 + 0.5 * (k[:, None] + k))  # (2, 1, 8, 8)
    draws = Draws(2 * 3 * 2 * 3, generator())
    multiples = draws.normal(2.0, 8, 8).round().view(2, 3, 2, 3, 8, 8)
    coefficients = (multiples + draws.uniform(-0.4, 0.4, 8, 8).view(multiples.shape)) * step[:, :, None, None]
    blocks = torch.from_numpy(idctn(coefficients.double().numpy(), axes=(-2, -1), norm="ortho")).float()
    picture = blocks.transpose(3, 4).reshape(2, 3, 16, 24)
    kept = cameras_module._compressed(picture, quantum)
    found = torch.from_numpy(dctn(kept.view(2, 3, 2, 8, 3, 8).transpose(3, 4).double().numpy(), axes=(-2, -1), norm="ortho"))
    assert torch.allclose(found.float(), multiples * step[:, :, None, None], atol=1e-4)


def test_one_block_is_what_the_sum_over_cosines_says():
    picture = Draws(1, generator()).uniform(0, 1, 1, 8, 8)
    transformed = torch.zeros(8, 8)
    for u in range(8):
        for v in range(8):
            scale = (math.sqrt(1 / 8) if u == 0 else 0.5) * (math.sqrt(1 / 8) if v == 0 else 0.5)
            for row in range(8):
                for column in range(8):
                    cosines = math.cos(math.pi * (2 * row + 1) * u / 16) * math.cos(math.pi * (2 * column + 1) * v / 16)
                    transformed[u, v] += scale * cosines * picture[0, 0, row, column]
    transform = cameras_module._DCT
    assert torch.allclose(transform @ picture[0, 0] @ transform.T, transformed, atol=1e-5)
    fine = cameras_module._compressed(picture, torch.zeros(1, 1))
    assert torch.allclose(fine, picture, atol=0.02)


# --- the camera as a whole


def blurred_by_loop(picture):
    """Weights 1, 2, 1 in both directions; beyond the edge is what is at the edge."""
    _, height, width = picture.shape
    out = torch.zeros_like(picture)
    for row in range(height):
        for column in range(width):
            for i, a in ((-1, 1), (0, 2), (1, 1)):
                for j, b in ((-1, 1), (0, 2), (1, 1)):
                    r, c = min(max(row + i, 0), height - 1), min(max(column + j, 0), width - 1)
                    out[:, row, column] += picture[:, r, c] * a * b / 16
    return out


def test_a_plain_camera_blurs_and_changes_nothing_else(monkeypatch):
    monkeypatch.setattr(cameras_module, "HEIGHTS", (16,))
    picture = Draws(2, generator()).uniform(0, 1, 1, 3, 16, 16)
    seen = photograph(picture, camera(2, height=16), generator())
    expected = torch.stack([blurred_by_loop(one[0]) for one in picture])[:, None] * 255
    assert seen.dtype == torch.uint8
    assert (seen.float() - expected).abs().max() <= 2  # the finest quantum, and whole numbers


def test_each_track_is_seen_by_its_own_camera():
    picture = Draws(3, generator()).uniform(0, 1, 2, 3, 128, 64)
    heights = torch.tensor([[32.0], [128.0], [64.0]])
    together = photograph(picture, camera(3) | {"height": heights}, generator())
    for row in range(3):
        alone = photograph(picture[row : row + 1], camera(height=heights[row]), generator())
        assert torch.equal(together[row : row + 1], alone)
    detail = (together.float()[..., 1:, :] - together.float()[..., :-1, :]).abs().mean((1, 2, 3, 4))
    assert detail[0] < detail[2] < detail[1]  # a camera of low resolution shows less


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ({"gain": 1.5}, lambda seen, plain: seen.mean() > plain.mean() + 20),
        ({"gamma": 2}, lambda seen, plain: seen.mean() < plain.mean() - 20),
        ({"contrast": 1.5}, lambda seen, plain: seen.std() > plain.std() + 5),
        ({"lift": 0.1}, lambda seen, plain: (seen.mean() - plain.mean() - 25.5).abs() < 3),
        ({"saturation": 0}, lambda seen, _: (seen.amax(2) - seen.amin(2)).max() <= 2),
        ({"noise": 0.05}, lambda seen, plain: 8 < (seen - plain).std() < 16),
        ({"sharpening": 1}, lambda seen, plain: seen.std() > plain.std() + 2),
        ({"quantum": 0.3}, lambda seen, plain: 2 < (seen - plain).abs().mean() < 40),
    ],
)
def test_what_each_number_of_a_camera_does(change, effect):
    picture = Draws(1, generator()).uniform(0.3, 0.7, 1, 3, 128, 64)
    plain, seen = (photograph(picture, camera(**c), generator()).float() for c in ({}, change))
    assert effect(seen, plain)


def test_cameras_of_no_strength_have_the_colours_that_are_there():
    weak, strong = (draw_cameras(200, generator(), strength) for strength in (0.0, 1.0))
    for name, neutral in (("gain", 1), ("saturation", 1), ("gamma", 1), ("contrast", 1), ("lift", 0)):
        assert torch.equal(weak[name], torch.full_like(weak[name], neutral))
        assert strong[name].std() > 0.04
    assert set(weak["height"].flatten().tolist()) == set(map(float, HEIGHTS))
    assert (weak["pitch"] >= 0).all()
    assert (weak["pitch"] <= 0.6).all()


def test_heights_divide_into_blocks():
    assert all(height % 8 == 0 for height in HEIGHTS)


# --- what is before the camera


def test_a_figure_covers_its_background_and_nothing_else(monkeypatch):
    monkeypatch.setattr(occluders, "_PASSERS_BY", 0.0)
    monkeypatch.setattr(occluders, "_STANDING", {})
    monkeypatch.setattr(composition, "photograph", lambda picture, *_: (picture * 255).round().to(torch.uint8))
    figures = torch.randint(0, 256, (3, 2, 4, 24, 12), generator=generator(), dtype=torch.uint8)
    figures[:, :, 3] = torch.tensor([0, 255], dtype=torch.uint8)[torch.randint(2, (3, 2, 24, 12), generator=generator(1))]
    scenes = torch.tensor([[10, 20, 30], [90, 80, 70], [200, 210, 220]], dtype=torch.uint8)[:, :, None, None]
    composed = compose(figures, figures.flip(0), scenes.expand(3, 3, SIDE, SIDE), camera(3), generator(2))
    assert composed.shape == (3, 2, 24, 12, 3)
    covered = (figures[:, :, 3] == 255)[..., None]
    ground = scenes[:, :, 0, 0][:, None, None, None].expand_as(composed)
    pasted = torch.where(covered, figures[:, :, :3].permute(0, 1, 3, 4, 2), ground)
    assert torch.equal(composed[:, :, :18], pasted[:, :, :18])
    shadow = torch.where(covered, 0, pasted.int() - composed.int())[:, :, 18:]  # under the feet, on the ground
    assert shadow.min() == 0
    assert shadow.max() > 0
    assert torch.equal(composed.masked_select(covered), pasted.masked_select(covered))


def test_half_covered_pixels_are_half_of_each(monkeypatch):
    monkeypatch.setattr(occluders, "_PASSERS_BY", 0.0)
    monkeypatch.setattr(occluders, "_STANDING", {})
    monkeypatch.setattr(composition, "photograph", lambda picture, *_: (picture * 255).round().to(torch.uint8))
    figures = torch.full((1, 1, 4, 16, 8), 200, dtype=torch.uint8)
    figures[:, :, 3] = 51  # a fifth
    composed = compose(figures, figures, torch.full((1, 3, SIDE, SIDE), 100, dtype=torch.uint8), camera(), generator())
    assert composed[:, :, :8].unique().tolist() == [120]


def test_passers_by_walk_in_front_and_behind(monkeypatch):
    monkeypatch.setattr(occluders, "_PASSERS_BY", 1.0)
    picture, people = torch.zeros(40, 5, 3, 16, 8), torch.zeros(40, 5, 1, 16, 8)
    people[..., :4] = 1
    others = torch.full((40, 5, 4, 16, 8), 255, dtype=torch.uint8)
    drawn = occluders.pass_by(picture, people, others, Draws(40, generator()))
    assert torch.equal(picture, torch.zeros_like(picture))
    over_people = (drawn * people).amax((1, 2, 3, 4)) > 0
    assert 10 < over_people.sum() < 30
    elsewhere = (drawn * (1 - people)).amax((1, 2, 3, 4)) > 0
    assert elsewhere.sum() > 20
    monkeypatch.setattr(occluders, "_PASSERS_BY", 0.0)
    assert torch.equal(occluders.pass_by(picture, people, others, Draws(40, generator())), picture)


@pytest.mark.parametrize("kind", ["pole", "sign", "wall"])
def test_what_stands_in_the_way_hides_a_part(monkeypatch, kind):
    monkeypatch.setattr(occluders, "_STANDING", {kind: 1.0})
    picture = torch.full((30, 4, 3, 32, 16), -1.0)
    hidden = (occluders.stand_in_front(picture, Draws(30, generator())) >= 0).all(2).float()
    share = hidden.mean((1, 2, 3))
    assert (share > 0).float().mean() > 0.6
    assert share.max() < 0.6
    columns, rows = hidden.amax(2), hidden.amax(3)
    if kind == "wall":
        assert torch.equal(hidden, rows[..., None].expand_as(hidden))  # as wide as the picture
    if kind == "pole":
        assert torch.equal(hidden, columns[:, :, None].expand_as(hidden))  # as high


def test_views_are_parts_of_their_scenes():
    scenes = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, SIDE, SIDE) * 50
    seen = views(scenes, (16, 8), 3, Draws(4, generator()))
    assert torch.equal((seen * 255).round().to(torch.uint8), scenes[:, None, :, :16, :8].expand(4, 3, 3, 16, 8))
    assert draw_scenes(2, generator()).float().std((1, 2, 3)).min() > 1


def test_what_needs_no_choice_makes_nothing_on_another_device():
    draws = Draws(2, generator(), torch.device("meta"))
    scenes = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8, device="meta")
    picture = views(scenes, (16, 8), 3, draws) * shadows((16, 8), draws)
    assert (picture.device.type, picture.shape) == ("meta", (2, 3, 3, 16, 8))
    kept = cameras_module._compressed(picture.flatten(0, 1), torch.zeros(6, 1, device="meta"))
    assert (kept.device.type, kept.shape) == ("meta", (6, 3, 16, 8))
