from pathlib import Path

import pytest

from release.changelog import is_final, notes, problems, read
from release.checks import version_problems

ROOT = Path(__file__).parents[2]
HEAD = "# Changelog\n\nThe format is that of Keep a Changelog.\n\n"
WAITING = "## Unreleased\n\n### Added\n\n- A thing.\n\n"
FIRST = "## 0.1.0 - 2026-02-01\n\n### Added\n\n- All.\n\n### Fixed\n\n- Much.\n"
SECOND = "## 0.2.0 - 2026-03-01\n\n### Removed\n\n- A name.\n\n"


def test_the_project_fits():
    pytest.importorskip("tomllib", reason="what makes a release needs Python 3.11")
    assert version_problems(ROOT) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (WAITING, "0.1.0.dev0"),
        (WAITING + FIRST, "0.2.0.dev0"),
        (WAITING + FIRST, "0.1.1.dev3"),
        ("## Unreleased\n\n" + FIRST, "0.2.0.dev0"),
        (FIRST, "0.1.0"),
        (SECOND + FIRST, "0.2.0"),
        ("## Unreleased\n\n" + SECOND + FIRST, "0.2.0"),
    ],
)
def test_changelog_and_version_that_fit(text, version):
    assert problems(HEAD + text, version) == []


@pytest.mark.parametrize(
    ("text", "version", "problem"),
    [
        (FIRST, "0.2.0.dev0", "0.2.0.dev0 is in development: its changes stand under '## Unreleased', at the top"),
        (WAITING + FIRST, "0.1.0.dev0", "0.1.0.dev0 comes after 0.1.0, which is released"),
        (WAITING + SECOND + FIRST, "0.1.1.dev0", "0.1.1.dev0 comes after 0.2.0, which is released"),
        (WAITING, "0.1", "0.1 is neither a version such as 1.2.3 nor one in development such as 1.2.3.dev0"),
        ("", "0.1.0", "0.1.0 is to be the newest release that CHANGELOG.md lists, as '## 0.1.0 - year-month-day'"),
        (FIRST, "0.2.0", "0.2.0 is to be the newest release that CHANGELOG.md lists, as '## 0.2.0 - year-month-day'"),
        (WAITING + FIRST, "0.1.0", "changes wait under '## Unreleased'; they are to stand under 0.1.0"),
        ("## 0.1.0 - 2026-02-01\n", "0.1.0", "0.1.0 lists no change"),
        (FIRST + SECOND, "0.1.0", "0.1.0 of 2026-02-01 stands above 0.2.0 of 2026-03-01; the newest is first"),
        (
            SECOND.replace("03", "01") + FIRST,
            "0.2.0",
            "0.2.0 of 2026-01-01 stands above 0.1.0 of 2026-02-01; the newest is first",
        ),
        (FIRST.replace("02-01", "02-30"), "0.1.0", "0.1.0: 2026-02-30 is no day"),
        (FIRST + WAITING, "0.1.0", "'## Unreleased' stands at the top, once"),
        ("## [0.1.0]\n", "0.1.0", "CHANGELOG.md: '## [0.1.0]' is neither '## Unreleased' nor '## 1.2.3 - 2026-01-31'"),
        (FIRST.replace("Added", "New"), "0.1.0", "CHANGELOG.md: 0.1.0 has '### New'; kinds are "),
        (FIRST.replace("Fixed", "Added"), "0.1.0", "CHANGELOG.md: 0.1.0 has '### Added'; kinds are "),
        (FIRST.replace("- Much.", ""), "0.1.0", "CHANGELOG.md: '### Fixed' of 0.1.0 lists nothing"),
        (
            FIRST.replace("\n\n### Added", "\n\nHurray.\n\n### Added"),
            "0.1.0",
            "CHANGELOG.md: 0.1.0 has text above its first kind",
        ),
    ],
)
def test_changelog_and_version_that_do_not_fit(text, version, problem):
    (found,) = problems(HEAD + text, version)
    assert found.startswith(problem)


@pytest.mark.parametrize(("version", "final"), [("0.1.0", True), ("1.0.0.dev0", False), ("1.0", False), ("1.0.0rc1", False)])
def test_which_versions_are_final(version, final):
    assert is_final(version) == final


def test_notes_are_what_the_version_says():
    text = HEAD + WAITING + FIRST
    assert notes(text, "0.1.0") == "### Added\n\n- All.\n\n### Fixed\n\n- Much."
    assert notes(text, "0.2.0.dev0") == "### Added\n\n- A thing."
    assert [release.version for release in read(text)] == ["Unreleased", "0.1.0"]
    with pytest.raises(ValueError, match=r"has no '## 0\.3\.0'"):
        notes(text, "0.3.0")
