"""How a release is made and checked: `python tests/release {extras,oldest,notes,build}`; docs/releasing.md has the steps.

Python 3.11 or newer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Do what is asked; 1 where something does not fit."""
    sys.path[0] = str(ROOT / "tests")
    parser = argparse.ArgumentParser(prog="python tests/release", description=__doc__)
    commands = parser.add_subparsers(required=True)
    extras = commands.add_parser("extras", help="print what extras ask for beside the library")
    extras.add_argument("extras", nargs="+")
    extras.set_defaults(run=print_extras)
    oldest = commands.add_parser("oldest", help="print the oldest releases that pyproject.toml allows, as pins")
    oldest.add_argument("extras", nargs="*", help="extras to take along")
    oldest.set_defaults(run=print_oldest)
    notes = commands.add_parser("notes", help="check that version and CHANGELOG.md fit; print what it says of the version")
    notes.set_defaults(run=print_notes)
    build = commands.add_parser("build", help="build wheel and sdist, twice, and check them")
    build.add_argument("out", type=Path, help="a folder that is empty or not there")
    build.set_defaults(run=build_and_check)
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


def print_extras(arguments: argparse.Namespace) -> int:
    """`extras`."""
    from release.bounds import of_extras

    print(*of_extras(ROOT / "pyproject.toml", arguments.extras), sep="\n")
    return 0


def print_oldest(arguments: argparse.Namespace) -> int:
    """`oldest`."""
    from release.bounds import oldest

    print(*oldest(ROOT / "pyproject.toml", arguments.extras), sep="\n")
    return 0


def print_notes(_arguments: argparse.Namespace) -> int:
    """`notes`."""
    from release.changelog import notes
    from release.checks import version_problems
    from release.metadata import project_of

    if _said(version_problems(ROOT)):
        return 1
    version = project_of(ROOT / "pyproject.toml")["version"]
    print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version))
    return 0


def build_and_check(arguments: argparse.Namespace) -> int:
    """`build`."""
    from release.checks import archive_problems, build_twice, version_problems
    from release.metadata import project_of

    problems = version_problems(ROOT)
    if not problems:
        built = build_twice(ROOT, arguments.out)
        problems = [*built.problems, *archive_problems(built, project_of(ROOT / "pyproject.toml"))]
    _said(problems)
    return 1 if problems else 0


def _said(problems: list[str]) -> bool:
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
