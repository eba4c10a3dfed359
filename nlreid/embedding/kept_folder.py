"""The folder that embeddings are kept in as they come: `embedding.json` says what they are of, `parts/` has them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nlreid.data.disk import exists
from nlreid.data.tracklet import Tracklet
from nlreid.data.whole_file import check_writable, write_new, write_whole
from nlreid.embedding.embeddings import Embeddings
from nlreid.embedding.embeddings_file import read_embeddings, write_embeddings
from nlreid.embedding.provenance import FORMAT, differences, digest_of
from nlreid.embedding.shards import ABOUT, PARTS
from nlreid.errors import DataError

_logger = logging.getLogger(__name__)


class OtherEmbeddingsError(DataError):
    """A folder that keeps other embeddings than those that are wanted."""


def check_folder(folder: Path, about: Mapping[str, Any]) -> None:
    """Make the folder if it is not there; refuse one that holds something else.

    A description that was lost or damaged is made anew, if there is a whole part of the same embeddings.

    Args:
        folder: The folder.
        about: What is to be kept there, from `nlreid.embedding.provenance.describe`.

    Raises:
        OtherEmbeddingsError: If it keeps other embeddings.
        DataError: If it holds something else or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: no folder that can be written ({error.strerror}); name another") from error
    check_writable(folder / ABOUT)
    try:
        if there:
            _compare(folder, _description(folder, there), about)
    except OtherEmbeddingsError:
        raise
    except DataError as error:
        if not _has_part(folder, digest_of(about)):
            raise
        _logger.warning("%s; it is made anew, since there are parts of the same embeddings", error)
        write_whole(folder / ABOUT, json.dumps(about).encode())


def kept_part(path: Path, tracklets: Sequence[Tracklet], about: Mapping[str, Any]) -> Embeddings | None:
    """A part that is there, if it is whole: a disk may lose what was written.

    Args:
        path: The file of the part.
        tracklets: Those of the part.
        about: What it should be a part of.

    Raises:
        OtherEmbeddingsError: If it is a part of other embeddings, or of other tracklets.
        DataError: If it cannot be known whether it is there.
    """
    if not exists(path):
        return None
    try:
        contents = read_embeddings(path)
        people = Embeddings.of_contents(path, contents)
        lengths = torch.linalg.vector_norm(torch.as_tensor(people.features), dim=1)
        if not len(people) or (lengths - 1).abs().max() > 1e-3:
            raise DataError(f"{path}: damaged: its rows are not of length one")
    except DataError as error:
        _logger.warning("%s; its tracklets are embedded again", error)
        return None
    if contents.part_of != digest_of(about):
        raise OtherEmbeddingsError(
            f"{path}: is no part of what {ABOUT} describes, but of embeddings by another model, of other pictures or otherwise "
            "made; delete it, and its tracklets are embedded again"
        )
    if _facts(people) != [(tracklet.name, tracklet.pid, tracklet.camid) for tracklet in tracklets]:
        raise OtherEmbeddingsError(
            f"{path}: holds other tracklets than it should; delete it, and those of the part are embedded again"
        )
    return people


def keep_part(people: Embeddings, path: Path, about: Mapping[str, Any]) -> None:
    """Keep a part; before the first one, what it is a part of.

    Args:
        people: The embeddings.
        path: The file of the part.
        about: What it is a part of.

    Raises:
        OtherEmbeddingsError: If another process has meanwhile begun to keep other embeddings there.
        DataError: If it cannot be written.
    """
    folder = path.parents[1]
    if exists(folder / ABOUT) or not write_new(folder / ABOUT, json.dumps(about).encode()):
        _compare(folder, _description(folder, [ABOUT]), about)  # it need not be ours
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be made ({error.strerror})") from error
    write_embeddings(path, people.contents(part_of=digest_of(about)))


def _facts(people: Embeddings) -> list[tuple[str, int | None, int | None]]:
    unknown = [None] * len(people)
    pids, camids = (unknown if values is None else values.tolist() for values in (people.pids, people.camids))
    return list(zip([track.name for track in people.tracks], pids, camids, strict=True))


def _description(folder: Path, there: Sequence[str]) -> dict[str, Any]:
    if ABOUT not in there:
        raise DataError(f"{folder}: holds other files ({there[0]}), and no {ABOUT}; name an empty folder or a new one")
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: does not say what the embeddings beside it are of ({error}); name another folder, or delete this one"
        ) from error
    return about


def _compare(folder: Path, there: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    found = list(differences(there, about))
    if found:
        raise OtherEmbeddingsError(
            f"{folder}: holds embeddings that differ in {'; '.join(found)}; "
            "go on as they were begun, name another folder, or delete this one to begin anew"
        )


def _has_part(folder: Path, digest: str) -> bool:
    return any(_is_part(path, digest) for path in sorted((folder / PARTS).glob("*.safetensors")))


def _is_part(path: Path, digest: str) -> bool:
    try:
        return read_embeddings(path).part_of == digest
    except DataError:
        return False  # another one may be whole
