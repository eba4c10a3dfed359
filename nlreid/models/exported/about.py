"""What an exported file says about its network: all that is needed to make clips for it, and to name what it embeds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nlreid.errors import DataError, NLReIDError, shorten
from nlreid.models.network import VideoReID
from nlreid.models.spec import ClipSpec

FORMAT = 1
METADATA_KEY = "nlreid"
_KINDS = {"name": str, "weights": str, "sha256": str, "licence": str, "version": str}
_NUMBERS = ("embedding_dim", "num_classes", "min_frames")


@dataclass(frozen=True)
class About:
    """A network, as the file that it was exported to describes it.

    Args:
        name: Name of the model.
        weights: Where its weights came from, as `model.loaded.source` had it; of a path the last part.
        sha256: Of the file that they were read from; empty where there was none.
        licence: SPDX identifier of the weights' licence; empty where it is not known.
        embedding_dim: Size of the embedding.
        num_classes: Outputs of the classifier; 0 when there is none.
        min_frames: The shortest clip that it takes, in frames.
        clip: The clips that it wants.
        version: Of the library that wrote it.
    """

    name: str
    weights: str
    sha256: str
    licence: str
    embedding_dim: int
    num_classes: int
    min_frames: int
    clip: ClipSpec
    version: str

    @classmethod
    def of(cls, model: VideoReID) -> About:
        """What there is to say about a model."""
        loaded = model.loaded
        return cls(
            name=model.name,
            weights=_without_folder(loaded.source),
            sha256=loaded.sha256,
            licence=loaded.licence,
            embedding_dim=model.embedding_dim,
            num_classes=model.num_classes,
            min_frames=model.min_frames,
            clip=model.clip_spec,
            version=version("nlreid"),
        )

    def to_json(self) -> str:
        """As it stands in the file's metadata, under the key `METADATA_KEY`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> About:
        """Read what `to_json` wrote.

        Args:
            text: The metadata; None where the file has none.
            path: The file, for the message.

        Raises:
            DataError: If it describes no network, or in a newer format.
        """
        if text is None:
            raise DataError(
                f"{path}: does not say which clips it wants: it has no metadata {METADATA_KEY!r}, as files of nlreid.export "
                "and `nlreid export` have"
            )
        try:
            return cls(**_fields(json.loads(text)))
        except (TypeError, ValueError, RecursionError, NLReIDError) as error:
            raise DataError(f"{path}: its metadata {METADATA_KEY!r} describes no network ({shorten(str(error))})") from error


def _without_folder(source: str) -> str:
    """A path without its folder, which is nobody's business."""
    return source if source.startswith(("hf-hub:", "https://", "timm, ")) else Path(source).name


def _fields(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or type(values.get("format")) is not int:
        raise ValueError("no format")
    if values.pop("format") > FORMAT:
        raise ValueError(f"its format is newer than {FORMAT}, the newest known here; update nlreid")
    for name, kind in {**_KINDS, **dict.fromkeys(_NUMBERS, int), "clip": dict}.items():
        if type(values.get(name)) is not kind:
            raise ValueError(f"{name} is {values.get(name)!r}")
    clip: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values["clip"].items()}
    return {**values, "clip": ClipSpec(**clip)}
