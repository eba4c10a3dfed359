"""From a name to a verified file on this disk: the user's own folder, the library's, the Hub, the publishers' servers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nlreid.errors import ChecksumError, WeightsError
from nlreid.hub.fetching.folders import named_folder
from nlreid.hub.fetching.repository import RepositoryFile, obtain
from nlreid.hub.fetching.shipped import shipped_file
from nlreid.hub.fetching.upstream import Check, converted_file, published_name
from nlreid.hub.fetching.verify import verify, wanted_of
from nlreid.hub.table.config import Config
from nlreid.hub.table.manifest import Entry

FOLDER = "NLREID_WEIGHTS"
HUB = "hf-hub:"
SUFFIXES = (".safetensors", ".pth", ".pyth", ".pt", ".pkl")


@dataclass(frozen=True)
class Fetched:
    """A checkpoint on this disk.

    Args:
        path: The file; what came over a network is verified, what lay in the user's own folder only under its published name.
        sha256: Of its bytes.
        source: Where it comes from, for people: `hf-hub:org/name@commit`, a URL or a path.
        config: What the repository's `config.json` says; `None` where it comes from elsewhere.
    """

    path: Path
    sha256: str
    source: str
    config: Config | None = None


def fetch(entry: Entry, check: Check) -> Fetched:
    """The file of a checkpoint that has a name.

    Asked are, in this order: the folder that the environment variable NLREID_WEIGHTS names, for `model.tag` with one of
    `SUFFIXES`, which is taken as it is, and for the published file under its own name, which is verified; the library's own
    folder, if it ships with it; the Hub, if it was published there; its publishers' server. The Hub client's variables hold for
    the last, too: HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_PROGRESS_BARS.

    Args:
        entry: The entry of the table of weights.
        check: Raises `WeightsError` if tensors, by name, are not those of the entry's model; asked of what was converted.

    Raises:
        DownloadError: If it cannot be fetched.
        ChecksumError: If its bytes are not those that were published.
        WeightsError: If it cannot be fetched by a program, or NLREID_WEIGHTS names no folder.
    """
    own = _in_own_folder(entry)
    if own is not None:
        return own
    if entry.status == "shipped":
        path, sha256 = shipped_file(entry)
        return Fetched(path, sha256, str(path))
    if entry.status == "published" and entry.hub is not None:
        return _from_repository(entry.hub.repo, entry.hub.revision, entry.hub.file, entry.checksums.sha256)
    if entry.status == "upstream":
        path, sha256 = converted_file(entry, check)
        return Fetched(path, sha256, entry.url)
    raise WeightsError(
        f"{entry.name}: there is no address that a program could fetch it from; get it from {entry.page or entry.url} and give "
        f"its path as pretrained=, or put it as {entry.name}{SUFFIXES[1]} into a folder that {FOLDER} names"
    )


def fetch_hub(name: str) -> Fetched:
    """A checkpoint of anybody's on the Hub, as `nlreid.push_to_hub` writes them.

    Args:
        name: `hf-hub:org/name`, or `hf-hub:org/name@revision` with a branch, a tag or a commit.

    Raises:
        DownloadError: If it cannot be fetched.
        ChecksumError: If its bytes are not those that the Hub has.
        WeightsError: If the name is none of these, or its `config.json` is not one of this library.
    """
    parts = re.fullmatch(rf"{HUB}([\w.-]+/[\w.-]+)(?:@([^@\s]+))?", name)
    if parts is None:
        raise WeightsError(f"{name!r} is no name on the Hub; wanted is {HUB}org/name or {HUB}org/name@revision")
    return _from_repository(parts[1], parts[2], "model.safetensors", None)


def _from_repository(repo: str, revision: str | None, file: str, sha256: str | None) -> Fetched:
    about = obtain(RepositoryFile(repo, "config.json", revision))
    source = f"{HUB}{repo}@{about.commit}"
    config = _config(about.path, f"{source} config.json")
    weights = obtain(RepositoryFile(repo, file, about.commit, sha256))  # of the same commit, whatever was pushed meanwhile
    return Fetched(weights.path, weights.sha256, source, config)


def _config(path: Path, where: str) -> Config:
    try:
        return Config.from_json(path.read_bytes(), where)
    except OSError as error:
        raise WeightsError(f"{where}: {path} cannot be read ({error.strerror}); check the file and its permissions") from error


def _in_own_folder(entry: Entry) -> Fetched | None:
    """The user's own file of an entry.

    Only a file under its published name says that it is what is known about; under the name of the entry it can be converted,
    trained on or fetched elsewhere. Whoever reads it remarks on an upstream file that is not the published one.
    """
    named = os.environ.get(FOLDER)
    if not named:
        return None
    folder = named_folder(FOLDER, named)
    names = [*(entry.name + suffix for suffix in SUFFIXES), *filter(None, [published_name(entry)])]
    there = _names_in(folder)
    path = next((folder / name for name in names if name in there), None)
    if path is None:
        return None
    as_published = entry.status != "published" and path.name == published_name(entry)
    found = verify(path, wanted_of(entry.checksums) if as_published else {})
    if found.wrong:
        raise ChecksumError(f"{path}: {found.wrong}; it is not what {entry.url} has: download it again, or remove it")
    return Fetched(path, found.sha256, str(path))


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise WeightsError(
            f"{FOLDER} is {str(folder)!r}, which cannot be read ({error.strerror}); make it, name another, or unset it"
        ) from error
