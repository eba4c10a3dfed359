"""Files of a folder to a repository of the Hub, in one commit: the only place that writes there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from nlreid.errors import DownloadError, InputError
from nlreid.hub.fetching.client import hub_cache, translated


def upload(
    folder: Path,
    files: Sequence[str],
    repo_id: str,
    *,
    private: bool,
    token: str | None,
    revision: str | None,
    commit_message: str,
) -> str:
    """Commit files to a repository, which is made where there is none.

    Files that are there already with the same bytes are not sent again, and where nothing changes no commit is made.

    Args:
        folder: Where the files lie.
        files: Their names, there and in the repository.
        repo_id: `org/name`, or `name` for the user's own.
        private: Whether nobody else may see a repository that is made.
        token: Of the Hub; by default the one that the user is logged in with.
        revision: The branch, which is made where there is none; by default the repository's main one.
        commit_message: First line of the commit.

    Returns:
        `hf-hub:org/name@commit`, pinned.

    Raises:
        InputError: If it shall be private, and a public repository of that name exists.
        DownloadError: If the Hub cannot be reached, or refuses.
    """
    api = HfApi(token=token)
    what, page = f"{repo_id}: writing to the Hub", f"{api.endpoint}/{repo_id}"
    with translated(what, hub_cache(fetching=False), page):
        repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        is_open = private and not api.model_info(repo).private
    if is_open:
        raise InputError(
            f"{repo}: private=True, and the repository exists and is public; make it private there, or name another"
        )
    with translated(what, hub_cache(fetching=False), page):
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.create_commit(
            repo,
            [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in files],
            commit_message=commit_message,
            revision=revision,
        ).oid
    if len(commit) != 40:
        raise DownloadError(f"{what}: the server names no commit of 40 hex digits but {commit!r}; check HF_ENDPOINT")
    return f"hf-hub:{repo}@{commit}"
