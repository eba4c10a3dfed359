"""Ranked lists: who is looked for, who was found, nearest first, and who of those is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlreid.data.split import JUNK
from nlreid.data.tracklet import Tracklet
from nlreid.errors import InputError, real_number


@dataclass(frozen=True, eq=False)
class RankedList:
    """Who was looked for, and who was found.

    Args:
        query: Who was looked for.
        answers: Who was found, nearest first; may be nobody.
        distances: How far each answer is from the query.
        title: What is written above, such as what ranked them.

    Raises:
        InputError: If something is no tracklet or no finite number, or there are not as many distances as answers.
    """

    query: Tracklet
    answers: Sequence[Tracklet]
    distances: Sequence[float]
    title: str = ""

    def __post_init__(self) -> None:
        for tracklet in (self.query, *self.answers):
            if not isinstance(tracklet, Tracklet):
                raise InputError(f"query and answers of a ranked list are tracklets; got {type(tracklet).__qualname__}")
        if len(self.answers) != len(self.distances):
            raise InputError(f"a distance for each of {len(self.answers)} answers is wanted; got {len(self.distances)}")
        for distance in self.distances:
            real_number("each distance of a ranked list", distance)

    def right(self, place: int) -> bool | None:
        """Whether an answer is of the same person as the query; None where that is not known, or the answer is junk.

        Args:
            place: Which answer, from 0.
        """
        asked, found = self.query.pid, self.answers[place].pid
        return None if asked is None or found is None or JUNK in (asked, found) else asked == found
