"""The wheel has every package: those that `setup.cfg` lists are those on disk."""

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_listed():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "nlreid").rglob("__init__.py")}
    assert sorted(setup["options"]["packages"].split()) == sorted({*found, "nlreid.weights"})
