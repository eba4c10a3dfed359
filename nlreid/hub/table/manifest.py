"""The table of weights: what is known about each checkpoint that has a name, read from `weights/manifest.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from nlreid.errors import unknown_name
from nlreid.hub.table.config import ACTIONS, Config
from nlreid.hub.table.manifest_check import check_manifest

Status = Literal["shipped", "published", "upstream", "recipe"]


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the Hugging Face Hub, pinned.

    Args:
        repo: `org/name`.
        revision: The commit, 40 hex digits.
        file: Its name in the repository.
    """

    repo: str
    revision: str
    file: str = "model.safetensors"


@dataclass(frozen=True)
class Checksums:
    """What is known about the bytes of the published file; `None` is unknown.

    Args:
        sha256: All 64 digits.
        sha256_prefix: The first digits, as some publishers put them into the file's name.
        sha1: All 40 digits.
        size: Bytes.
    """

    sha256: str | None = None
    sha256_prefix: str | None = None
    sha1: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Licence:
    """The licence of the weights.

    Args:
        id: SPDX identifier.
        evidence: Where it is stated, and for what.
        redistribution: Whether it permits publishing the converted weights.
    """

    id: str
    evidence: str
    redistribution: bool


@dataclass(frozen=True)
class Score:
    """A number somebody got with the checkpoint.

    Args:
        dataset: The data set, with the split.
        metric: What was measured.
        value: As a fraction of 1.
        by: `"reported by …"` or `"measured here, …"`.
    """

    dataset: str
    metric: str
    value: float
    by: str


@dataclass(frozen=True)
class Training:
    """How a checkpoint of our own was made.

    Args:
        recipe: The way, in a line.
        seed: Of everything that was drawn.
        hardware: On what.
        time: How long it took, in words.
        command: What makes it again.
    """

    recipe: str
    seed: int
    hardware: str
    time: str
    command: str


@dataclass(frozen=True)
class Entry:
    """One checkpoint.

    Args:
        name: `model.tag`.
        title: What its publishers call it.
        status: `shipped`: a part of the library, beside this table. `published`: on the Hub, converted. `upstream`: at its
            publishers', converted here after download. `recipe`: only as a file that the user has.
        format: Format of the published file: `caffe2`, `torch` or `safetensors`.
        recipe: The converter, a key of `nlreid.hub.convert.RECIPES`; `nlreid` for what needs none.
        licence: The licence.
        overrides: What of the model's spec this checkpoint needs otherwise, `clip` left out.
        clip: Frames, stride, size, mean and std that it was trained with.
        num_classes: Outputs of its classifier; 0 without one.
        head: The kind of its head.
        url: The published file; empty where there is no address that a program could open.
        page: Where its publishers describe it.
        hub: Its converted form on the Hub.
        checksums: What is known about the bytes: of the file here where `shipped`, of `hub`'s where `published`, else of the
            file at `url`.
        training_data: What it was trained on.
        training: How it was trained, where that was done here.
        scores: What somebody got with it.
        task: What it was trained for.
        default_for: Aliases that mean this tag for this model, such as `kinetics`.
    """

    name: str
    title: str
    status: Status
    format: str
    recipe: str
    licence: Licence
    overrides: Mapping[str, Any]
    clip: Mapping[str, Any]
    num_classes: int
    head: str = "linear"
    url: str = ""
    page: str = ""
    hub: HubFile | None = None
    checksums: Checksums = field(default_factory=Checksums)
    training_data: str = ""
    training: Training | None = None
    scores: tuple[Score, ...] = ()
    task: str = ACTIONS
    default_for: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Name of the model in the zoo."""
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        """The tag."""
        return self.name.partition(".")[2]

    def config(self, **origin: Any) -> Config:
        """What the converted checkpoint is.

        Args:
            **origin: What is known about the file that was converted, as in `Config.origin`.
        """
        known = {"name": self.name, "url": self.url, "recipe": self.recipe}
        return Config(
            architecture=self.model,
            overrides=self.overrides,
            clip=self.clip,
            head=self.head,
            num_classes=self.num_classes,
            licence=self.licence.id,
            origin=known | origin,
            task=self.task,
            tag=self.tag,
            version=version("nlreid"),
        )


@cache
def manifest() -> Mapping[str, Entry]:
    """Every entry by name, in the order of the file.

    Raises:
        WeightsError: If the file is damaged.
    """
    return parse_manifest((weights_folder() / "manifest.json").read_bytes(), "weights/manifest.json")


def weights_folder() -> Path:
    """The folder of the table of weights, and of the checkpoints that ship with it.

    Python that is started in a checkout takes the folder `nlreid` there for the package, even if the library is installed
    elsewhere. Then they lie beside it.
    """
    try:
        return Path(str(resources.files("nlreid.weights")))
    except ModuleNotFoundError:
        return Path(__file__).resolve().parents[3] / "weights"


def parse_manifest(text: str | bytes, where: object) -> dict[str, Entry]:
    """The entries of a manifest, by name.

    Args:
        text: Its text.
        where: Where it was read, for messages.

    Raises:
        WeightsError: If it is damaged, or says something that cannot be; it names the entry and the field.
    """
    return {name: _entry(name, content) for name, content in check_manifest(text, where).items()}


def find_entry(name: str) -> Entry:
    """The entry of a name `model.tag`.

    Raises:
        UnknownNameError: If there is none.
    """
    entries = manifest()
    if name not in entries:
        raise unknown_name("checkpoint", name, entries)
    return entries[name]


def entries_of(model: str) -> dict[str, Entry]:
    """The entries of a model of the zoo, by tag."""
    return {entry.tag: entry for entry in manifest().values() if entry.model == model}


def _entry(name: str, content: Mapping[str, Any]) -> Entry:
    values = dict(content)
    values["licence"] = Licence(**values["licence"])
    values["checksums"] = Checksums(**values.get("checksums", {}))
    values["hub"] = HubFile(**values["hub"]) if values.get("hub") else None
    values["training"] = Training(**values["training"]) if values.get("training") else None
    values["scores"] = tuple(Score(**score) for score in values.get("scores", ()))
    values["default_for"] = tuple(values.get("default_for", ()))
    return Entry(name, **values)
