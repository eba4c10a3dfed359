"""Text that fits into its room: as much of both ends as there is place for."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.visualize.figures.text import fitting, width_of

signs = st.characters(min_codepoint=32, max_codepoint=126)


@settings(deadline=None)
@given(st.text(signs, max_size=40), st.floats(0.01, 3), st.sampled_from([6.0, 8.0, 12.5]), st.sampled_from(["normal", "bold"]))
def test_as_much_as_fits(text, room, size, weight):
    shown = fitting(text, room, size, weight)
    if width_of(text, size, weight) <= room:
        assert shown == text
        return
    kept = len(shown) - 1
    shortened = [f"{text[: (count + 1) // 2]}…{text[len(text) - count // 2 :]}" for count in range(len(text))]
    assert shown == shortened[kept]
    assert kept == 0 or width_of(shown, size, weight) <= room
    assert kept + 1 == len(text) or width_of(shortened[kept + 1], size, weight) > room


def test_the_width_is_that_of_the_letters_in_inches():
    assert width_of("", 8) == 0
    assert 0.9 < width_of("m" * 9, 8) < 1.1  # an m of this font is nearly as wide as the font is high, 8 / 72 inches
    assert abs(width_of("name", 16) - 2 * width_of("name", 8)) < 1e-3
    assert width_of("name", 8, "bold") > width_of("name", 8)
