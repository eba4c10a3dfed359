"""The data sets by name: which reader, how many splits, which options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nlreid.data.datasets.ilids_vid import read_ilids_vid
from nlreid.data.datasets.ls_vid import read_ls_vid
from nlreid.data.datasets.mars import read_mars
from nlreid.data.datasets.people import read_people
from nlreid.data.datasets.prid2011 import read_prid2011
from nlreid.data.datasets.synthetic.people import Progress
from nlreid.data.datasets.synthetic.reader import read_synthetic
from nlreid.data.split import Split
from nlreid.errors import InputError, unknown_name, whole_number


@dataclass(frozen=True)
class Dataset:
    """How a data set is read.

    Args:
        read: The reader: `read(root, **options)`, also with `split` where there are several; of a data set that is drawn
            `read(progress=…, **options)`.
        description: What it is, in a line.
        splits: How many splits its results are averaged over.
        options: The options of the reader beside `split` and `partial`.
        published: Whether there are published numbers: then the reader has the option `partial`.
        drawn: Whether it is drawn rather than read, and so lies nowhere.
    """

    read: Callable[..., Split]
    description: str
    splits: int = 1
    options: tuple[str, ...] = ()
    published: bool = True
    drawn: bool = False


_OF_DRAWN = ("seed", "identities", "cameras", "tracklets", "frames", "size", "train_identities", "train_cameras", "strength")

DATASETS: dict[str, Dataset] = {
    "mars": Dataset(
        read_mars, "MARS: 1,259 persons and distractors, 6 cameras, 20,478 tracklets (ECCV 2016)", options=("protocol",)
    ),
    "ls_vid": Dataset(read_ls_vid, "LS-VID: 3,772 persons, 15 cameras, 14,943 tracklets (ICCV 2019)"),
    "ilids_vid": Dataset(read_ilids_vid, "iLIDS-VID: 300 persons, 2 cameras, 600 tracklets, 10 splits (ECCV 2014)", splits=10),
    "prid2011": Dataset(
        read_prid2011,
        "PRID 2011: 200 persons in both of 2 cameras, 400 tracklets, 10 splits (SCIA 2011)",
        splits=10,
        options=("splits", "min_frames"),
    ),
    "people": Dataset(read_people, "Your own: folders person/camera/track of pictures", published=False),
    "synthetic": Dataset(
        read_synthetic,
        "People who are drawn from a seed: 50 persons, 2 cameras, 100 tracklets, or as many as you ask for",
        options=_OF_DRAWN,
        published=False,
        drawn=True,
    ),
}


def is_drawn(name: object) -> bool:
    """Whether this is the name of a data set that is drawn, and so lies nowhere."""
    return isinstance(name, str) and name in DATASETS and DATASETS[name].drawn


def read_splits(
    name: str,
    root: Path | str | None = None,
    *,
    split: int | None = None,
    partial: bool = False,
    progress: Progress | None = None,
    **options: object,
) -> tuple[Split, ...]:
    """The splits of a data set, over which its results are averaged: ten of iLIDS-VID and PRID 2011, one of the others.

    Args:
        name: A name of `DATASETS`.
        root: Where the data set lies; `"synthetic"` lies nowhere.
        split: Only this one, counted from 0.
        partial: Read what is there where something is missing, see the reader; `"people"` and `"synthetic"` are never found
            incomplete.
        progress: Called with how many tracklets are drawn, of how many; where nothing is drawn it is not called.
        options: Those that the reader takes, see `DATASETS`.

    Raises:
        UnknownNameError: If there is no data set of that name.
        InputError: If there is no such split, for an option that the data set does not take, or if there is no root where one
            is needed, or one where none is.
        DataError: If the data set is not there, not whole or damaged, see the reader.
        MissingExtraError: If SciPy is needed and not installed.
    """
    dataset = DATASETS.get(name) if isinstance(name, str) else None
    if dataset is None:
        raise unknown_name("data set", name, DATASETS)
    surplus = sorted(set(options) - set(dataset.options))
    if surplus:
        allowed = ", ".join(("split", "partial", *dataset.options))
        raise InputError(f"the data set {name!r} does not take {', '.join(map(repr, surplus))}; it takes {allowed}")
    if split is not None and whole_number("split", split, least=0) >= dataset.splits:
        raise InputError(f"the data set {name!r} has splits 0 to {dataset.splits - 1}; got split={split}")
    if dataset.drawn:
        if root is not None:
            raise InputError(f"the data set {name!r} is drawn and lies nowhere; got root={str(root)!r}: leave it out")
        return (dataset.read(progress=progress, **options),)
    if root is None:
        raise InputError(f"the data set {name!r} is read from a folder; say which: read_splits({name!r}, root)")
    if dataset.published:
        options["partial"] = partial
    if dataset.splits == 1:
        return (dataset.read(root, **options),)
    chosen = range(dataset.splits) if split is None else (split,)
    return tuple(dataset.read(root, split=number, **options) for number in chosen)
