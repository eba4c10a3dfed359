"""Puts a trained network into the library: its file of float16, its entry in `manifest.json`, its card.

    python weights/ship.py FOLDER [FACTS] [--tag TAG]

FOLDER is what `nlreid.save_pretrained` wrote; its classifier is left out. FACTS is a JSON file with the fields of the entry
that nobody can compute: title, licence, training_data, training (recipe, seed, hardware, time, command), scores. Without it
those of the entry that is there stay. Nothing is changed unless the rounded network embeds as the trained one does, within
`TOLERANCE`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import nlreid
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.whole_file import write_whole
from nlreid.errors import InputError, NLReIDError
from nlreid.hub.table.config import Config
from nlreid.hub.table.manifest import parse_manifest
from nlreid.hub.writing.writer import write_tensors
from nlreid.inflation.plans import resolve_plan
from nlreid.models import ModelSpec, VideoReID
from nlreid.models.variants import spec_of
from nlreid.models.zoo import model_spec
from nlreid.publish import ModelCard
from nlreid.publish.check import checked_tensors
from nlreid.publish.describe import describe, head_kind

WEIGHTS = Path(__file__).parent
FACTS = ("title", "licence", "training_data", "training", "scores")
TOLERANCE = 1e-4  # of the cosine distance between the embeddings of the trained and of the rounded network
LARGEST = 16 * 10**6  # bytes
EXPANDED = ("licence", "training")


def main(arguments: Sequence[str] | None = None, weights: Path = WEIGHTS) -> int:
    """Ship, and return the exit status.

    Args:
        arguments: Those of the command line.
        weights: The folder that the file, the manifest and the cards are in.
    """
    options = _options(arguments)
    try:
        name = ship(options.folder, options.facts, options.tag, weights)
    except (NLReIDError, OSError, json.JSONDecodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{weights / name}.safetensors is shipped; now run {WEIGHTS / 'generate_cards.py'}, and read its card\n")
    return 0


def ship(folder: Path, facts: Path | None, tag: str, weights: Path) -> str:
    """Write the file and the entry of a trained network.

    Args:
        folder: What `nlreid.save_pretrained` wrote.
        facts: What is told about it, see the module; by default what the entry says already.
        tag: The tag of its name.
        weights: Where to.

    Returns:
        The name of the entry.
    """
    known = Config.from_json((folder / "config.json").read_bytes(), folder / "config.json")
    name = f"{known.architecture}.{tag}"
    entries = json.loads((weights / "manifest.json").read_text("utf-8"))["entries"]
    told = _told(known, name, entries.get(name, {}) if facts is None else json.loads(facts.read_text("utf-8")))
    trained = nlreid.create_model(known.architecture, folder).eval()
    origin = {"name": name, "note": f"trained on synthetic people by: {told['training']['command']}"}
    config = describe(trained, ModelCard(told["licence"]["id"], task=known.task, origin=origin), tag)
    content = _rounded(trained, config)
    entries[name] = _entry(told, config, content)
    text = as_text(entries)
    parse_manifest(text, "the new manifest.json")
    write_whole(weights / f"{name}.safetensors", content)
    write_whole(weights / "manifest.json", text.encode())
    return name


def as_text(entries: Mapping[str, Any]) -> str:
    """A manifest as people read it: a field a line, long fields and scores spread out."""
    blocks = (f"    {_dumped(name)}: {{\n{_fields(entry, 6)}\n    }}" for name, entry in entries.items())
    return '{\n  "format": 1,\n  "entries": {\n' + ",\n".join(blocks) + "\n  }\n}\n"


def distances(first: VideoReID, second: VideoReID) -> Tensor:
    """Cosine distances between what two networks embed, of clips of people who are drawn."""
    spec = first.clip_spec
    people = SyntheticPeople(seed=1, identities=8, frames=spec.frames, size=spec.size).split()
    tracklets = (*people.query, *people.gallery)
    transform = spec.transform()
    clips = torch.stack([transform(torch.from_numpy(tracklet.frames)) for tracklet in tracklets])
    with torch.inference_mode():
        return 1 - torch.cosine_similarity(first(clips).embedding.double(), second(clips).embedding.double())


def _told(config: Config, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    told = {field: facts[field] for field in FACTS if field in facts}
    if len(told) < len(FACTS):
        raise InputError(f"{name}: wanted are {', '.join(FACTS)}; got {', '.join(told) or 'none of them'}; give them as FACTS")
    entry = _entry(told, config, b"not made yet")
    parse_manifest(json.dumps({"format": 1, "entries": {name: entry}}), "FACTS")  # a slip is told before the work
    return told


def _rounded(trained: VideoReID, config: Config) -> bytes:
    """The file: kernels and matrices in float16; norms and biases, which are few and of any size, as they are."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in checked_tensors(trained, head_kind(trained)).items()
    }
    with tempfile.TemporaryDirectory(prefix="nlreid-") as temporary:
        path = Path(temporary) / "model.safetensors"
        write_tensors(path, tensors, config)
        again = nlreid.create_model(config.architecture, path).eval()
        content = path.read_bytes()
    farthest = float(distances(trained, again).max())
    if not farthest <= TOLERANCE:
        raise InputError(f"rounded to float16 it embeds otherwise: cosine distances up to {farthest:.1e}, above {TOLERANCE:g}")
    if len(content) > LARGEST:
        raise InputError(f"it has {len(content)} bytes; what ships has at most {LARGEST}")
    sys.stdout.write(f"{config.name}: {len(content)} bytes; embeddings within {farthest:.1e} of the trained network's\n")
    return content


def _entry(told: Mapping[str, Any], config: Config, content: bytes) -> dict[str, Any]:
    own, zoo = (_with_whole_plan(spec) for spec in (spec_of(config, config.name), model_spec(config.architecture)))
    differing = {field: value for field, value in config.overrides.items() if getattr(own, field) != getattr(zoo, field)}
    return {
        "title": told["title"],
        "status": "shipped",
        "format": "safetensors",
        "recipe": "nlreid",
        "licence": told["licence"],
        "overrides": differing,
        "clip": dict(config.clip),
        "head": config.head,
        "num_classes": config.num_classes,
        "task": config.task,
        "training_data": told["training_data"],
        "training": told["training"],
        "checksums": {"sha256": sha256(content).hexdigest(), "size": len(content)},
        "scores": told["scores"],
    }


def _with_whole_plan(spec: ModelSpec) -> ModelSpec:
    return replace(spec, plan=resolve_plan(spec.plan))


def _fields(values: Mapping[str, Any], indent: int) -> str:
    return ",\n".join(f"{' ' * indent}{_dumped(name)}: {_value(name, value, indent)}" for name, value in values.items())


def _value(name: str, value: Any, indent: int) -> str:
    if name in EXPANDED:
        return f"{{\n{_fields(value, indent + 2)}\n{' ' * indent}}}"
    if name == "scores":
        return "[\n" + ",\n".join(f"{' ' * (indent + 2)}{_dumped(score)}" for score in value) + f"\n{' ' * indent}]"
    return _dumped(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put a trained network into the library.", allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what nlreid.save_pretrained wrote")
    parser.add_argument("facts", metavar="FACTS", type=Path, nargs="?", help="a JSON file (default: what the entry says)")
    parser.add_argument("--tag", default="synthetic", help="the tag of its name (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
