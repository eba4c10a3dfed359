"""Measurements by name, kept in a file, so that an interrupted run goes on and a part of a table can be measured alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

Values = dict[str, float | str | None]


class Cells:
    """What has been measured.

    Args:
        file: JSON lines, one a measurement; None keeps nothing.
        only: Shell-style pattern of the names to measure now; of the others, those that are kept are shown.
        prefix: Of the names in the file, so that hasty measurements do not stand for thorough ones.
    """

    def __init__(self, file: Path | None = None, only: str = "*", prefix: str = "") -> None:
        self.only = only
        self._prefix = prefix
        self._file = file
        self._values: dict[str, Values] = {}
        if file is not None and file.exists():
            for line in file.read_text().splitlines():
                entry = json.loads(line)
                if entry["cell"].startswith(prefix):
                    self._values[entry["cell"].removeprefix(prefix)] = entry["values"]

    def get(self, name: str, measurement: Callable[[], Values]) -> Values | None:
        """What is kept under the name, or else measured now; None where `only` leaves it out."""
        if name not in self._values:
            if not fnmatchcase(name, self.only):
                return None
            sys.stderr.write(f"{name} …\n")
            self._values[name] = measurement()
            if self._file is not None:
                with self._file.open("a") as file:
                    file.write(json.dumps({"cell": self._prefix + name, "values": self._values[name]}) + "\n")
        return self._values[name]

    def kept(self, name: str) -> Values | None:
        """What is kept under the name, if anything."""
        return self._values.get(name)


_current = Cells()


def configure(file: Path | None, only: str, *, quick: bool) -> None:
    """Say, for this run, where measurements are kept and which are made."""
    global _current
    _current = Cells(file, only, "quick/" if quick else "")


def measured(name: str, measurement: Callable[[], Values]) -> Values | None:
    """`Cells.get` of this run."""
    return _current.get(name, measurement)


def kept(name: str) -> Values | None:
    """`Cells.kept` of this run."""
    return _current.kept(name)
