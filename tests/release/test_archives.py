"""Archives made here stand for those that are built: building takes an environment of its own, and is `.ci/run`'s."""

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from release.archives import normalise, stage, tracked, unpack
from release.contents import LARGEST, library_files, sdist_problems, wheel_problems
from release.metadata import metadata_problems, of_sdist, of_wheel, project_of

pytest.importorskip("tomllib", reason="what makes a release needs Python 3.11")
ROOT = Path(__file__).parents[2]
FILES = [Path(name) for name in ("nlreid/__init__.py", "nlreid/py.typed", "weights/manifest.json", "weights/a.safetensors")]
OTHERS = [Path(name) for name in ("README.md", "weights/README.md", "tests/test_a.py", "docs/a.png")]
IN_WHEEL = {
    "nlreid/__init__.py": b"",
    "nlreid/py.typed": b"",
    "nlreid/weights/manifest.json": b"{}",
    "nlreid/weights/a.safetensors": bytes(LARGEST + 1),
    **{
        f"nlreid-0.1.0.dist-info/{name}": b"Name: nlreid"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
    },
}
IN_SDIST = {
    **{str(path): b"x" for path in FILES},
    **dict.fromkeys(("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "PKG-INFO"), b"Name: nlreid"),
    "nlreid.egg-info/SOURCES.txt": b"",
}


def _wheel(folder, contents):
    path = folder / "nlreid-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def _sdist(folder, contents, *, time=0, mode=0o644, backwards=False):
    path = folder / "nlreid-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in sorted(contents.items(), reverse=backwards):
            member = tarfile.TarInfo(f"nlreid-0.1.0/{name}")
            member.size, member.mtime, member.mode, member.uname = len(content), time, mode, f"user{time}"
            archive.addfile(member, io.BytesIO(content))
    return path


def test_archives_with_what_belongs_there(tmp_path):
    assert wheel_problems(_wheel(tmp_path, IN_WHEEL), FILES + OTHERS) == []
    assert sdist_problems(_sdist(tmp_path, IN_SDIST), FILES + OTHERS) == []
    assert of_wheel(_wheel(tmp_path, IN_WHEEL)) == of_sdist(_sdist(tmp_path, IN_SDIST)) == b"Name: nlreid"


@pytest.mark.parametrize(
    "missing", ["nlreid/py.typed", "nlreid/weights/manifest.json", "nlreid-0.1.0.dist-info/licenses/LICENSE"]
)
def test_what_a_wheel_lacks_is_named(tmp_path, missing):
    contents = {name: content for name, content in IN_WHEEL.items() if name != missing}
    assert wheel_problems(_wheel(tmp_path, contents), FILES) == [f"the wheel lacks {missing}"]


@pytest.mark.parametrize(
    "extra", ["tests/test_a.py", "nlreid/__pycache__/__init__.cpython-311.pyc", "nlreid/old.py", "nlreid/weights/README.md"]
)
def test_what_does_not_belong_in_a_wheel_is_named(tmp_path, extra):
    found = wheel_problems(_wheel(tmp_path, {**IN_WHEEL, extra: b""}), FILES)
    assert found == [f"the wheel has {extra}, which is no part of the library"]


def test_large_files_are_checkpoints(tmp_path):
    files = [*FILES, Path("nlreid/picture.png")]
    (found,) = wheel_problems(_wheel(tmp_path, {**IN_WHEEL, "nlreid/picture.png": bytes(LARGEST + 1)}), files)
    assert found == "the wheel has nlreid/picture.png of 1,000,001 bytes; 1,000,000 are allowed"


def test_an_sdist_has_no_tests_and_all_of_the_library(tmp_path):
    contents = {name: content for name, content in IN_SDIST.items() if name != "weights/a.safetensors"}
    found = sdist_problems(_sdist(tmp_path, {**contents, "tests/test_a.py": b""}), FILES)
    assert found == ["the sdist lacks weights/a.safetensors", "the sdist has tests/test_a.py, which is no part of the library"]


def test_a_normalised_sdist_tells_nothing_of_its_making(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = _sdist(tmp_path / "a", IN_SDIST, time=5, mode=0o600)
    two = _sdist(tmp_path / "b", IN_SDIST, time=7, mode=0o664, backwards=True)
    assert one.read_bytes() != two.read_bytes()
    for path in (one, two):
        normalise(path, 1_700_000_000)
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        assert {(m.mtime, m.mode, m.uname, m.uid) for m in archive.getmembers()} == {(1_700_000_000, 0o644, "", 0)}
    assert int.from_bytes(one.read_bytes()[4:8], "little") == 1_700_000_000
    tree = unpack(one, tmp_path / "out")
    assert {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == IN_SDIST


def test_links_are_not_packed(tmp_path):
    path = tmp_path / "nlreid-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("nlreid-0.1.0/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    with pytest.raises(SystemExit, match="no links"):
        normalise(path, 0)


def test_only_what_git_knows_is_staged(tmp_path):
    checkout = tmp_path / "checkout"
    (checkout / "nlreid").mkdir(parents=True)
    for name, text in {"README.md": "[a](b.md)", "nlreid/__init__.py": "", "notes.txt": "mine", "gone.py": ""}.items():
        (checkout / name).write_text(text, encoding="utf-8")
    for command in (["init", "-q"], ["add", "README.md", "nlreid", "gone.py"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    (checkout / "gone.py").unlink()
    assert tracked(checkout) == [Path("README.md"), Path("nlreid/__init__.py")]
    staged = stage(checkout, tmp_path / "staged", "https://example.org/x", "main")
    assert sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file()) == [
        "README.md",
        "nlreid/__init__.py",
    ]
    assert (staged / "README.md").read_text(encoding="utf-8") == "[a](https://example.org/x/blob/main/b.md)"


def test_the_library_is_all_of_two_folders():
    assert [str(file) for file in library_files(FILES + OTHERS)] == [str(path) for path in FILES]


METADATA = """Metadata-Version: 2.4
Name: nlreid
Version: 0.1.0
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.10
Classifier: Typing :: Typed
Project-URL: Paper, https://arxiv.org/abs/1807.05073
Requires-Dist: torch>=2.6
Requires-Dist: av>=14.2; extra == "video"
Provides-Extra: video
Description-Content-Type: text/markdown

Text.
"""
PROJECT = {
    "name": "nlreid",
    "version": "0.1.0",
    "license": "Apache-2.0",
    "license-files": ["LICENSE"],
    "requires-python": ">=3.10",
    "classifiers": ["Typing :: Typed"],
    "urls": {"Paper": "https://arxiv.org/abs/1807.05073"},
    "dependencies": ["torch>=2.6"],
    "optional-dependencies": {"video": ["av>=14.2"]},
}


def test_metadata_that_says_what_the_project_says():
    assert metadata_problems(METADATA.encode(), PROJECT) == []


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("version", "0.2.0", "version: the archive says 0.1.0, pyproject.toml 0.2.0"),
        ("dependencies", ["torch>=2.7"], "requirements: the archive says ['torch>=2.6'], pyproject.toml ['torch>=2.7']"),
        ("license", "MIT", "licence: the archive says Apache-2.0, pyproject.toml MIT"),
        ("classifiers", [], "classifiers: the archive says ['Typing :: Typed'], pyproject.toml []"),
        ("optional-dependencies", {}, "extras: the archive says ['video'], pyproject.toml []"),
        ("urls", {}, "addresses: the archive says {'Paper': 'https://arxiv.org/abs/1807.05073'}, pyproject.toml {}"),
    ],
)
def test_metadata_that_says_something_else(field, value, what):
    assert metadata_problems(METADATA.encode(), {**PROJECT, field: value}) == [what]


def test_metadata_that_an_index_would_refuse():
    with pytest.raises(Exception, match=r"invalid.*metadata"):
        metadata_problems(METADATA.replace("Version: 0.1.0", "Version: first").encode(), PROJECT)


def test_the_project_s_own_table_is_read():
    assert project_of(ROOT / "pyproject.toml")["name"] == "nlreid"
