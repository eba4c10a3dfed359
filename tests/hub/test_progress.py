"""A progress bar hands on what it is given, one at a time, holds nothing, and can be silent."""

import weakref

import pytest
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from nlreid.hub.progress import counting_bar, progress_bar


class Thing:
    """Something that can be watched going away."""


@pytest.mark.parametrize("show", [True, False])
def test_items_come_one_at_a_time_and_are_not_held(show):
    made = []

    def things():
        for count in range(4):
            assert [reference() for reference in made] == [None] * count
            thing = Thing()
            made.append(weakref.ref(thing))
            yield thing
            del thing

    taken = 0
    for thing in progress_bar(things(), "going", "things", show=show):
        taken += 1
        assert len(made) == taken
        assert made[-1]() is thing
        del thing
    assert taken == 4


def test_the_bar_counts(capsys):
    assert list(progress_bar([5, 6, 7], "going", "things", show=True)) == [5, 6, 7]
    assert list(progress_bar(iter("ab"), "reading", "letters", show=True)) == ["a", "b"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "going: 100%" in shown.err
    assert "3/3" in shown.err
    assert "reading: 2 letters" in shown.err


def test_silence(capsys):
    assert list(progress_bar([5, 6, 7], "going", "things", show=False)) == [5, 6, 7]
    disable_progress_bars()
    try:
        assert list(progress_bar([5, 6, 7], "going", "things", show=True)) == [5, 6, 7]
    finally:
        enable_progress_bars()
    assert capsys.readouterr() == ("", "")


def test_the_bar_ends_when_its_loop_breaks(capsys):
    bar = progress_bar(range(3), "going", "things", show=True)
    next(bar)
    bar.close()
    assert capsys.readouterr().err.endswith("\n")


def test_work_that_says_how_far_it_is(capsys):
    with counting_bar("going", "things", show=True) as progress:
        progress(2, 5)
        progress(5, 5)
    shown = capsys.readouterr().err
    assert "going: 100%" in shown
    assert "5/5" in shown
    assert shown.endswith("\n")
    with counting_bar("going", "things", show=False) as progress:
        progress(5, 5)
    assert capsys.readouterr() == ("", "")
