"""What a person has to say about a checkpoint that is published: its licence above all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nlreid.errors import InputError, shorten, unknown_name
from nlreid.hub.table.config import TASKS
from nlreid.hub.table.licences import spdx_licence
from nlreid.hub.table.manifest import Score
from nlreid.hub.table.manifest_check import SCORE

LIMITS = (
    "Re-identification is surveillance technology: use it on people who know and agree. Embeddings of people are personal "
    "data. How well it works on people, places and cameras other than those of its training data is not known, unless a score "
    "says so."
)


@dataclass(frozen=True)
class ModelCard:
    """What is said about a checkpoint.

    Args:
        licence: SPDX identifier of the licence that the weights come under; there is no default.
        summary: What it is, in Markdown.
        training_data: What it was trained on, in Markdown.
        scores: What somebody got with it, and who.
        task: `"person re-identification"` or `"action recognition"`; by default what the model was loaded as, else persons.
        origin: Where the weights come from, in plain values; by default what the model was loaded from.
        limits: What it should not be used for, in Markdown.
        licence_name: Name of a licence that the Hub does not know.
        licence_link: Address of the text of that one.

    Raises:
        InputError: If the licence is missing, or a value does not fit.
    """

    licence: str
    summary: str = ""
    training_data: str = ""
    scores: tuple[Score, ...] = ()
    task: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    limits: str = LIMITS
    licence_name: str = ""
    licence_link: str = ""

    def __post_init__(self) -> None:
        for name in ("summary", "training_data", "limits", "licence_name", "licence_link"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} of a card is a text; got {getattr(self, name)!r}")
        object.__setattr__(self, "licence", self._licence())
        if self.task and self.task not in TASKS:
            raise unknown_name("task of a card", self.task, TASKS)
        if not all(isinstance(score, Score) for score in self.scores):
            raise InputError(
                f"scores of a card are nlreid.hub.table.manifest.Score, or mappings of its fields; got {self.scores!r}"
            )
        for score in self.scores:
            _check_score(vars(score))
        _check_plain(self.origin)

    def _licence(self) -> str:
        """A licence that the Hub does not know is taken as it is, when its text can be found."""
        if not self.licence_name and not self.licence_link:
            return spdx_licence(self.licence)
        if not (self.licence_name.strip() and self.licence_name.isprintable()) or not re.fullmatch(
            r"https://\S+", self.licence_link
        ):
            raise InputError(
                "a licence of one's own has a licence_name, in one line, and a licence_link that begins with https://; "
                f"got {self.licence_name!r} and {self.licence_link!r}"
            )
        if not isinstance(self.licence, str) or not re.fullmatch(r"[A-Za-z0-9.+-]+", self.licence):
            raise InputError(f"licence is an SPDX identifier, as in 'LicenseRef-ours'; got {self.licence!r}")
        return self.licence


def as_card(card: ModelCard | Mapping[str, Any]) -> ModelCard:
    """A card from a mapping of its fields.

    >>> as_card({"licence": "mit"}).licence
    'MIT'

    Raises:
        InputError: If it is neither, the licence is missing, or a value does not fit.
        UnknownNameError: If there is no such field.
    """
    if isinstance(card, ModelCard):
        return card
    if not isinstance(card, Mapping):
        raise InputError(f"card is a ModelCard, or a mapping of its fields with at least 'licence'; got {card!r}")
    allowed = [entry.name for entry in fields(ModelCard)]
    for name in card:
        if name not in allowed:
            raise unknown_name("field of a card", name, allowed)
    values = {"licence": None, **card}
    if not isinstance(values.get("scores", ()), list | tuple):
        raise InputError(f"scores of a card are a list; got {values['scores']!r}")
    values["scores"] = tuple(_as_score(score) for score in values.get("scores", ()))
    return ModelCard(**values)


def with_defaults(card: ModelCard, task: str, origin: Mapping[str, Any]) -> ModelCard:
    """The card with what the model itself knows, where the card says nothing."""
    return replace(card, task=card.task or task, origin=card.origin or origin)


def _as_score(score: Any) -> Any:
    if not isinstance(score, Mapping):
        return score
    _check_score(score)
    return Score(**score)


def _check_score(score: Mapping[str, Any]) -> None:
    if score.keys() != SCORE.keys():
        raise InputError(f"a score has {', '.join(SCORE)}; got {', '.join(map(str, score)) or 'nothing'}")
    for name, value in score.items():
        if not SCORE[name].fits(value):
            raise InputError(f"{name} of a score is {SCORE[name].wanted}; got {_shown(value)}")


def _check_plain(origin: object) -> None:
    try:
        plain = isinstance(origin, Mapping) and json.loads(json.dumps(dict(origin), allow_nan=False)) == dict(origin)
    except (TypeError, ValueError, RecursionError):
        plain = False
    if not plain:
        raise InputError(
            "origin of a card is a mapping of texts, numbers and lists, as JSON has them and another program reads them back; "
            f"got {_shown(origin)}"
        )


def _shown(value: object) -> str:
    try:
        return shorten(repr(value))
    except (ValueError, RecursionError):  # Python writes no number of so many digits, and nothing that is so deep
        return f"something of type {type(value).__name__} that cannot be written"
