"""`nlreid weights`: the table of weights, and getting them ahead of time."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from typing import Any

from nlreid.errors import unknown_name
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
        for entry in entries:
            if entry.status == "recipe" and entry.name != arguments.pattern:
                print(f"{entry.name:30} only as a file of your own: {entry.page}")
                continue
            model = create_model(entry.name, pretrained=True)
            print(f"{entry.name:30} sha256 {model.loaded.sha256}  {model.loaded.source}", flush=True)
        return
    print(f"{'name':32} {'status':10} {'licence':14} {'clip':12} {'checksum known':15} is also")
    for entry in entries:
        frames = f"{entry.clip['frames']} x {entry.clip['stride']}"
        print(
            f"{entry.name:32} {entry.status:10} {entry.licence.id:14} {frames:12} {_known(entry):15} "
            f"{', '.join(entry.default_for) or '-'}"
        )


def _known(entry: Entry) -> str:
    known = entry.checksums
    if known.sha256:
        return "sha256"
    if known.sha1:
        return "sha1"
    return f"sha256 {known.sha256_prefix}…" if known.sha256_prefix else "none"
