from __future__ import annotations

from pathlib import Path

import pytest

from nlreid.data.datasets.published import PUBLISHED, Counts, check_counts
from nlreid.errors import DataError

ROOT = Path("somewhere") / "MARS"


def test_what_agrees_has_no_notes():
    assert check_counts("MARS", ROOT, {"queries": 1980, "junk": 870}, {"queries": 1980, "boxes": 5}, partial=False) == ()


def test_what_differs_is_an_error_that_says_where_what_and_what_to_do():
    with pytest.raises(DataError) as caught:
        check_counts("MARS", ROOT, {"queries": 1, "cameras": 6}, {"queries": 1980, "cameras": 6}, partial=False)
    assert str(caught.value) == (
        f"{ROOT}: not the whole of MARS: queries: 1 found, 1,980 published; "
        "unpack or download it again, or pass partial=True to read what is there"
    )


def test_partial_gives_the_same_as_notes():
    notes = check_counts("MARS", ROOT, {"a": 1, "b": 2}, {"a": 2, "b": 3}, partial=True, missing=list("vwxyz"))
    assert notes == ("a: 1 found, 2 published", "b: 2 found, 3 published", "missing: 5 (v, w, x, …)")


@pytest.mark.parametrize("partial", [False, True])
def test_a_missing_path_counts_also_where_the_numbers_agree(partial):
    if partial:
        assert check_counts("MARS", ROOT, {}, {}, partial=True, missing=["x"]) == ("missing: 1 (x)",)
    else:
        with pytest.raises(DataError, match=r"missing: 1 \(x\)"):
            check_counts("MARS", ROOT, {}, {}, partial=False, missing=["x"])


def test_only_published_numbers_are_known():
    assert Counts(source="a paper", identities=3, train_boxes=0).known() == {"identities": 3, "train boxes": 0}


def test_the_parts_of_a_data_set_sum_to_the_whole():
    mars, ls_vid = PUBLISHED["mars"], PUBLISHED["ls_vid"]
    assert mars.train_tracklets + mars.test_tracklets == mars.tracklets
    assert mars.train_boxes + mars.test_boxes == mars.boxes
    assert ls_vid.train_identities + 200 + ls_vid.test_identities == ls_vid.identities  # 200 persons to validate with
    assert ls_vid.train_boxes + 155_191 + ls_vid.test_boxes == ls_vid.boxes
