"""Heat over photographs: the more, the lighter."""

import numpy as np

from nlreid.visualize.heat import heated


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
