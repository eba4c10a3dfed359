"""The first half of `nlreid evaluate DATASET ROOT`: from a data set to embeddings, each tracklet embedded once."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlreid.cli import several
from nlreid.cli.arguments import DTYPES, device_name, make_model, with_seed
from nlreid.cli.scores import Problem
from nlreid.data.datasets.table import DATASETS, is_drawn, read_splits
from nlreid.data.device import resolve_device
from nlreid.data.disk import exists, resolved
from nlreid.data.images import FramePaths
from nlreid.data.split import JUNK, Split, unanswered
from nlreid.data.tracklet import Tracklet
from nlreid.embedding import Embeddings, embed
from nlreid.embedding.kept_folder import OtherEmbeddingsError
from nlreid.embedding.parts import PART, embed_in_parts
from nlreid.errors import DataError, InputError
from nlreid.hub.progress import counting_bar
from nlreid.models import VideoReID

_OPTIONS = {  # of the readers, and what the command calls them
    "protocol": "--protocol",
    "splits": "--splits",
    "min_frames": "--min-frames",
    "seed": "--data-seed",
    "identities": "--identities",
    "cameras": "--data-cameras",
    "tracklets": "--tracklets",
}
_SPOKEN = {"pass partial=True": "give --partial", "lower min_frames": "lower --min-frames"}  # of functions, of commands


def embed_dataset(arguments: argparse.Namespace) -> tuple[list[Problem], dict[str, Any]]:
    """Read the splits, embed what any of them queries or searches, and share it out.

    Args:
        arguments: Those of the command.

    Returns:
        A problem for each split, and what they are made of, for JSON.

    Raises:
        DataError: If the data set is not there, no query of a split has a right answer, or two tracklets have one name.
        InputError: If an option does not fit the data set or the machine.
    """
    device = resolve_device(device_name(arguments))
    if arguments.keep and arguments.root and resolved(arguments.keep).is_relative_to(resolved(arguments.root)):
        raise InputError(f"{arguments.keep} lies in the data set; give --keep a folder elsewhere")
    several.check_keeps(arguments)
    options = _reader_options(arguments)
    splits = _read(arguments, options)
    tracklets = _tracklets(splits)
    if not (arguments.quiet or arguments.json):
        print("\n\n".join(split.summary() for split in splits), end="\n\n", flush=True)
    model = make_model(arguments)
    how = {"batch_size": arguments.batch_size, "device": device, "autocast": DTYPES.get(arguments.autocast)}
    how["progress"] = not arguments.quiet
    people = _keep(arguments, model, tracklets, how) if arguments.keep else embed(model, tracklets, **how)
    people = with_seed(people, model, arguments.seed)
    problems = _shared_out(splits, people)
    if arguments.keep and not several.rank():
        _save(problems, arguments.keep)
    return problems, _about(arguments, options, model, people)


def _reader_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those that were given; one that the data set does not take is refused by the name that it was given by."""
    given = {name: getattr(arguments, said[2:].replace("-", "_")) for name, said in _OPTIONS.items()}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.dataset in DATASETS:
        takes = DATASETS[arguments.dataset].options
        surplus = [said for name, said in _OPTIONS.items() if name in options and name not in takes]
        if surplus:
            allowed = ", ".join(["--split", "--partial", *(said for name, said in _OPTIONS.items() if name in takes)])
            raise InputError(f"the data set {arguments.dataset!r} does not take {', '.join(surplus)}; it takes {allowed}")
    return options


def _read(arguments: argparse.Namespace, options: dict[str, Any]) -> tuple[Split, ...]:
    """The splits; errors that tell how to call a reader tell how to call the command."""
    try:
        with counting_bar("drawing", "tracklets", show=is_drawn(arguments.dataset) and not arguments.quiet) as progress:
            options = options | {"split": arguments.split, "partial": arguments.partial, "progress": progress}
            return read_splits(arguments.dataset, arguments.root, **options)
    except DataError as error:
        said = str(error)
        for function, command in _SPOKEN.items():
            said = said.replace(function, command)
        raise DataError(said) from error


def _keep(arguments: argparse.Namespace, model: VideoReID, tracklets: Sequence[Tracklet], how: dict[str, Any]) -> Embeddings:
    """Embed and keep; where one split is asked for, and a run over all has kept it, say how to score it."""
    try:
        return embed_in_parts(model, tracklets, arguments.keep, part=PART, share=several.count() > 1, **how)
    except OtherEmbeddingsError as error:
        query, gallery = (arguments.keep / f"split_{arguments.split}" / f"{side}.safetensors" for side in ("query", "gallery"))
        if not exists(query) or not exists(gallery):
            raise
        raise DataError(
            f"{error}; split {arguments.split} of what is kept there can be scored: "
            f"nlreid evaluate --query {query} --gallery {gallery}"
        ) from error


def _tracklets(splits: Sequence[Split]) -> list[Tracklet]:
    """Every tracklet that is queried or searched, once; checked before hours are spent on them."""
    tracklets: dict[str, Tracklet] = {}
    for split in splits:
        alone = set(map(id, unanswered(split.query, split.gallery)))
        if all(id(tracklet) in alone or tracklet.pid == JUNK for tracklet in split.query):
            raise DataError(
                f"{split.name}: none of {len(split.query)} queries has a right answer, the same person in another camera, "
                f"among {len(split.gallery)} tracklets of the gallery; there is nothing to score"
            )
        for tracklet in (*split.query, *split.gallery):
            other = tracklets.setdefault(tracklet.name, tracklet)
            if not _same(tracklet, other):
                raise DataError(
                    f"{split.name}: two different tracklets are called {tracklet.name!r}: pid {other.pid} in camera "
                    f"{other.camid}, {_place(other)}, and pid {tracklet.pid} in camera {tracklet.camid}, {_place(tracklet)}; "
                    "rename one of them"
                )
    return list(tracklets.values())


def _same(one: Tracklet, other: Tracklet) -> bool:
    """Whether they are of the same pictures: each split is read anew."""
    if one is other:
        return True
    a, b = one.frames, other.frames
    if (one.pid, one.camid, len(a)) != (other.pid, other.camid, len(b)):
        return False
    if isinstance(a, FramePaths) and isinstance(b, FramePaths):
        return (a.folder, a.names) == (b.folder, b.names)
    return all(x is y or (isinstance(x, str | Path) and x == y) for x, y in zip(a, b, strict=True))


def _place(tracklet: Tracklet) -> str:
    first = tracklet.frames[0]
    return f"from {first}" if isinstance(first, str | Path) else f"of {len(tracklet)} pictures"


def _shared_out(splits: Sequence[Split], people: Embeddings) -> list[Problem]:
    rows = {track.name: row for row, track in enumerate(people.tracks)}
    problems = []
    for split in splits:
        query, gallery = (people.select([rows[tracklet.name] for tracklet in part]) for part in (split.query, split.gallery))
        problems.append(Problem(split.name, query, gallery, split.notes))
    return problems


def _save(problems: Sequence[Problem], keep: Path) -> None:
    """`query.safetensors` and `gallery.safetensors`, of several splits in a folder each."""
    for number, problem in enumerate(problems):
        folder = keep / f"split_{number}" if len(problems) > 1 else keep
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made ({error.strerror})") from error
        problem.query.save(folder / "query.safetensors")
        problem.gallery.save(folder / "gallery.safetensors")


def _about(
    arguments: argparse.Namespace, options: dict[str, Any], model: VideoReID, people: Embeddings
) -> dict[str, dict[str, Any]]:
    reader = inspect.signature(DATASETS[arguments.dataset].read).parameters
    chosen = {name: options.get(name, reader[name].default) for name in DATASETS[arguments.dataset].options}
    random = model.loaded.source == "random"
    return {
        "data": {
            "name": arguments.dataset,
            "root": None if arguments.root is None else str(arguments.root),
            "split": arguments.split,
            "partial": arguments.partial,
            **chosen,
        },
        "model": {
            "name": model.name,
            "weights": model.loaded.source,
            "sha256": model.loaded.sha256 or None,
            "seed": arguments.seed if random else None,
            "autocast": arguments.autocast,
            "embeddings": people.model,
            "embedded": len(people),
        },
    }
