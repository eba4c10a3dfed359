"""What a data set gives: tracklets to train on, to search with and to search in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError

JUNK = -1  # pid of tracklets that count neither as right nor as wrong
DISTRACTOR = 0  # pid of tracklets that are of nobody searched for, and wrong for every query

_COLUMNS = ("part", "identities", "tracklets", "boxes", "cameras", "distractors", "junk", "frames (min/mean/max)")


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of a data set, each in a fixed order.

    Args:
        name: Which data set and protocol this is, for people to read.
        train: Tracklets to train on; their identities do not come in the other parts.
        query: Tracklets to search with.
        gallery: Tracklets to search in; a protocol may have the queries among them.
        notes: What differs from the published data set: what is missing, left out, or has no right answer.

    Raises:
        InputError: If a name comes twice in a part, a tracklet has no pid, one of query or gallery has no camid, or an
            argument has another type.
    """

    name: str
    train: tuple[Tracklet, ...]
    query: tuple[Tracklet, ...]
    gallery: tuple[Tracklet, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the name of a split is text; got {self.name!r:.80}")
        for part in ("train", "query", "gallery", "notes"):
            object.__setattr__(self, part, _as_tuple(f"{part} of {self.name}", getattr(self, part)))
        if not all(isinstance(note, str) for note in self.notes):
            raise InputError(f"notes of {self.name}: wanted text; got {self.notes!r:.80}")
        for part in ("train", "query", "gallery"):
            _check_part(f"{part} of {self.name}", getattr(self, part), needs_camid=part != "train")

    def __repr__(self) -> str:
        parts = ", ".join(f"{part}: {len(getattr(self, part)):,}" for part in ("train", "query", "gallery", "notes"))
        return f"Split({self.name!r}, {parts})"

    @property
    def num_classes(self) -> int:
        """How many identities there are to train on."""
        return len(self.train_labels())

    def train_labels(self) -> dict[int, int]:
        """The class of each identity of `train`: 0..n-1, by rising pid."""
        return {pid: label for label, pid in enumerate(sorted({t.pid for t in self.train if t.pid is not None}))}

    def summary(self) -> str:
        """The data set in numbers (Table 1 of arXiv 1807.05073), a line for each part, then one for each note.

        Distractors (pid 0, where no query and none of `train` has it) and junk (pid -1) are tracklets, not identities.
        A tracklet that is both in `query` and in `gallery` is one of the total. Frames are those of a tracklet.
        """
        total = list({id(t): t for t in (*self.train, *self.query, *self.gallery)}.values())
        parts = {"train": self.train, "query": self.query, "gallery": self.gallery, "total": total}
        distractors = DISTRACTOR not in {t.pid for t in (*self.train, *self.query)}  # else 0 is a person like others
        rows = [_COLUMNS, *((name, *_numbers(part, distractors=distractors)) for name, part in parts.items())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([self.name, *table, *(f"note: {note}" for note in self.notes)])


def unanswered(query: Sequence[Tracklet], gallery: Sequence[Tracklet]) -> tuple[Tracklet, ...]:
    """The queries without a right answer: no tracklet of the gallery is of the same person in another camera.

    Args:
        query: Tracklets to search with, with pid and camid.
        gallery: Tracklets to search in, with pid and camid.
    """
    cameras: dict[int | None, set[int | None]] = {}
    for tracklet in gallery:
        cameras.setdefault(tracklet.pid, set()).add(tracklet.camid)
    return tuple(tracklet for tracklet in query if not cameras.get(tracklet.pid, set()) - {tracklet.camid})


def _as_tuple(what: str, values: object) -> tuple[object, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Tracklet):
        raise InputError(f"{what}: wanted a tuple, also of nothing or of one; got {values!r:.80}")
    return tuple(values)


def _check_part(part: str, tracklets: Sequence[Tracklet], *, needs_camid: bool) -> None:
    names = set[str]()
    for tracklet in tracklets:
        if not isinstance(tracklet, Tracklet):
            raise InputError(f"{part}: wanted tracklets; got {type(tracklet).__qualname__}")
        if tracklet.name in names:
            raise InputError(f"{part}: two tracklets are called {tracklet.name!r}; names are unique within a part")
        if tracklet.pid is None or (needs_camid and tracklet.camid is None):
            wanted = "pid and camid" if needs_camid else "pid"
            raise InputError(
                f"{part}: tracklet {tracklet.name!r} needs {wanted}; it has pid {tracklet.pid}, camid {tracklet.camid}"
            )
        names.add(tracklet.name)


def _numbers(tracklets: Sequence[Tracklet], *, distractors: bool) -> list[str]:
    lengths = [len(tracklet) for tracklet in tracklets]
    pids = [tracklet.pid for tracklet in tracklets]
    counts = [
        len(set(pids) - ({JUNK, DISTRACTOR} if distractors else {JUNK})),
        len(tracklets),
        sum(lengths),
        len({tracklet.camid for tracklet in tracklets} - {None}),
        pids.count(DISTRACTOR) if distractors else 0,
        pids.count(JUNK),
    ]
    frames = f"{min(lengths)}/{sum(lengths) / len(lengths):.1f}/{max(lengths)}" if lengths else "-"
    return [*(f"{count:,}" for count in counts), frames]
