"""`push_to_hub`: a model as a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlreid.errors import InputError, WeightsError
from nlreid.hub.writing.upload import upload
from nlreid.models.network import VideoReID
from nlreid.publish.card import ModelCard
from nlreid.publish.save import FILES, write_checkpoint


def push_to_hub(
    model: VideoReID,
    repo_id: str,
    *,
    card: ModelCard | Mapping[str, Any],
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str = "Add the model",
) -> str:
    """Publish a model on the Hugging Face Hub, in one commit.

    What is pushed is what `save_pretrained` writes. Nothing is sent before all of it is checked and written. Where everything
    is there already no commit is made, and the name of the one that has it is returned.

    Args:
        model: The model, as in `save_pretrained`.
        repo_id: `org/name`; the repository is made where there is none.
        card: What is said about it: a mapping with at least `licence`, see `nlreid.publish.ModelCard`.
        private: Whether nobody else may see a repository that is made.
        token: Of the Hub; by default the one that `hf auth login` or HF_TOKEN gave.
        revision: The branch, made where there is none; by default the main one.
        commit_message: First line of the commit.

    Returns:
        `"hf-hub:org/name@commit"`, which `create_model(…, pretrained=…)` takes; the commit has 40 hex digits.

    Raises:
        InputError: As in `save_pretrained`; if `repo_id` is no name, or another argument of another type; if `private`, and the
            repository exists and is public.
        UnknownNameError: If a name in the card does not exist.
        DownloadError: If the Hub cannot be reached, or refuses.
        WeightsError: If there is no place for the temporary files.
    """
    if not isinstance(repo_id, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise InputError(f"repo_id is the name of a repository, 'org/name'; got {repo_id!r}")
    _check_texts(token=token, revision=revision)
    if not isinstance(commit_message, str) or not commit_message.strip():
        raise InputError(f"commit_message is a text, the first line of the commit; got {commit_message!r}")
    if not isinstance(private, bool):
        raise InputError(f"private is True or False; got {private!r}")
    with _temporary_folder() as temporary:
        folder = write_checkpoint(model, Path(temporary) / "model", card, place=f"hf-hub:{repo_id}")
        return upload(folder, FILES, repo_id, private=private, token=token, revision=revision, commit_message=commit_message)


def _check_texts(**texts: object) -> None:
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and text):
            got = type(text).__name__ if name == "token" else repr(text)  # a token is nobody's business
            raise InputError(f"{name} is a text that is not empty, or None; got {got}")


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="nlreid-")
    except OSError as error:
        raise WeightsError(
            f"no folder for temporary files ({error.strerror}); free space there, or set TMPDIR to one that can be written"
        ) from error
