"""Writes the tables of `weights/cards/*.md`, `weights/README.md` and `docs/weights.md` from `weights/manifest.json`.

    python weights/generate_cards.py

Between the markers stands what the manifest says; what stands outside is written by hand and left alone. An entry without a
card gets one, whose text is then to be written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from nlreid.hub.table.manifest import Checksums, Entry, Training, manifest

BEGIN, END = "<!-- generated from manifest.json by generate_cards.py -->", "<!-- end of what is generated -->"
WEIGHTS = Path(__file__).parent
PAGES = {WEIGHTS / "README.md": "cards", WEIGHTS.parent / "docs" / "weights.md": "../weights/cards"}
STATUSES = {
    "shipped": "in the library, verified at each load",
    "published": "on the Hugging Face Hub, converted",
    "upstream": "at its publishers', converted after the download",
    "recipe": "only as a file that you have: there is no address that a program could open",
}


def facts(entry: Entry) -> str:
    """What the manifest says about a checkpoint, as a table."""
    rows = {
        "name": f'`create_model("{entry.name}", pretrained=True)`{_aliases(entry)}',
        "published as": f"{entry.title}; [described here]({entry.page})" if entry.page else entry.title,
        "where it is": f"{STATUSES[entry.status]}{_place(entry)}",
        "format, recipe": f"{entry.format}, `{entry.recipe}`",
        "SHA-256": _sha256(entry.checksums),
        **({"SHA-1": entry.checksums.sha1 or "unknown"} if entry.status != "shipped" else {}),
        "size": f"{entry.checksums.size} bytes" if entry.checksums.size else "unknown",
        "licence": f"{entry.licence.id}: {entry.licence.evidence}",
        "may be passed on": "yes" if entry.licence.redistribution else "no",
        "differs from the model by": f"`{json.dumps(entry.overrides)}`" if entry.overrides else "nothing",
        "clips": _clip(entry.clip),
        "trained on": entry.training_data or "unknown",
        **_training(entry.training),
        "classifier": f"{entry.num_classes} classes, for {entry.task}" if entry.num_classes else f"none; {entry.head} head",
        **{f"{score.metric}, {score.dataset}": f"{score.value:g}, {score.by}" for score in entry.scores},
    }
    return table(("", ""), rows.items())


def overview(entries: Iterable[Entry], cards: str) -> str:
    """All checkpoints, a line each, with links into the folder of the cards."""
    head = ("name", "published as", "frames, stride, size", "top-1 or rank-1", "checksum", "licence", "status")
    return table(head, (_line(entry, cards) for entry in entries))


def regenerated() -> dict[Path, str]:
    """Every page with a generated part, as it should be."""
    entries = manifest()
    pages = {path: with_generated(path, overview(entries.values(), cards)) for path, cards in PAGES.items()}
    written = {WEIGHTS / "cards" / f"{name}.md": entry for name, entry in entries.items()}
    return pages | {path: with_generated(path, facts(entry)) for path, entry in written.items()}


def with_generated(path: Path, generated: str) -> str:
    """The text of a page with what stands between its markers replaced."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {path.stem}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path}: wants {BEGIN!r} and, behind it, {END!r}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    columns = tuple(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows))


def _line(entry: Entry, cards: str) -> tuple[str, ...]:
    height, width = entry.clip["size"]
    best = next((f"{score.value:.3f}" for score in entry.scores if score.metric in ("top-1", "rank-1")), "none")
    name = ", ".join((f"[`{entry.name}`]({cards}/{entry.name}.md)", *(f"`{alias}`" for alias in entry.default_for)))
    clip = f"{entry.clip['frames']}, {entry.clip['stride']}, {height}x{width}"
    return name, entry.title, clip, best, _known(entry.checksums), entry.licence.id, entry.status


def _known(checksums: Checksums) -> str:
    prefix = checksums.sha256_prefix
    beginning = f"SHA-256, {len(prefix)} digits of 64" if prefix else ""
    return "SHA-256" if checksums.sha256 else beginning or ("SHA-1" if checksums.sha1 else "unknown")


def _aliases(entry: Entry) -> str:
    short = (entry.tag,) if entry.status == "shipped" else entry.default_for
    return "".join(f'; `create_model("{entry.model}", pretrained="{alias}")`' for alias in short)


def _training(training: Training | None) -> dict[str, str]:
    if training is None:
        return {}
    known = {"recipe of training": training.recipe, "seed": str(training.seed)}
    return known | {"hardware": training.hardware, "time": training.time, "made again by": f"`{training.command}`"}


def _place(entry: Entry) -> str:
    if entry.status == "shipped":
        return f": weights/{entry.name}.safetensors"
    if entry.hub is not None:
        return f": {entry.hub.file} of {entry.hub.repo} at commit {entry.hub.revision}"
    return f": {entry.url}" if entry.url else ""


def _sha256(checksums: Checksums) -> str:
    prefix = f"unknown, except for its beginning: {checksums.sha256_prefix}" if checksums.sha256_prefix else "unknown"
    return checksums.sha256 or prefix


def _clip(clip: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in clip.items())


if __name__ == "__main__":
    for page, text in regenerated().items():
        page.write_text(text, encoding="utf-8")
