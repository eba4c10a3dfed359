"""Folders that environment variables name: what can be none is said in one line that names the variable."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR

from nlreid.errors import DownloadError, shorten


def named_folder(variable: str, named: str, instead: str = "") -> Path:
    """The folder of that name, which need not exist; `~` is the user's own.

    Args:
        variable: The environment variable that names it, for the message.
        named: Its name.
        instead: The variable that can name another; by default the same.

    Raises:
        DownloadError: If there can be no such folder: an unknown user, a name that is too long, a file where it should be.
    """
    try:
        folder = Path(named).expanduser()
        why = "" if _is_free_or_folder(folder) else "Not a directory"
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
    if why:
        advice = f"let {instead or variable} name another"
        raise DownloadError(f"{variable} is '{shorten(named)}', which is no folder ({why}); {advice}")
    return folder


def _is_free_or_folder(folder: Path) -> bool:
    try:
        return S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return True
