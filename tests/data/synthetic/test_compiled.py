"""The compiled rasteriser draws what the plain one draws. It takes a minute to compile."""

from __future__ import annotations

import pytest

from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.datasets.synthetic.training import training_figures


@pytest.mark.sweep
@pytest.mark.filterwarnings("default")  # of the compiler
def test_compiled_figures_are_those_of_the_plain_form():
    people = SyntheticPeople(identities=0, train_identities=6, train_cameras=3, frames=3, size=(64, 32))  # 54 frames: 32 and 22
    plain, compiled = (training_figures(people, compiled=form)[0].int() for form in (False, True))
    edges = (plain[:, :, 3] != compiled[:, :, 3]).float().mean()
    assert edges < 1e-4  # a pixel whose centre lies on an outline may fall to either side
    difference = (plain - compiled).abs().amax(2)
    assert (difference > 1).float().mean() < 1e-3
