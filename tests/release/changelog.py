"""`CHANGELOG.md` in the form of Keep a Changelog 1.1.0, and what it has to say of a version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "Unreleased"
_FINAL = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_DEVELOPMENT = re.compile(rf"({_FINAL.pattern})\.dev\d+")
_HEADING = re.compile(rf"({UNRELEASED}|{_FINAL.pattern} - \d{{4}}-\d\d-\d\d)")


@dataclass(frozen=True)
class Release:
    """A section of the file: a version, its day, and what changed, by kind."""

    version: str
    day: str
    changes: dict[str, str]
    text: str


def is_final(version: str) -> bool:
    """Whether a version is one to publish: `0.1.0` is, `0.1.0.dev0` is not."""
    return _FINAL.fullmatch(version) is not None


def read(text: str) -> list[Release]:
    """The sections of a changelog, as they stand, newest first.

    Raises:
        ValueError: If a heading is none of the format's, comes twice, or has nothing below it.
    """
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    return [_release(*section.split("\n", 1)) for section in sections]


def _release(heading: str, text: str = "") -> Release:
    if _HEADING.fullmatch(heading) is None:
        raise ValueError(f"CHANGELOG.md: '## {heading}' is neither '## {UNRELEASED}' nor '## 1.2.3 - 2026-01-31'")
    version, _, day = heading.partition(" - ")
    stray, *parts = re.split(r"^### ", text, flags=re.MULTILINE)
    if stray.strip():
        raise ValueError(f"CHANGELOG.md: {version} has text above its first kind of change: {stray.strip():.60}")
    changes: dict[str, str] = {}
    for part in parts:
        kind, _, body = part.partition("\n")
        if kind not in KINDS or kind in changes:
            raise ValueError(f"CHANGELOG.md: {version} has '### {kind}'; kinds are {', '.join(KINDS)}, each once")
        if not body.lstrip().startswith("- "):
            raise ValueError(f"CHANGELOG.md: '### {kind}' of {version} lists nothing")
        changes[kind] = body.strip()
    return Release(version, day, changes, text.strip())


def problems(text: str, version: str) -> list[str]:
    """Where a changelog and the version of the project do not fit; nothing where they do.

    A version in development has its changes under `Unreleased` and is newer than all that is listed. A final one is the first
    that is listed, with its day, and nothing waits under `Unreleased`.
    """
    try:
        releases = read(text)
    except ValueError as error:
        return [str(error)]
    first = releases[0] if releases else None
    waiting = first is not None and first.version == UNRELEASED
    listed = [release for release in releases if release.version != UNRELEASED]
    found = _out_of_order(listed)
    if UNRELEASED in [release.version for release in releases[1:]]:
        found.append(f"'## {UNRELEASED}' stands at the top, once")
    newest = _numbers(listed[0].version) if listed else (-1,)
    development = _DEVELOPMENT.fullmatch(version)
    if development is not None:
        if not waiting:
            found.append(f"{version} is in development: its changes stand under '## {UNRELEASED}', at the top")
        if _numbers(development[1]) <= newest:
            found.append(f"{version} comes after {listed[0].version}, which is released")
    elif not is_final(version):
        found.append(f"{version} is neither a version such as 1.2.3 nor one in development such as 1.2.3.dev0")
    else:
        if not listed or listed[0].version != version:
            found.append(f"{version} is to be the newest release that CHANGELOG.md lists, as '## {version} - year-month-day'")
        elif not listed[0].changes:
            found.append(f"{version} lists no change")
        if waiting and first is not None and first.changes:
            found.append(f"changes wait under '## {UNRELEASED}'; they are to stand under {version}")
    return found


def notes(text: str, version: str) -> str:
    """What a changelog says of a version; of one in development, what waits.

    Raises:
        ValueError: If it says nothing.
    """
    wanted = version if is_final(version) else UNRELEASED
    for release in read(text):
        if release.version == wanted:
            return release.text
    raise ValueError(f"CHANGELOG.md has no '## {wanted}'")


def _out_of_order(listed: list[Release]) -> list[str]:
    found = [f"{release.version}: {release.day} is no day" for release in listed if not _is_day(release.day)]
    for newer, older in pairwise(listed):
        if _numbers(newer.version) <= _numbers(older.version) or newer.day < older.day:
            found.append(f"{newer.version} of {newer.day} stands above {older.version} of {older.day}; the newest is first")
    return found


def _is_day(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
