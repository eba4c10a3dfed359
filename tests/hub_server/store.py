"""What the Hub keeps: files with the hashes that it names them by, repositories as commits of files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

LARGE = (".safetensors", ".bin", ".pt", ".pth", ".pkl")  # what .gitattributes sends to LFS


@dataclass(frozen=True)
class Blob:
    """The content of a file."""

    data: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def git(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


def is_large(path: str, size: int) -> bool:
    """Whether a file goes to LFS."""
    return path.endswith(LARGE) or size > 10_000_000


@dataclass
class Repo:
    """A repository: commits by hash, each all its files; branches and tags by name."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({}, "initial commit")

    def commit(self, files: dict[str, Blob], message: str, branch: str = "main") -> str:
        """Make these all the files of a branch; the commit's hash."""
        content = [f"{path} {blob.git}" for path, blob in sorted(files.items())]
        commit = hashlib.sha1(repr((self.refs.get(branch), message, len(self.commits), content)).encode()).hexdigest()
        self.commits[commit], self.messages[commit], self.refs[branch] = dict(files), message, commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit names."""
        commit = self.refs.get(revision, revision.lower())
        return commit if commit in self.commits else None
