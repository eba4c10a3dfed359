"""Bodies: how they walk, and that what is drawn fast is what a loop over pixels draws."""

from __future__ import annotations

import math

import pytest
import torch

from nlreid.data.datasets.synthetic.body import project
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.figures import Renderer, _grid
from nlreid.data.datasets.synthetic.identity import draw_identities
from nlreid.data.datasets.synthetic.limbs import paint_capsule
from nlreid.data.datasets.synthetic.raster import Canvas, rasterise
from nlreid.data.datasets.synthetic.skeleton import Part, pose
from nlreid.data.datasets.synthetic.surfaces import Light, Surface
from nlreid.data.datasets.synthetic.tracks import draw_tracks

pytestmark = pytest.mark.usefixtures("one_thread")

RIGHT_FOOT, LEFT_FOOT = 2, 8  # of the capsules: each side has thigh, shin, shoe, upper arm, forearm, hand


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def frames_of(count, seed=0, frames=1, **conditions):
    """Attributes and conditions of frames, some of the conditions given."""
    people = draw_identities(count, generator(seed))
    track = draw_tracks(people, frames, Draws(count, generator(seed)).uniform(0, 0.6), generator(seed + 1), (0.5, 0.5))
    track |= {name: torch.full((count * frames, 1), float(value)) for name, value in conditions.items()}
    return {name: column.repeat_interleave(frames, 0) for name, column in people.items()}, track


# --- gait


def feet(phase, **conditions):
    """Where the shoes of ten walkers begin, `(2, 10, 3)`: right, left."""
    people, track = frames_of(10, phase=phase, move=1, **conditions)
    skeleton, _ = pose(people, track)
    return torch.stack([skeleton.starts[RIGHT_FOOT], skeleton.starts[LEFT_FOOT]])


def test_feet_alternate():
    right, left = feet(math.pi / 2)
    assert (right[:, 2] < 0).all()  # behind
    assert (left[:, 2] > 0).all()
    mirrored = torch.tensor([-1, 1, 1])
    for phase in (0.0, 0.7, 2.0, 4.0):  # what one foot does, the other does half a cycle later
        now, later = feet(phase), feet(phase + math.pi)
        assert torch.allclose(now[0], later[1] * mirrored, atol=1e-5)
        assert torch.allclose(now, feet(phase + 2 * math.pi), atol=1e-5)


def test_who_stands_does_not_move_his_feet():
    people, track = frames_of(10, move=0)
    positions = [torch.stack(pose(people, track | {"phase": torch.full((10, 1), p)})[0].starts) for p in (0.0, 1.0, 2.0)]
    assert torch.allclose(positions[0][[RIGHT_FOOT, LEFT_FOOT]], positions[1][[RIGHT_FOOT, LEFT_FOOT]], atol=1e-6)
    assert torch.allclose(positions[0], positions[2], atol=1e-6)


def test_the_period_of_the_steps_follows_the_cadence():
    people = draw_identities(2, generator())
    people["cadence"] = torch.tensor([[0.8], [1.2]])
    track = draw_tracks(people, 600, torch.zeros(2, 1), generator(), (0.5, 0.5))
    for cadence, phase in zip((0.8, 1.2), track["phase"].view(2, 600), strict=True):
        change = phase.diff().median()  # some frames are lost: the mean is larger
        assert change == pytest.approx(0.5 * cadence, abs=0.02)
        walker = {name: column[:1].expand(600, -1) for name, column in people.items()}
        fixed = {name: column[:600] for name, column in track.items()} | {"phase": phase[:, None], "move": torch.ones(600, 1)}
        ahead = pose(walker, fixed)[0].starts[LEFT_FOOT][:, 2] > 0
        steps = int((ahead[1:] & ~ahead[:-1]).sum())
        assert steps == pytest.approx(float(phase[-1] - phase[0]) / (2 * math.pi), rel=0.1)


def test_arms_swing_against_legs():
    people, track = frames_of(10, phase=math.pi / 2, move=1)
    track |= {"arm": torch.zeros(10, 2), "elbow": torch.zeros(10, 2)}
    skeleton, _ = pose(people, track)
    right_hand, left_hand = (skeleton.ends[foot + 2][:, 2] for foot in (RIGHT_FOOT, LEFT_FOOT))
    assert (right_hand > left_hand).all()  # the right foot is behind, see above


# --- where they are


def test_the_box_holds_what_is_drawn():
    people, track = frames_of(60, fit=1)
    parts, shape, box = project(people, track)
    rows, columns = torch.linspace(-1, 1, 80), torch.linspace(-1, 1, 40)  # twice as large as the box
    x = box["x"][..., None] + box["w"][..., None] * columns
    y = box["y"][..., None] - box["h"][..., None] * rows[:, None]
    covered = rasterise(x, y, parts, shape, people, track)[:, 3] > 0
    inside = (rows.abs() <= 0.5)[:, None] & (columns.abs() <= 0.5)
    assert not (covered & ~inside).any()
    seen = covered.any(2)
    first, last = seen.int().argmax(1), 79 - seen.flip(1).int().argmax(1)
    assert (rows[first] < -0.4).all()
    assert (rows[last] > 0.45).all()


def test_the_grid_of_a_frame_goes_around_its_box():
    _, _, box = project(*frames_of(500))
    x, y = _grid(box, (16, 8), generator())
    assert x.shape == (500, 1, 8)
    assert y.shape == (500, 16, 1)
    width = (x[:, 0, -1] - x[:, 0, 0]) / box["w"][:, 0]
    assert width.mean() == pytest.approx(1.04, abs=0.02)
    above, below = (((y[:, row, 0] - box["y"][:, 0]) / box["h"][:, 0]) for row in (0, -1))
    assert above.mean() == pytest.approx(0.53, abs=0.01)
    assert 0.02 < (below > -0.45).float().mean() < 0.1  # some have no feet


# --- pixels


def capsule_by_loop(x, y, place, part, shape, a, track, fold):
    """Depth, shade and first colour of each pixel that is hit, else None: `limbs.paint_capsule`, pixel by pixel."""
    height, width, picture = y.shape[1], x.shape[2], {}
    for b in range(len(x)):
        (x0, y0, z0), (x1, y1, z1) = (shape[end][b, place].tolist() for end in ("start", "end"))
        r0, r1 = shape["radii"][b, place].tolist()
        lx, ly, lz, ambient = track["light"][b].tolist()
        for row in range(height):
            for column in range(width):
                px, py = float(x[b, row, column]), float(y[b, row, column])
                squared = (x1 - x0) ** 2 + (y1 - y0) ** 2 + 1e-5
                along = min(max(((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / squared, 0), 1)
                radius = r0 + along * (r1 - r0)
                dx, dy = px - (x0 + along * (x1 - x0)), py - (y0 + along * (y1 - y0))
                if dx * dx + dy * dy >= radius * radius:
                    continue
                nx, ny = dx / radius, dy / radius
                nz = math.sqrt(1 - nx * nx - ny * ny)
                shade = ambient + max(nx * lx + ny * ly + nz * lz, 0) * (1 - ambient)
                if part.cloth:
                    shade *= 1 + float(a["folds"][b]) * float(fold[b, row, column])
                if part.quilted:
                    shade *= 1 + float(a["quilt"][b]) * math.sin(along * 25 + place)
                which = 0 if along < float(shape["switch"][b, place]) else 1
                colour = shape["colours"][b, place, which].tolist()
                picture[b, row, column] = (z0 + along * (z1 - z0) + radius * nz, shade, colour)
    return picture


@pytest.mark.parametrize("part", [Part(cloth=True, quilted=True), Part(cloth=False, quilted=False)])
def test_a_capsule_is_what_a_loop_over_pixels_draws(part):
    a, track = frames_of(3)
    draws = Draws(3, generator(5))
    shape = {
        "start": draws.normal(0.3, 2, 3),
        "end": draws.normal(0.3, 2, 3),
        "radii": draws.uniform(0.2, 0.5, 2, 2),
        "switch": draws.uniform(0.2, 0.8, 2),
        "colours": draws.uniform(0, 1, 2, 2, 3),
    }
    x = torch.linspace(-1, 1, 9).expand(3, 7, 9)
    y = torch.linspace(1, -1, 7)[:, None].expand(3, 7, 9)
    fold = draws.normal(0.5, 7, 9)
    surface = paint_capsule(x, y, 1, part, shape, a, Light(track["light"]), fold)
    expected = capsule_by_loop(x, y, 1, part, shape, a, track, fold)
    assert 30 < len(expected) < 150
    assert {tuple(place) for place in surface.hit.nonzero().tolist()} == set(expected)
    for place, (depth, shade, colour) in expected.items():
        assert float(surface.depth[place]) == pytest.approx(depth, abs=1e-4)
        assert float(surface.shade[place]) == pytest.approx(shade, abs=1e-4)
        assert [float(c.expand_as(surface.hit)[place]) for c in surface.colour] == pytest.approx(colour)


def test_the_nearest_surface_is_seen_whatever_the_order():
    draws = Draws(1, generator())
    surfaces = [
        Surface(draws.uniform(0, 1, 6, 5) > 0.4, draws.uniform(-1, 1, 6, 5), draws.uniform(0.5, 1, 6, 5),
                tuple(draws.uniform(0, 1, 6, 5) for _ in range(3)))
        for _ in range(4)
    ]  # fmt: skip
    blank = torch.zeros(1, 6, 5)
    pictures = []
    for order in (surfaces, surfaces[::-1]):
        canvas = Canvas(blank - 9, blank, blank, blank)
        for surface in order:
            canvas = canvas.painted(surface)
        pictures.append(torch.stack(canvas))
    assert torch.equal(*pictures)
    for row in range(6):
        for column in range(5):
            place = (0, row, column)
            here = [s for s in surfaces if s.hit[place]]
            nearest = max(here, key=lambda s: float(s.depth[place]), default=None)
            seen = [float(c[place] * nearest.shade[place]) for c in nearest.colour] if nearest else [0.0] * 3
            assert pictures[0][1:, 0, row, column].tolist() == pytest.approx(seen)


def test_frames_are_drawn_alike_alone_and_together():
    people, track = frames_of(37, frames=1)
    renderer = Renderer((24, 12))
    together = renderer.figures(people, track, generator(9))
    parts, shape, box = project(people, track)
    x, y = _grid(box, (24, 12), generator(9))
    one = [slice(row, row + 1) for row in range(37)]
    alone = [
        rasterise(x[i], y[i], parts, *({name: column[i] for name, column in c.items()} for c in (shape, people, track)))
        for i in one
    ]
    expected = (torch.cat(alone).clamp(0, 1) * 255).round().to(torch.uint8)
    assert torch.equal(together, expected)
    assert together[:, 3].unique().tolist() == [0, 255]
    assert (together[:, 3].float().mean((1, 2)) > 40).all()


def test_what_draws_pixels_makes_nothing_on_another_device():
    """No GPU is at hand, but torch's `meta` device refuses tensors of another one all the same."""
    people, track = frames_of(2)
    parts, shape, box = project(people, track)
    x, y = (place.to("meta") for place in _grid(box, (16, 8), generator()))
    columns = ({name: column.to("meta") for name, column in c.items()} for c in (shape, people, track))
    figures = rasterise(x, y, parts, *columns)
    assert (figures.device.type, figures.shape) == ("meta", (2, 4, 16, 8))
