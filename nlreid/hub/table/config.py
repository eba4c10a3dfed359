"""`config.json`: what a checkpoint is, as data that travels with its tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nlreid.errors import WeightsError
from nlreid.hub.table.fields import CLIP, LARGEST, MAYBE_TEXT, OBJECT, TEXT, Kind, check_fields, one_of, read_object, whole
from nlreid.hub.table.overrides import check_overrides

FORMAT = 1
ACTIONS, PERSONS = "action recognition", "person re-identification"
TASKS = (ACTIONS, PERSONS)
HEADS = ("linear", "bottleneck", "bnneck", "none")
METADATA_KEY = "nlreid"  # the one key of a file's metadata; with more, the bytes of a safetensors file are not stable


@dataclass(frozen=True)
class Config:
    """What a checkpoint is.

    Args:
        architecture: Name of the model in the zoo, without a tag.
        overrides: Fields of the model's spec, `clip` left out, in plain values; a file that the library writes names them all,
            so that a later change of the zoo changes nothing.
        clip: Fields of `ClipSpec`: frames, stride, size, mean, std.
        head: The kind of head that its tensors hold: `"linear"`, `"bottleneck"`, `"bnneck"` or `"none"`.
        num_classes: Outputs of its classifier; 0 without one.
        licence: SPDX identifier of the licence that the weights come under.
        origin: Where the weights come from, in plain values; keys as they are known: `name`, `url`, `sha256`, `recipe`, `note`.
        task: What it was trained for; a classifier of actions is not a head that a model for persons is given unasked.
        tag: The tag of its name, `"pyslowfast"`; empty for weights that have no name.
        version: The version of the library that wrote it.
    """

    architecture: str
    overrides: Mapping[str, Any]
    clip: Mapping[str, Any]
    head: str
    num_classes: int
    licence: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    task: str = PERSONS
    tag: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """Name of the model, with its tag where there is one."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture

    def to_json(self) -> str:
        """The text of `config.json`; the same config gives the same text."""
        return json.dumps({"format": FORMAT, "library": "nlreid", **asdict(self)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: object) -> Config:
        """Read what `to_json` wrote.

        Args:
            text: The text.
            where: Where it was read, for messages.

        Raises:
            WeightsError: If it is damaged, of a newer format, or no config of this library.
        """
        content = read_object(text, where)
        if content.pop("library", None) != "nlreid":
            raise WeightsError(f"{where}: describes no checkpoint of nlreid; wanted is what nlreid.save_pretrained writes")
        _check_format(content.pop("format", None), content, where)
        check_fields(where, content, _FIELDS)
        check_fields(f"{where}: clip", content["clip"], CLIP)
        check_overrides(f"{where}: overrides", content["overrides"])
        return cls(**content)


def _check_format(version: Any, content: Mapping[str, Any], where: object) -> None:
    if type(version) is not int or version < 1:
        raise WeightsError(f"{where}: its format is {version!r}; known is {FORMAT}")
    if version > FORMAT:
        raise WeightsError(
            f"{where}: its format {version} is newer than {FORMAT}, the newest known here; update nlreid "
            f"(it was written by {content.get('version') or 'an unnamed version'})"
        )


_FIELDS: Mapping[str, Kind] = {
    "architecture": TEXT,
    "overrides": OBJECT,
    "clip": OBJECT,
    "head": one_of(HEADS),
    "num_classes": whole(0, LARGEST),
    "licence": TEXT,
    "origin": OBJECT,
    "task": one_of(TASKS),
    "tag": MAYBE_TEXT,
    "version": MAYBE_TEXT,
}
