"""What must hold before archives are published: of the version, and of the archives."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release import archives, changelog, contents, metadata

SOURCE = "Source"
"""The name, in `[project.urls]`, of the repository's address."""


def version_problems(root: Path) -> list[str]:
    """Where the version, CHANGELOG.md and the state of the checkout do not fit."""
    project = metadata.project_of(root / "pyproject.toml")
    found = changelog.problems((root / "CHANGELOG.md").read_text(encoding="utf-8"), project["version"])
    if changelog.is_final(project["version"]):
        if SOURCE not in project.get("urls", {}):
            found.append(
                f"a release needs the repository's address, {SOURCE!r} in [project.urls], where the README's links lead"
            )
        status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True).stdout
        if status:
            found.append(f"a release is made of what is committed; this is not:\n{status.rstrip()}")
    return found


@dataclass(frozen=True)
class Archives:
    """What was built, the files that it was built from, and what is wrong with it so far."""

    wheel: Path
    sdist: Path
    files: tuple[Path, ...]
    problems: tuple[str, ...]


def build_twice(root: Path, out: Path) -> Archives:
    """Build sdist and wheel in two folders, by two ways, and compare them byte by byte.

    Once the wheel comes from the sdist, as an index's users make it; once straight from the files, on an account that lets
    nobody read what it writes.

    Args:
        root: The checkout.
        out: Where the archives stay, with their sums.
    """
    if out.exists() and any(out.iterdir()):
        raise SystemExit(f"{out} is not empty")
    out.mkdir(parents=True, exist_ok=True)
    out = out.resolve()
    project = metadata.project_of(root / "pyproject.toml")
    source, version = project.get("urls", {}).get(SOURCE), project["version"]
    revision = f"v{version}" if changelog.is_final(version) else "main"
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or archives.last_commit(root))
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        tree = archives.stage(root, Path(first) / "tree", source, revision)
        files = tuple(path.relative_to(tree) for path in sorted(tree.rglob("*")) if path.is_file())
        before = os.umask(0o077)
        other = shutil.copytree(tree, Path(second) / "elsewhere", copy_function=shutil.copyfile)
        again = Path(second) / "out"
        seconds = [archives.build_sdist(other, again, epoch), archives.build_wheel(other, again, epoch)]
        os.umask(before)
        sdist = archives.build_sdist(tree, out, epoch)
        wheel = archives.build_wheel(archives.unpack(sdist, Path(first) / "unpacked"), out, epoch)
        pairs = zip((sdist, wheel), seconds, strict=True)
        found = [f"{one.name} differs when it is built again" for one, two in pairs if one.read_bytes() != two.read_bytes()]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in (sdist, wheel)]
    (out / "SHA256SUMS").write_text("\n".join([*sums, ""]), encoding="utf-8")
    print(*sums, sep="\n")
    return Archives(wheel, sdist, files, tuple(found))


def archive_problems(built: Archives, project: dict[str, Any]) -> list[str]:
    """What is wrong with archives: their files, their metadata, their page."""
    found = [*contents.wheel_problems(built.wheel, built.files), *contents.sdist_problems(built.sdist, built.files)]
    for raw in (metadata.of_wheel(built.wheel), metadata.of_sdist(built.sdist)):
        found += metadata.metadata_problems(raw, project)
    found += metadata.page_problems(metadata.of_wheel(built.wheel))
    twine = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)], capture_output=True, text=True
    )
    return found if twine.returncode == 0 else [*found, f"{twine.stdout}{twine.stderr}".strip()]
