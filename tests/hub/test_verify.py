"""Bytes are what was published, or it is said which number differs."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlreid.errors import WeightsError
from nlreid.hub.fetching.verify import verify, wanted_of, wanted_of_etag
from nlreid.hub.table.manifest import Checksums

KINDS = ("sha256", "sha256_prefix", "sha1", "git", "size")


def slow(content):
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "sha256_prefix": hashlib.sha256(content).hexdigest()[:8],
        "sha1": hashlib.sha1(content).hexdigest(),
        "git": hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest(),
        "size": len(content),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(), asked=st.sets(st.sampled_from(KINDS)), wrong=st.sampled_from(KINDS))
def test_right_and_wrong_numbers(tmp_path, content, asked, wrong):
    path = tmp_path / "weights"
    path.write_bytes(content)
    wanted = {kind: value for kind, value in slow(content).items() if kind in asked}
    assert verify(path, wanted) == (slow(content)["sha256"], len(content), "")
    other = slow(content + b"!")[wrong]
    found = verify(path, wanted | {wrong: other})
    assert (
        found.wrong == f"its {'sha256' if wrong.startswith('sha256') else words(wrong)} is {slow(content)[wrong]}, not {other}"
    )


def words(kind):
    return {"git": "sha1 as a git blob"}.get(kind, kind)


def test_everything_that_is_wrong_is_said(tmp_path):
    (tmp_path / "weights").write_bytes(b"")
    found = verify(tmp_path / "weights", {"size": 8, "sha256_prefix": "abc"})
    assert found.wrong == "its size is 0, not 8 and its sha256 is e3b, not abc"


def test_large_letters_are_the_same_number(tmp_path):
    (tmp_path / "weights").write_bytes(b"weights")
    assert not verify(tmp_path / "weights", {"sha256": slow(b"weights")["sha256"].upper()}).wrong


@pytest.mark.parametrize(
    ("content", "git"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello world\n", "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"),
    ],
)
def test_the_git_hash_is_that_of_git_hash_object(tmp_path, content, git):
    (tmp_path / "weights").write_bytes(content)
    assert not verify(tmp_path / "weights", {"git": git}).wrong


def test_files_larger_than_what_is_read_at_once(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "weights").write_bytes(content)
    assert not verify(tmp_path / "weights", slow(content)).wrong


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(WeightsError, match=r"no: cannot be read \(No such file or directory\)"):
        verify(tmp_path / "no", {})


def test_what_is_unknown_is_not_asked():
    assert wanted_of(Checksums()) == {}
    assert wanted_of(Checksums(sha1="a", size=0)) == {"sha1": "a", "size": 0}


@pytest.mark.parametrize("etag", ["", "0" * 39, "g" * 40, "0" * 63 + "G", "0" * 32 + "-17", "0" * 41])
def test_etags_that_are_no_hash(etag):
    assert wanted_of_etag(etag) is None


def test_etags_that_are():
    assert wanted_of_etag("a" * 64) == {"sha256": "a" * 64}
    assert wanted_of_etag("1" * 40) == {"git": "1" * 40}
