"""`nlreid weights`: the table of weights, and getting them ahead of time."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatchcase
from typing import Any

from nlreid.errors import WeightsError, unknown_name
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.models import create_model


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "weights",
        help="list pretrained weights, or fetch them",
        description="List the checkpoints that have a name: where they are, under which licence, how they are checked.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "pattern", nargs="?", default="*", help="a name, or shell-style wildcards as in 'r3d50*' (default: all)"
    )
    parser.add_argument("--fetch", action="store_true", help="fetch and verify what matches, for use without network")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each checkpoint whose name matches, or fetch them one after the other."""
    entries = [entry for name, entry in manifest().items() if fnmatchcase(name, arguments.pattern)]
    if not entries:
        raise unknown_name("checkpoint", arguments.pattern, manifest(), "'nlreid weights' lists all.")
    if arguments.fetch:
        _fetch(entries)
        return
    print(f"{'name':32} {'status':10} {'licence':14} {'clip':12} {'checksum known':15} is also")
    for entry in entries:
        frames = f"{entry.clip['frames']} x {entry.clip['stride']}"
        print(
            f"{entry.name:32} {entry.status:10} {entry.licence.id:14} {frames:12} {_known(entry):15} "
            f"{', '.join(entry.default_for) or '-'}"
        )


def _fetch(entries: list[Entry]) -> None:
    """Fetch one after the other; those that fail do not keep the others from being fetched, and are named at the end."""
    if len(entries) == 1:
        _fetch_one(entries[0])
        return
    failed = [entry.name for entry in entries if not _is_fetched(entry)]
    if failed:
        raise WeightsError(f"{len(failed)} of {len(entries)} could not be fetched: {', '.join(failed)}")


def _is_fetched(entry: Entry) -> bool:
    try:
        _fetch_one(entry)
    except WeightsError as error:
        print(f"nlreid: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _fetch_one(entry: Entry) -> None:
    loaded = create_model(entry.name, pretrained=True).loaded
    print(f"{entry.name:32} sha256 {loaded.sha256}  {loaded.source}", flush=True)


def _known(entry: Entry) -> str:
    known = entry.checksums
    if known.sha256:
        return "sha256"
    if known.sha1:
        return "sha1"
    return f"sha256 {known.sha256_prefix}…" if known.sha256_prefix else "none"
