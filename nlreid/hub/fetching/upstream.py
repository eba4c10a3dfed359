"""Checkpoints that stay at their publishers': downloaded, verified, converted once, and loaded from the cache afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from torch import Tensor

from nlreid.errors import ChecksumError, DownloadError, WeightsError
from nlreid.hub.convert import RECIPES
from nlreid.hub.fetching.cache import cache, locked, written_whole
from nlreid.hub.fetching.client import Place, translated
from nlreid.hub.fetching.download import download, remove_parts
from nlreid.hub.fetching.records import Record, read_record, write_record
from nlreid.hub.fetching.verify import Verified, verify, wanted_of
from nlreid.hub.reading.files import read_tensors
from nlreid.hub.table.manifest import Entry
from nlreid.hub.writing.writer import write_tensors

logger = logging.getLogger(__name__)

Check = Callable[[Mapping[str, Tensor]], None]


@dataclass(frozen=True)
class _Slot:
    """An entry's place in the cache."""

    entry: Entry
    place: Place

    @property
    def converted(self) -> Path:
        return self.place.folder / f"{self.entry.name}.safetensors"

    @property
    def record(self) -> Path:
        return self.place.folder / f"{self.entry.name}.json"


def published_name(entry: Entry) -> str:
    """The name that an entry's published file has; empty where it has no address."""
    return unquote(urlsplit(entry.url).path.rpartition("/")[2])


def converted_file(entry: Entry, check: Check) -> tuple[Path, str]:
    """The converted file of an entry, and its SHA-256; made now unless it is in the cache already.

    Of a published file about whose bytes nothing complete is known, the first download's SHA-256 is recorded and logged as a
    warning, and every later download must have it. Of two processes that ask at once, one makes the file and the other waits.

    Args:
        entry: The entry.
        check: Raises `WeightsError` if tensors, by name, are not those of the entry's model.

    Raises:
        DownloadError: If the file cannot be fetched, or the cache not be written.
        ChecksumError: If the published file's bytes, or those in the cache, are wrong and stay so.
        WeightsError: If the published file cannot be read, or its tensors do not fit.
    """
    found = _in_cache(_Slot(entry, cache()))
    if found is not None:
        return found
    with locked(entry.name) as place:
        slot = _Slot(entry, place)
        return _in_cache(slot) or _make(slot, check)  # another process could have made it while this one waited


def _in_cache(slot: _Slot) -> tuple[Path, str] | None:
    with suppress(ChecksumError):  # a damaged record is no record here; whoever makes the file anew looks into it
        record = read_record(slot.record)
        if record is not None and slot.converted.is_file() and _is_current(record, slot.entry):
            found = verify(slot.converted, {"sha256": record.converted})
            if not found.wrong:
                return slot.converted, found.sha256
            logger.warning("%s: %s; making it anew", slot.converted, found.wrong)
    return None


def _is_current(record: Record, entry: Entry) -> bool:
    known = entry.checksums
    same_source = record.url == entry.url and known.sha256 in (None, record.sha256) and known.size in (None, record.size)
    return same_source and record.made_by == _made_by(entry)


def _made_by(entry: Entry) -> str:
    recipe, config = RECIPES[entry.recipe], replace(entry.config(), version="")  # a new version need not convert otherwise
    return sha256(f"{recipe.name} {recipe.version} {config.to_json()}".encode()).hexdigest()


def _make(slot: _Slot, check: Check) -> tuple[Path, str]:
    before = slot.converted.is_file()
    recorded = _recorded(slot)
    try:
        part, found = _download(slot, recorded)
    except DownloadError as error:
        if not before:
            raise
        raise ChecksumError(
            f"{slot.converted}: damaged, or converted by another version of nlreid; it could not be made anew: {error}"
        ) from error
    result = _convert(slot, part, found, check)
    remove_parts(slot.place, slot.entry.name)
    if recorded is None and not _is_known(slot.entry):
        logger.warning(
            "%s: no complete checksum of %s is known; its sha256 is %s, recorded in %s, and a later change will be noticed",
            *(slot.entry.name, slot.entry.url, found.sha256, slot.record),
        )
    return result


def _is_known(entry: Entry) -> bool:
    """Whether the publisher's own word is there, which is better than a record."""
    return bool(entry.checksums.sha256 or entry.checksums.sha1)


def _recorded(slot: _Slot) -> Record | None:
    """The record that a download of the entry has to agree with."""
    if _is_known(slot.entry):
        return None
    record = read_record(slot.record)
    return record if record is not None and record.url == slot.entry.url else None


def _download(slot: _Slot, recorded: Record | None) -> tuple[Path, Verified]:
    entry = slot.entry
    wanted = wanted_of(entry.checksums) | ({"sha256": recorded.sha256} if recorded else {})
    for last in (False, True):
        part = download(entry.url, slot.place, entry.name, published_name(entry))
        found = verify(part, wanted)
        if not found.wrong:
            break
        remove_parts(slot.place, entry.name)
        if last:
            raise ChecksumError(_changed(slot, found, recorded))
        logger.warning("%s: %s; downloading it once more, whole", entry.url, found.wrong)
    return part, found


def _changed(slot: _Slot, found: Verified, recorded: Record | None) -> str:
    wrong = f"{slot.entry.url}: {found.wrong}, twice"
    if recorded is None:
        return (
            f"{wrong}; something changes it on its way, or its publishers replaced it: try another network, look for a newer "
            f"version of nlreid, or see {slot.entry.page or slot.entry.url}"
        )
    return (
        f"{wrong}, as it was on {recorded.date}, recorded in {slot.record}; if its publishers replaced it on purpose, "
        "delete the record to trust what they have now"
    )


def _convert(slot: _Slot, part: Path, found: Verified, check: Check) -> tuple[Path, str]:
    entry = slot.entry
    try:
        tensors = RECIPES[entry.recipe].convert(read_tensors(part)).tensors
        check(tensors)
    except WeightsError as error:
        remove_parts(slot.place, entry.name)
        raise WeightsError(f"{entry.name}: what {entry.url} has cannot be used: {error}") from error
    with translated(entry.name, slot.place):
        with written_whole(slot.converted) as temporary:
            write_tensors(temporary, tensors, entry.config(sha256=found.sha256))
            digest = verify(temporary, {}).sha256
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        write_record(slot.record, Record(entry.url, found.sha256, found.size, digest, _made_by(entry), now))
    return slot.converted, digest
