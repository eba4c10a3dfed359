"""How large the data sets are by their publications, and whether what lies on a disk is all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from nlreid.errors import DataError

_SHOWN = 3  # missing paths that a message spells out


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The published numbers of one data set; None where the publication does not say or the sources disagree.

    Args:
        source: Where the numbers stand.
        identities: Persons; MARS counts its two labels for distractors and junk among them.
        tracklets: Tracklets of all parts.
        boxes: Pictures of all parts.
        cameras: Cameras.
        train_identities: Persons to train on.
        train_tracklets: Tracklets to train on.
        train_boxes: Pictures to train on.
        test_identities: Persons to search for and in.
        test_tracklets: Tracklets of the test part: queries, gallery, distractors and junk.
        test_boxes: Pictures of them.
        distractors: Tracklets of the test part that are of nobody who is searched for.
        junk: Tracklets of the test part that count neither as right nor as wrong.
        queries: Tracklets to search with.
    """

    source: str
    identities: int | None = None
    tracklets: int | None = None
    boxes: int | None = None
    cameras: int | None = None
    train_identities: int | None = None
    train_tracklets: int | None = None
    train_boxes: int | None = None
    test_identities: int | None = None
    test_tracklets: int | None = None
    test_boxes: int | None = None
    distractors: int | None = None
    junk: int | None = None
    queries: int | None = None

    def known(self) -> dict[str, int]:
        """The numbers that are published, by what they count: `{"train tracklets": 8298, ...}`."""
        numbers = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self) if field.name != "source"}
        return {name: number for name, number in numbers.items() if number is not None}


# Zheng et al. print 20,715 tracklets and 1,067,516 boxes; the files that they published, and most papers since, have these.
_MARS = Counts(
    source="Zheng et al., MARS: A Video Benchmark for Large-Scale Person Re-identification, ECCV 2016, with its info/*.mat",
    identities=1261,
    tracklets=20478,
    boxes=1191003,
    cameras=6,
    train_identities=625,
    train_tracklets=8298,
    train_boxes=509914,
    test_tracklets=12180,
    test_boxes=681089,
    distractors=3248,
    junk=870,
    queries=1980,
)
# The paper counts its three parts in identities and boxes; tracklets and queries are those that public readers count.
_LS_VID = Counts(
    source="Li et al., Global-Local Temporal Representations for Video Person Re-Identification, ICCV 2019, arXiv 1908.10049",
    identities=3772,
    tracklets=14943,
    boxes=2982685,
    cameras=15,
    train_identities=842,
    train_tracklets=2831,
    train_boxes=550419,
    test_identities=2730,
    test_tracklets=11333,
    test_boxes=2277075,
    queries=3504,
)
_ILIDS_VID = Counts(
    source="Wang et al., Person Re-identification by Video Ranking, ECCV 2014", identities=300, tracklets=600, cameras=2
)
_PRID2011 = Counts(
    source="Hirzer et al., Person Re-identification by Descriptive and Discriminative Classification, SCIA 2011; "
    "the persons that both cameras saw",
    identities=200,
    tracklets=400,
    cameras=2,
)
PUBLISHED: dict[str, Counts] = {"mars": _MARS, "ls_vid": _LS_VID, "ilids_vid": _ILIDS_VID, "prid2011": _PRID2011}


def check_counts(
    name: str,
    root: Path,
    found: Mapping[str, int],
    published: Mapping[str, int],
    *,
    partial: bool,
    missing: Sequence[str] = (),
) -> tuple[str, ...]:
    """Compare what was found on a disk with what was published.

    Args:
        name: The data set, for people to read.
        root: Where it lies.
        found: How many there are, by what is counted.
        published: How many there should be, as from `Counts.known`; what `found` does not have is not compared.
        partial: Whether a part of the data set will do.
        missing: Paths that should be there and are not.

    Returns:
        One sentence for each number that differs and one for the missing paths; none where all is as published.

    Raises:
        DataError: If something differs or is missing, unless `partial`.
    """
    differences = [
        f"{what}: {found[what]:,} found, {number:,} published"
        for what, number in published.items()
        if found.get(what, number) != number
    ]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        differences.append(f"missing: {len(missing):,} ({shown})")
    if differences and not partial:
        raise DataError(
            f"{root}: not the whole of {name}: {'; '.join(differences)}; "
            f"unpack or download it again, or pass partial=True to read what is there"
        )
    return tuple(differences)
