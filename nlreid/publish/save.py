"""`save_pretrained`: a model as a folder that anybody can load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlreid.errors import InputError
from nlreid.hub.writing.writer import whole_folder, write_tensors
from nlreid.models.network import VideoReID
from nlreid.publish.card import ModelCard, as_card, with_defaults
from nlreid.publish.check import checked_tensors
from nlreid.publish.describe import describe, head_kind, origin_of, task_of
from nlreid.publish.readme import readme

FILES = ("README.md", "config.json", "model.safetensors")


def save_pretrained(model: VideoReID, folder: str | Path, *, card: ModelCard | Mapping[str, Any]) -> Path:
    """Save a model so that `create_model(…, pretrained=folder)` gives it back, bit for bit.

    Writes `config.json` (what it is), `model.safetensors` (its tensors, and the same config, so that the file alone will do)
    and `README.md` (a model card). Each appears whole or not at all, and a new folder with all of them. In a folder that is
    there already they are replaced one after the other, at the end; Ctrl-C waits for the last of them. Where the process is
    killed or power fails between two, the files are of two models, and `create_model` refuses a folder whose tensors do not
    come with its config. Other files of the folder are left alone.

    Numbers are saved in the type that they have: float32, float16 or bfloat16, all of which load exactly, as float32.

    Args:
        model: The model, as `create_model` made it, in any state of training.
        folder: Where to; made where it does not exist. A `~` at its beginning is the user's home.
        card: What is said about it: a mapping with at least `licence`, see `nlreid.publish.ModelCard`.

    Returns:
        The folder.

    Raises:
        InputError: If the licence is missing, or the model is not what its spec says, or holds values that are not finite; if
            `folder` is no path.
        UnknownNameError: If a name in the card does not exist.
        WeightsError: If it cannot be written.
    """
    folder = _folder(folder)
    return write_checkpoint(model, folder, card, place=str(Path("path", "of", folder.name)))


def write_checkpoint(model: VideoReID, folder: Path, card: ModelCard | Mapping[str, Any], *, place: str, tag: str = "") -> Path:
    """As `save_pretrained`, with what the README and the config say besides.

    Args:
        model: The model.
        folder: Where to.
        card: What is said about it.
        place: What `create_model(…, pretrained=place)` will find it by.
        tag: The tag of a name that it keeps.
    """
    if not isinstance(model, VideoReID):
        raise InputError(
            f"what is saved is a VideoReID, as create_model makes it; got {type(model).__name__}; of a wrapped one "
            "(DataParallel, torch.compile) give what is inside"
        )
    card = with_defaults(as_card(card), task_of(model), origin_of(model))
    config = describe(model, card, tag)
    text = _encoded(readme(config, card, place))
    tensors = checked_tensors(model, head_kind(model))
    with whole_folder(folder) as temporary:
        write_tensors(temporary / "model.safetensors", tensors, config)
        (temporary / "config.json").write_text(config.to_json(), encoding="utf-8")
        (temporary / "README.md").write_bytes(text)
    return folder


def _folder(folder: object) -> Path:
    if not isinstance(folder, str | Path) or "\0" in str(folder):
        raise InputError(f"folder is the path of a folder, a str or Path; got {folder!r}")
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise InputError(f"{folder}: there is no such user here; give the whole path") from error


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"a text of the card has a character that UTF-8 does not have, {error.object[error.start]!r}"
        ) from error
