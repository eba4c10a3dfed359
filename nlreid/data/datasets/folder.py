"""People as folders of pictures: every folder that holds image files is one tracklet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nlreid.data.disk import as_path, contents, resolved
from nlreid.data.images import image_files, natural_key
from nlreid.data.tracklet import Tracklet
from nlreid.errors import DataError


def read_folder(root: Path | str) -> Iterator[Tracklet]:
    """Every folder at or below `root` that directly holds image files, as a tracklet of their paths.

    A tracklet is named by its path relative to `root`, with forward slashes (pictures directly in `root`: `"."`, or the
    name of `root` where it is the only tracklet). Folders and pictures come in natural order (2.jpg before 10.jpg), a
    folder before those inside it; hidden ones (`.name`) are not seen. No picture is read yet.

    Raises:
        DataError: If a folder cannot be read, or if there is no image file anywhere.
    """
    root = as_path("root", root)
    folders = list(_folders_with_images(root, frozenset()))
    if not folders:
        raise DataError(
            f"{root}: no image file in it or in a folder below it; "
            f"wanted one folder of pictures per person: {root / 'person_1' / '0001.jpg'}, ..."
        )
    if folders == [root]:
        return iter([Tracklet(resolved(root).name, image_files(root))])
    return (Tracklet(folder.relative_to(root).as_posix(), image_files(folder)) for folder in folders)


def _folders_with_images(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    place = resolved(folder)
    if place in above:  # a link back to a folder that holds it
        return
    if image_files(folder):
        yield folder
    for name in sorted(contents(folder).folders, key=natural_key):
        if not name.startswith("."):
            yield from _folders_with_images(folder / name, above | {place})
