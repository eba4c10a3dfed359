"""What an archive says of itself: what `pyproject.toml` says, in the form that a package index takes."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

from packaging.metadata import Metadata
from packaging.requirements import Requirement

from release.index_page import dead_targets


def project_of(pyproject: Path) -> dict[str, Any]:
    """The table `[project]`."""
    import tomllib  # since Python 3.11; the library itself takes 3.10

    project: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return project


def of_wheel(wheel: Path) -> bytes:
    """The metadata in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def of_sdist(sdist: Path) -> bytes:
    """The metadata in an sdist."""
    root = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        found = archive.extractfile(f"{root}/PKG-INFO")
        assert found is not None
        return found.read()


def metadata_problems(raw: bytes, project: dict[str, Any]) -> list[str]:
    """Where metadata is not what the project says.

    Raises:
        ExceptionGroup: If a field is not valid.
    """
    metadata = Metadata.from_email(raw, validate=True)
    said = {
        "name": (metadata.name, project["name"]),
        "version": (str(metadata.version), project["version"]),
        "licence": (metadata.license_expression, project["license"]),
        "licence files": (metadata.license_files, project["license-files"]),
        "Python": (str(metadata.requires_python), project["requires-python"]),
        "classifiers": (metadata.classifiers, project["classifiers"]),
        "addresses": (metadata.project_urls or {}, project.get("urls", {})),
        "extras": (sorted(metadata.provides_extra or []), sorted(project["optional-dependencies"])),
        "requirements": (_plain(metadata.requires_dist or []), _plain(map(Requirement, project["dependencies"]))),
        "form of the description": (metadata.description_content_type, "text/markdown"),
    }
    return [
        f"{what}: the archive says {found}, pyproject.toml {wanted}"
        for what, (found, wanted) in said.items()
        if found != wanted
    ]


def _plain(requirements: Any) -> list[str]:
    """Those that everybody needs; those of extras have a marker."""
    return sorted(str(requirement) for requirement in requirements if requirement.marker is None)


def page_problems(raw: bytes) -> list[str]:
    """Links of the description that lead nowhere on an index's page, as the index's own renderer shows it."""
    from readme_renderer.markdown import render

    html = render(Metadata.from_email(raw).description or "")
    if not html:
        return ["the description does not render"]
    return [f"the description leads to {target!r}, which is not there on an index's page" for target in dead_targets(html)]
