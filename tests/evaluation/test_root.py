"""Roots of distances are rounded as IEEE 754 asks, in place, in any company."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from nlreid.evaluation.distances.exact import root

numbers = st.floats(0, 1e300)


@given(st.lists(numbers, min_size=1, max_size=40))
def test_roots_are_those_of_python(values):
    squares = torch.tensor(values, dtype=torch.float64)
    rooted = root(squares)
    assert rooted.data_ptr() == squares.data_ptr()
    assert rooted.tolist() == [math.sqrt(value) for value in values]


def test_the_root_of_eight():
    assert root(torch.full((17,), 8.0, dtype=torch.float64)).unique().tolist() == [math.sqrt(8)]
