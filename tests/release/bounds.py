"""What `pyproject.toml` asks for: as it stands, and the oldest releases that it allows, `torch>=2.6` as `torch==2.6`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w, -]+)\])?(?P<specifiers>[^;]*)")
_LOWEST = re.compile(r">=\s*([\w.]+)")


def oldest(pyproject: Path, extras: Sequence[str] = ()) -> list[str]:
    """What to install for the oldest supported releases, all together.

    Args:
        pyproject: The project's file.
        extras: Extras to take along, such as `"test"`; an extra that names others brings these.

    Returns:
        A pin for each requirement, in the file's order; what builds the package comes first.

    Raises:
        ValueError: If an extra does not exist, or a requirement has no lower bound.
    """
    content = _read(pyproject)
    wanted = [*content["build-system"]["requires"], *content["project"]["dependencies"]]
    return list(dict.fromkeys(map(_pin, [*wanted, *of_extras(pyproject, extras)])))


def of_extras(pyproject: Path, extras: Sequence[str]) -> list[str]:
    """What extras ask for beside the library, as it stands: for tools that need no environment with torch.

    Raises:
        ValueError: If an extra does not exist.
    """
    project = _read(pyproject)["project"]
    return [requirement for extra in extras for requirement in _of_extra(project, extra)]


def _read(pyproject: Path) -> dict[str, Any]:
    import tomllib  # since Python 3.11; the library itself takes 3.10

    return tomllib.loads(pyproject.read_text(encoding="utf-8"))


def _of_extra(project: dict[str, Any], extra: str) -> Iterator[str]:
    listed = project.get("optional-dependencies", {})
    if extra not in listed:
        raise ValueError(f"there is no extra {extra!r}; pyproject.toml has {', '.join(listed)}")
    for requirement in listed[extra]:
        found = _parts(requirement)
        if found["name"] == project["name"]:
            for other in found["extras"].split(","):
                yield from _of_extra(project, other.strip())
        else:
            yield requirement


def _pin(requirement: str) -> str:
    found = _parts(requirement)
    lowest = _LOWEST.search(found["specifiers"])
    if lowest is None:
        raise ValueError(
            f"pyproject.toml: {requirement!r} has no lower bound; say from which release on it works, as in name>=1.2"
        )
    return f"{found['name']}=={lowest[1]}"


def _parts(requirement: str) -> re.Match[str]:
    found = _REQUIREMENT.fullmatch(requirement.strip())
    if found is None:  # with a marker, the oldest release would depend on the machine
        raise ValueError(f"pyproject.toml: {requirement!r} is no name with bounds")
    return found
