"""Text that fits into its room."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.visualize.drawing import fitting, font


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40), st.integers(1, 200))
def test_as_much_as_fits(text, width):
    shown, own = fitting(text, width), font()
    if own.getlength(text) <= width:
        assert shown == text
        return
    kept = shown.removesuffix("…")
    assert text.startswith(kept)
    assert shown != kept
    assert own.getlength(shown) <= width or not kept
    longer = len(kept) + 1
    assert longer >= len(text) or own.getlength(f"{text[:longer]}…") > width
