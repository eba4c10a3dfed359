"""Who people are: look-alikes that share what they should, and pictures that tell people apart."""

from __future__ import annotations

import colorsys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.data.datasets.synthetic import UNRELATED, LookAlikes
from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.figures import Renderer
from nlreid.data.datasets.synthetic.identity import PATTERNS, draw_identities
from nlreid.data.datasets.synthetic.wardrobe import cloth, hsv_to_rgb

pytestmark = pytest.mark.usefixtures("one_thread")

GROUPS = {  # a column of each group that no two people share by chance
    "upper": "puff",
    "logo": "frequency",
    "lower": "leg",
    "hair": "volume",
    "bag": "bag_size",
    "shoes": "shoe",
    "build": "girth",
    "gait": "stride",
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def changed_groups(people, row, first):
    """Which groups two people do not share; colours that differ in shade alone are shared."""
    found = set()
    for group, column in GROUPS.items():
        one, other = people[column][row], people[column][first]
        allowed = 0.25 * other + 0.02 if len(one) == 3 else 0  # black has hardly a shade
        if bool(((one - other).abs() > allowed).any()):
            found.add(group)
    return found


def test_columns_are_what_they_are_said_to_be():
    people = draw_identities(50, generator())
    assert all(column.shape in ((50, 1), (50, 3), (50, len(PATTERNS))) for column in people.values())
    assert torch.equal(people["pattern"].sum(1), torch.ones(50))
    for name in ("upper", "upper2", "inner", "lower", "shoe", "sole", "hair", "hat_colour", "bag", "scarf_colour", "skin"):
        assert people[name].shape == (50, 3)
        assert 0 <= people[name].min() <= people[name].max() <= 1


def test_unrelated_people_share_nothing():
    people = draw_identities(60, generator())
    assert all(len(people[column].unique(dim=0)) == 60 for column in GROUPS.values())
    nobody_copies = draw_identities(60, generator(), LookAlikes(family=4, share=0.0, twins=1.0))
    assert all(torch.equal(nobody_copies[name], column) for name, column in people.items())


def test_twins_differ_in_their_gait_or_their_pattern_alone():
    people = draw_identities(400, generator(), LookAlikes(family=4, share=1.0, twins=1.0))
    changed = [changed_groups(people, row, row // 4 * 4) for row in range(400) if row % 4]
    assert {frozenset(one) for one in changed} == {frozenset({"gait"}), frozenset({"logo"})}
    assert 100 < changed.count({"gait"}) < 200


def test_look_alikes_differ_in_one_to_three_groups():
    people = draw_identities(400, generator(), LookAlikes(family=4, share=1.0, twins=0.0))
    changed = [changed_groups(people, row, row // 4 * 4) for row in range(400) if row % 4]
    counts = [len(one - {"shoes"}) for one in changed]  # of shoes, other colours may look like another shade
    assert set(counts) == {0, 1, 2, 3}
    assert set.union(*changed) == set(GROUPS)
    first_of_families = [len(changed_groups(people, row, row - 4)) for row in range(4, 400, 4)]
    assert min(first_of_families) >= len(GROUPS) - 1


def test_some_of_a_family_copy_and_some_do_not():
    people = draw_identities(800, generator(), LookAlikes(family=4, share=0.5, twins=0.0))
    copies = [len(changed_groups(people, row, row // 4 * 4)) <= 3 for row in range(800) if row % 4]
    assert 0.4 < sum(copies) / len(copies) < 0.6


@settings(deadline=None)
@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_colours_are_those_of_colorsys(colour):
    hue, saturation, value = colour
    expected = colorsys.hsv_to_rgb(hue % 1, saturation, max(value, 0.02))
    assert hsv_to_rgb(torch.tensor([colour]))[0].tolist() == pytest.approx(expected, abs=2e-5)


def test_dark_clothes_are_the_rule():
    draws = Draws(4000, generator())
    dark = {use: (cloth(draws, use).amax(1) < 0.3).float().mean() for use in ("upper", "lower", "shoe")}
    assert 0.35 < dark["upper"] < 0.6
    assert dark["lower"] > 0.4
    assert dark["shoe"] > 0.5


def test_somebody_looks_more_like_himself_than_like_others():
    """By the mean colour of what is covered between shoulders and hips, in other walks, directions and lights."""
    count, walks = 12, 6
    people = draw_identities(count, generator(3), UNRELATED)
    repeated = {name: column.repeat_interleave(walks, 0) for name, column in people.items()}
    figures = Renderer((32, 16)).tracks(repeated, torch.full((count * walks, 1), 0.2), 2, generator(4)).float() / 255
    torsos = figures[..., 6:15, :]
    covered = torsos[:, :, 3:]
    colours = (torsos[:, :, :3] * covered).sum((1, 3, 4)) / covered.sum((1, 3, 4))
    distances = torch.cdist(colours, colours)
    alike = torch.arange(count).repeat_interleave(walks)[:, None] == torch.arange(count).repeat_interleave(walks)
    assert distances[alike].mean() < 0.4 * distances[~alike].mean()
    nearest = distances.fill_diagonal_(9).argmin(1)
    assert (nearest // walks == torch.arange(count * walks) // walks).float().mean() > 0.5
