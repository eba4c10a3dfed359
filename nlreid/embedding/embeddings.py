"""`Embeddings`: what `embed` answers, and the file that it is kept in."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nlreid.embedding.whole_file import write_whole
from nlreid.errors import DataError, InputError, unknown_name

FORMAT = 1


@dataclass(frozen=True)
class TrackInfo:
    """What is known about one embedded tracklet.

    Args:
        name: Its name, unique among the embeddings.
        frames: How many pictures it has.
        first: Number of its first frame in the video, where that is known.
        last: Number of its last frame.
        pid: The person's identity, where it is known.
        camid: The camera's number, where it is known.

    Raises:
        InputError: If `name` is no text, `frames` is below 1, or a number is not whole.
    """

    name: str
    frames: int
    first: int | None = None
    last: int | None = None
    pid: int | None = None
    camid: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the name of a track is text; got {self.name!r}")
        for key in ("frames", "first", "last", "pid", "camid"):
            value = getattr(self, key)
            if value is not None or key == "frames":
                object.__setattr__(self, key, _whole(key, value))  # whole numbers of numpy and torch become Python's
        if self.frames < 1:
            raise InputError(f"a track has at least 1 frame; {self.name!r} has {self.frames}")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector a tracklet, and what is known about each.

    >>> people = Embeddings(torch.eye(2), (TrackInfo("7", frames=8), TrackInfo("9", frames=5)), model="r3d50_nl")
    >>> len(people), people.index("9")
    (2, 1)

    Args:
        features: float32 `(n, d)`, finite; `embed` gives rows of length one.
        tracks: What is known about each row; names are unique.
        model: What made them: name and weights of the model.

    Raises:
        InputError: If `features` has another type or shape or is not finite, or a name comes twice.
    """

    features: Tensor
    tracks: Sequence[TrackInfo]
    model: str = ""

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.features.dtype != torch.float32 or len(self.features) != len(self.tracks):
            raise InputError(
                f"features are float32 (n, d) with a row for each of {len(self.tracks)} tracks; "
                f"got {self.features.dtype} {tuple(self.features.shape)}"
            )
        finite = self.features.isfinite().all(dim=1)
        if not finite.all():
            raise InputError(f"features are finite; those of track {self.tracks[int(finite.int().argmin())].name!r} are not")
        names = [track.name for track in self.tracks]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"names of tracks are unique; given more than once: {', '.join(twice[:5])}")

    def __len__(self) -> int:
        return len(self.tracks)

    def index(self, name: str) -> int:
        """The row of a track.

        Raises:
            UnknownNameError: If there is no track of that name.
        """
        names = [track.name for track in self.tracks]
        if name not in names:
            raise unknown_name(
                "track", name, names, f"There are {len(names)}: {', '.join(names[:20])}{' …' * (len(names) > 20)}."
            )
        return names.index(name)

    def save(self, path: str | Path) -> None:
        """Write them as a safetensors file: the tensor `features`, everything else as JSON in its metadata.

        The file is written under a temporary name and renamed, so that it is whole or not there. The same embeddings give
        the same bytes.

        Raises:
            DataError: If the file cannot be written.
        """
        about = {"format": FORMAT, "model": self.model, "tracks": [asdict(track) for track in self.tracks]}
        # One metadata key: with more, the bytes of the file depend on the order in which a hash map gives them.
        metadata = {"nlreid": json.dumps(about, sort_keys=True)}
        features = self.features.detach().cpu().contiguous()
        write_whole(path, safetensors.torch.save({"features": features}, metadata))

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """Read what `save` wrote.

        Raises:
            DataError: If the file is missing, damaged, of a newer format, or no file of embeddings.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file; nlreid embed writes files of embeddings")
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = _described(file.metadata())
                names = list(file.keys())
                if names != ["features"]:
                    raise ValueError(f"its tensors are {', '.join(names[:5]) or 'none'}; wanted is 'features' alone")
                features = file.get_tensor("features")
            return cls(features, tuple(TrackInfo(**track) for track in about["tracks"]), about["model"])
        except (OSError, safetensors.SafetensorError, TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a file of embeddings, or a damaged one ({error})") from error


def _whole(key: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value")
        return operator.index(value)
    except TypeError as error:
        raise InputError(f"{key} of a track is a whole number; got {value!r}") from error


def _described(metadata: dict[str, str] | None) -> dict[str, Any]:
    about = json.loads((metadata or {}).get("nlreid", "null"))
    if not isinstance(about, dict):
        raise ValueError("its metadata does not describe embeddings")
    version = about.get("format")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format is {version!r}; known is {FORMAT}")
    if version > FORMAT:
        raise ValueError(f"its format {version} is newer than {FORMAT}, the newest known here; update nlreid")
    known = {"format": int, "model": str, "tracks": list}
    if about.keys() != known.keys() or not all(isinstance(about[key], kind) for key, kind in known.items()):
        raise ValueError(f"its metadata is not what format {FORMAT} has: {', '.join(known)}")
    return about
