"""What an entry of the table of weights must hold, so that a slip in the file is an error and not a wrong download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nlreid.errors import WeightsError
from nlreid.hub.table.config import HEADS, TASKS
from nlreid.hub.table.fields import (
    CLIP,
    FLAG,
    LARGEST,
    OBJECT,
    TEXT,
    Kind,
    check_fields,
    list_of,
    matching,
    number,
    one_of,
    or_null,
    read_object,
    whole,
)
from nlreid.hub.table.overrides import check_overrides

FORMAT = 1
STATUSES = ("shipped", "published", "upstream", "recipe")
FORMATS = ("caffe2", "torch", "safetensors")

_NAME = r"[a-z0-9]+(_[a-z0-9]+)*"
_URL = matching(r"https://[^\s/]+/\S+", "an address that begins with https://")
_MAYBE_URL = Kind(f"{_URL.wanted}, or empty", lambda value: value == "" or _URL.fits(value))
_HUB: Mapping[str, Kind] = {
    "repo": matching(r"[\w-][\w.-]*/[\w-][\w.-]*", "org/name"),
    "revision": matching(r"[0-9a-f]{40}", "a commit, 40 hex digits"),
}
_CHECKSUMS: Mapping[str, Kind] = {
    "sha256": or_null(matching(r"[0-9a-f]{64}", "64 hex digits")),
    "sha256_prefix": or_null(matching(r"[0-9a-f]{8,63}", "8 to 63 hex digits")),
    "sha1": or_null(matching(r"[0-9a-f]{40}", "40 hex digits")),
    "size": or_null(whole(1)),
}
_LICENCE: Mapping[str, Kind] = {"id": TEXT, "evidence": TEXT, "redistribution": FLAG}
SCORE: Mapping[str, Kind] = {
    "dataset": TEXT,
    "metric": TEXT,
    "value": number("a fraction of 1", lambda value: 0 <= value <= 1),
    "by": matching(r"(reported by|measured here,) \S.*", "'reported by …' or 'measured here, …'"),
}
_REQUIRED: Mapping[str, Kind] = {
    "title": TEXT,
    "status": one_of(STATUSES),
    "format": one_of(FORMATS),
    "recipe": matching(_NAME, "the name of a recipe"),
    "licence": OBJECT,
    "overrides": OBJECT,
    "clip": OBJECT,
    "num_classes": whole(1, LARGEST),
}
_OPTIONAL: Mapping[str, Kind] = {
    "url": _MAYBE_URL,
    "page": _MAYBE_URL,
    "hub": or_null(OBJECT),
    "checksums": OBJECT,
    "training_data": TEXT,
    "scores": list_of(OBJECT),
    "task": one_of(TASKS),
    "default_for": list_of(matching(_NAME, "a name")),
}
_TRAINING: Mapping[str, Kind] = {"recipe": TEXT, "seed": whole(0), "hardware": TEXT, "time": TEXT, "command": TEXT}
_SHIPPED: Mapping[str, Kind] = {  # of our own nothing is unknown
    **_REQUIRED,
    "format": one_of(("safetensors",)),
    "recipe": one_of(("nlreid",)),
    "head": one_of(HEADS),
    "num_classes": whole(0, LARGEST),
    "checksums": OBJECT,
    "task": one_of(TASKS),
    "training_data": TEXT,
    "training": OBJECT,
    "scores": list_of(OBJECT),
}


def check_manifest(text: str | bytes, where: object) -> dict[str, dict[str, Any]]:
    """The contents of the entries of a manifest, by name, when nothing is wrong with them.

    Raises:
        WeightsError: If anything is; it names the entry and the field.
    """
    content = read_object(text, where)
    check_fields(
        where, content, {"format": Kind(f"{FORMAT}", lambda value: type(value) is int and value == FORMAT), "entries": OBJECT}
    )
    entries: dict[str, dict[str, Any]] = content["entries"]
    for name, entry in entries.items():
        _check_entry(f"{where}: {name}", name, entry)
    _check_defaults(where, entries)
    return entries


def _check_entry(where: str, name: str, entry: dict[str, Any]) -> None:
    if not matching(rf"{_NAME}\.{_NAME}", "").fits(name):
        raise WeightsError(f"{where}: an entry is called model.tag, in lower-case letters, digits and '_'")
    if isinstance(entry, dict) and entry.get("status") == "shipped":
        check_fields(where, entry, _SHIPPED, {"default_for": _OPTIONAL["default_for"]})
        check_fields(f"{where}: training", entry["training"], _TRAINING)
    else:
        check_fields(where, entry, _REQUIRED, _OPTIONAL)
    check_fields(f"{where}: licence", entry["licence"], _LICENCE)
    check_fields(f"{where}: clip", entry["clip"], CLIP)
    check_overrides(f"{where}: overrides", entry["overrides"])
    check_fields(f"{where}: checksums", entry.get("checksums", {}), {}, _CHECKSUMS)
    for score in entry.get("scores", ()):
        check_fields(f"{where}: scores", score, SCORE)
    if entry.get("hub") is not None:
        check_fields(f"{where}: hub", entry["hub"], _HUB, {"file": matching(r"[\w.-]+\.safetensors", "a safetensors file")})
    _check_status(where, entry)
    _check_prefix(where, entry.get("checksums", {}))


def _check_status(where: str, entry: Mapping[str, Any]) -> None:
    """What is said to be there must have a place, and what is published here bytes that are known."""
    status = entry["status"]
    if status == "shipped" and not (entry["checksums"].get("sha256") and entry["checksums"].get("size")):
        raise WeightsError(f"{where}: status 'shipped' wants the file's sha256 and size")
    if status == "published" and not (entry.get("hub") and entry.get("checksums", {}).get("sha256")):
        raise WeightsError(f"{where}: status 'published' wants hub, with its repo and revision, and the file's sha256")
    if status != "published" and entry.get("hub"):
        raise WeightsError(f"{where}: a hub file makes its status 'published'; got {status!r}")
    if status == "upstream" and not entry.get("url"):
        raise WeightsError(f"{where}: status 'upstream' wants the url of the published file")
    if status == "recipe" and (entry.get("url") or not entry.get("page")):
        raise WeightsError(f"{where}: status 'recipe' wants the page that leads to the file, and no url")


def _check_prefix(where: str, checksums: Mapping[str, Any]) -> None:
    whole_one, prefix = checksums.get("sha256"), checksums.get("sha256_prefix")
    if whole_one and prefix and not whole_one.startswith(prefix):
        raise WeightsError(f"{where}: checksums: sha256 begins otherwise than sha256_prefix, {prefix}")


def _check_defaults(where: object, entries: Mapping[str, Mapping[str, Any]]) -> None:
    aliases = Counter(
        (name.partition(".")[0], alias) for name, entry in entries.items() for alias in entry.get("default_for", ())
    )
    for (model, alias), count in aliases.items():
        if count > 1 or f"{model}.{alias}" in entries:
            raise WeightsError(f"{where}: default_for: {alias!r} of {model} means more than one entry; it can mean one")
