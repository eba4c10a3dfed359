"""Converts every checkpoint whose licence permits it, and publishes it on the Hugging Face Hub under an organisation.

    python weights/publish.py ORG [--only PATTERN] [--private] [--dry-run]

Log in first (`hf auth login`, or HF_TOKEN). A checkpoint is found as `create_model` finds it: in the folder that NLREID_WEIGHTS
names, in the cache, or at its publishers'. Its repository is `ORG/model.tag`. What is there already with the same bytes is not
sent again, so the script can be stopped and run again. After each success its new lines for `manifest.json` are printed, and
all of them at the end; progress and what went wrong go to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import nlreid
from nlreid.errors import NLReIDError
from nlreid.hub.fetching.fetch import fetch
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.table.manifest import Entry, manifest
from nlreid.hub.writing.upload import upload
from nlreid.publish import ModelCard
from nlreid.publish.save import FILES, write_checkpoint

CARDS = Path(__file__).parent / "cards"


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish, and return the exit status: 1 when anything failed."""
    options = _options(arguments)
    entries = [entry for name, entry in manifest().items() if fnmatchcase(name, options.only)]
    if not entries:
        _say(f"--only {options.only!r} matches none of {', '.join(manifest())}")
        return 2
    published: dict[str, Any] = {}
    failed = 0
    try:
        for entry in entries:
            reason = reason_to_skip(entry)
            if reason or options.dry_run:
                _say(f"{entry.name}: {reason or f'would go to {options.org}/{entry.name}, {entry.licence.id}'}")
                continue
            try:
                published[entry.name] = lines = publish(entry, options.org, private=options.private)
            except NLReIDError as error:  # the others can be published all the same; the exit status tells
                failed += 1
                _say(f"{entry.name}: FAILED: {error}")
                continue
            _print({entry.name: lines})
    finally:
        _say(f"{len(published)} published, {failed} failed; for manifest.json:")
        _print(published)
    return 1 if failed else 0


def reason_to_skip(entry: Entry) -> str:
    """Why an entry is not published; empty where nothing speaks against it."""
    if entry.status == "shipped":
        return "not published: it ships with the library"
    return "" if entry.licence.redistribution else f"not published: its licence, {entry.licence.id}, does not permit it"


def publish(entry: Entry, org: str, *, private: bool) -> dict[str, Any]:
    """Publish one checkpoint, with its classifier.

    Args:
        entry: Its entry.
        org: The organisation, or user.
        private: Whether nobody else may see the repository.

    Returns:
        What changes in its entry.
    """
    repo = f"{org}/{entry.name}"
    model = nlreid.create_model(entry.name, pretrained=True, head="linear", num_classes=entry.num_classes)
    with tempfile.TemporaryDirectory(prefix="nlreid-") as temporary:
        folder = write_checkpoint(model, Path(temporary) / "model", card_of(entry), place=f"hf-hub:{repo}", tag=entry.tag)
        content = (folder / "model.safetensors").read_bytes()
        name = upload(folder, FILES, repo, private=private, token=None, revision=None, commit_message=f"Add {entry.name}")
    return {
        "status": "published",
        "format": "safetensors",
        "hub": {"repo": repo, "revision": name.rpartition("@")[2], "file": "model.safetensors"},
        "checksums": {"sha256": sha256(content).hexdigest(), "size": len(content)},
    }


def card_of(entry: Entry) -> ModelCard:
    """The model card of an entry: what the first paragraph of its card here says, and what its publishers say."""
    text = (CARDS / f"{entry.name}.md").read_text(encoding="utf-8")
    first = text.rpartition("-->")[2].strip().partition("\n\n")[0]
    source = f"{entry.title}, converted to nlreid without a change of any number. Its publishers describe it at {entry.page}."
    return ModelCard(
        licence=entry.licence.id,
        summary=f"{source}\n\n{first}\n\nLicence: {entry.licence.evidence}.",
        training_data=entry.training_data,
        scores=entry.scores,
        task=entry.task,
        origin=origin_of(entry),
    )


def origin_of(entry: Entry) -> dict[str, Any]:
    """Where the file came from that was converted, with the checksum that it had."""
    found = fetch(entry, lambda _: None)  # its tensors were checked when the model was made
    config = found.config or read_config(read_tensors(found.path)) or entry.config(sha256=found.sha256)
    return dict(config.origin)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publish the checkpoints whose licence permits it.", allow_abbrev=False)
    parser.add_argument("org", metavar="ORG", help="organisation or user on the Hub")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="names, as in 'r3d50*' (default: all)")
    parser.add_argument("--private", action="store_true", help="make private repositories")
    parser.add_argument("--dry-run", action="store_true", help="say what would be published, and touch nothing")
    return parser.parse_args(arguments)


def _print(lines: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(lines, indent=2) + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
