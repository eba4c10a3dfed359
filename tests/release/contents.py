"""What is in a wheel and in an sdist: all that the library needs, and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

LARGEST = 1_000_000
"""Bytes of a file, unpacked; checkpoints may be larger."""

_OF_THE_WHEEL = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
_OF_THE_SDIST = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "PKG-INFO")
_MADE_BY_SETUPTOOLS = "nlreid.egg-info"


def library_files(tracked: Iterable[Path]) -> list[PurePosixPath]:
    """Of the files that git knows, those that are the library: all of `nlreid/`, and of `weights/` all but its page."""
    files = (PurePosixPath(path.as_posix()) for path in tracked)
    return [file for file in files if file.parts[0] in ("nlreid", "weights") and file != PurePosixPath("weights/README.md")]


def wheel_problems(wheel: Path, tracked: Iterable[Path]) -> list[str]:
    """What a wheel lacks, has too much, or too large."""
    about = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    expected = {_installed(file) for file in library_files(tracked)} | {f"{about}/{name}" for name in _OF_THE_WHEEL}
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    return _differences("wheel", expected, sizes)


def _installed(file: PurePosixPath) -> str:
    """Where a file of the checkout is in the wheel; `setup.cfg` maps `weights/` into the package."""
    return f"nlreid/{file}" if file.parts[0] == "weights" else str(file)


def sdist_problems(sdist: Path, tracked: Iterable[Path]) -> list[str]:
    """What an sdist lacks, has too much, or too large."""
    root = sdist.name.removesuffix(".tar.gz")
    expected = {str(file) for file in library_files(tracked)} | set(_OF_THE_SDIST)
    with tarfile.open(sdist) as archive:
        sizes = {
            str(PurePosixPath(member.name).relative_to(root)): member.size for member in archive.getmembers() if member.isfile()
        }
    made = {name for name in sizes if name.startswith(f"{_MADE_BY_SETUPTOOLS}/")}
    return _differences("sdist", expected | made, sizes)


def _differences(what: str, expected: set[str], sizes: dict[str, int]) -> list[str]:
    return [
        *(f"the {what} lacks {name}" for name in sorted(expected - set(sizes))),
        *(f"the {what} has {name}, which is no part of the library" for name in sorted(set(sizes) - expected)),
        *(
            f"the {what} has {name} of {size:,} bytes; {LARGEST:,} are allowed"
            for name, size in sorted(sizes.items())
            if size > LARGEST and not name.endswith(".safetensors")
        ),
    ]
