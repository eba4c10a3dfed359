"""Wheel and sdist that depend on nothing but the files: not on the day, the folder, the machine or who builds."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from release.index_page import index_page


def tracked(checkout: Path) -> list[Path]:
    """The files that git knows and that are there, relative to the checkout, sorted."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in sorted(filter(None, listed.split("\0"))) if (checkout / name).is_file()]


def last_commit(checkout: Path) -> int:
    """When the last commit was made, in seconds since 1970: the time that everything in the archives has."""
    found = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=checkout, capture_output=True, text=True, check=True)
    return int(found.stdout)


def stage(checkout: Path, folder: Path, source: str | None, revision: str) -> Path:
    """Copy what git knows to a new folder, with the README of an index's page; nothing else gets into an archive."""
    for name in tracked(checkout):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, folder / name)
    readme = folder / "README.md"
    readme.write_text(index_page(readme.read_text(encoding="utf-8"), source, revision), encoding="utf-8")
    return folder


def build_sdist(tree: Path, out: Path, epoch: int) -> Path:
    """Build the sdist of a tree, the same for the same files."""
    _build("--sdist", tree, out, epoch)
    (path,) = out.glob("*.tar.gz")
    normalise(path, epoch)
    return path


def build_wheel(tree: Path, out: Path, epoch: int) -> Path:
    """Build the wheel of a tree, the same for the same files and the same setuptools."""
    for path in tree.rglob("*"):  # a wheel keeps permissions, which come from the umask of whoever copied the files
        path.chmod(0o755 if path.is_dir() else 0o644)
    _build("--wheel", tree, out, epoch)
    (path,) = out.glob("*.whl")
    return path


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist; what comes is the tree in it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def _build(kind: str, tree: Path, out: Path, epoch: int) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(
        [sys.executable, "-m", "build", kind, "--outdir", str(out), str(tree)],
        cwd=out.parent,
        env=environment,
        umask=0o022,  # for what setuptools writes
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\n{done.stderr}\nthe {kind.strip('-')} was not built")


def normalise(sdist: Path, epoch: int) -> None:
    """Write an sdist anew, with members in order, of one time, owner and permission: setuptools takes these from the disk."""
    with tarfile.open(sdist) as archive:
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        contents = {member.name: archive.extractfile(member).read() for member in members if member.isfile()}  # type: ignore[union-attr]
    with (
        sdist.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in members:
            _add(archive, member, contents.get(member.name), epoch)


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, content: bytes | None, epoch: int) -> None:
    if content is None and not member.isdir():
        raise SystemExit(f"{member.name}: an sdist has files and folders, no links")
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.mtime = member.type, epoch
    plain.mode = 0o755 if member.isdir() else 0o644
    if content is None:
        archive.addfile(plain)
    else:
        plain.size = len(content)
        archive.addfile(plain, io.BytesIO(content))
