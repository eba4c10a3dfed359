"""What is downloaded is one version of the file, whole, whatever the server can do and whenever the file changes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlreid.errors import DownloadError
from nlreid.hub.fetching.client import Place
from nlreid.hub.fetching.download import download
from nlreid.hub.fetching.transfer import Version, version_of

SIZE = 1000
VERSIONS = [bytes([letter]) * SIZE for letter in b"abc"]


def get(hub, folder):
    return download(f"{hub.url}/files/walker.pth", Place(folder, "NLREID_CACHE"), "walker", "walker.pth")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.sampled_from(VERSIONS), st.sampled_from(VERSIONS)), max_size=5),
    knows=st.fixed_dictionaries({name: st.booleans() for name in ("ranges", "conditions", "etags", "heads")}),
)
def test_two_versions_are_never_put_together(hub, tmp_path, changes, knows):
    for name, value in knows.items():
        setattr(hub, name, value)
    hub.faults.clear()
    hub.files["walker.pth"] = VERSIONS[0]
    for sent, afterwards in changes:  # each a connection that breaks off
        publish = (lambda content=content: hub.files.update({"walker.pth": content}) for content in (sent, afterwards))
        hub.fail("GET", "^/files/", "truncate", times=1, first=next(publish), then=next(publish))
    part = get(hub, tmp_path)
    assert part.read_bytes() in VERSIONS
    assert list(tmp_path.iterdir()) == [part]
    part.unlink()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=4), conditions=st.booleans())
def test_parts_that_earlier_downloads_left(hub, tmp_path, versions, conditions):
    """A connection that stays broken leaves a part; the version that comes back must not be put behind another's bytes."""
    hub.conditions = conditions
    for content in versions:
        hub.files["walker.pth"] = content
        hub.faults.clear()
        hub.fail("GET", "^/files/", "truncate", times=1, then=lambda: hub.fail("GET", "^/files/", 503))
        with pytest.raises(DownloadError, match="503"):
            get(hub, tmp_path)
    hub.faults.clear()
    part = get(hub, tmp_path)
    assert part.read_bytes() == versions[-1]
    part.unlink()


def test_bytes_of_another_version_than_was_asked_about_are_not_continued_as_that_one(hub, tmp_path):
    hub.files["walker.pth"] = VERSIONS[0]
    publish = (lambda: hub.files.update({"walker.pth": VERSIONS[1]}), lambda: hub.files.update({"walker.pth": VERSIONS[0]}))
    hub.fail("GET", "^/files/", "truncate", times=1, first=publish[0], then=publish[1])
    assert get(hub, tmp_path).read_bytes() == VERSIONS[0]


@pytest.mark.parametrize("etags", [True, False])
def test_a_server_that_breaks_off_each_time_is_given_up(hub, tmp_path, etags):
    hub.files["walker.pth"], hub.ranges, hub.etags = VERSIONS[0], False, etags
    hub.fail("GET", "^/files/", "truncate")
    with pytest.raises(DownloadError, match=r"the connection broke off .* try again"):
        get(hub, tmp_path)
    assert len(hub.asked("GET", "^/files/")) == 7  # five that bring no more than the first, and one


@pytest.mark.parametrize("method", ["GET", "*"])
@pytest.mark.parametrize("heads", [True, False])
def test_what_comes_compressed_unasked(hub, tmp_path, method, heads):
    hub.files["walker.pth"], hub.heads = VERSIONS[0], heads
    hub.fail(method, "^/files/", "gzip")
    assert get(hub, tmp_path).read_bytes() == VERSIONS[0]


@pytest.mark.parametrize("method", ["GET", "*"])
def test_what_comes_compressed_and_breaks_off_is_not_continued(hub, tmp_path, method):
    hub.files["walker.pth"] = VERSIONS[0]
    hub.fail("HEAD", "^/files/", "gzip" if method == "*" else "says")
    hub.fail("GET", "^/files/", "gzip", times=1, headers={"Content-Length": "5000"})  # more than it sends
    hub.fail("GET", "^/files/", "gzip")
    hub.faults[1].then = hub.faults.pop
    assert get(hub, tmp_path).read_bytes() == VERSIONS[0]
    assert {request.range for request in hub.asked("GET", "^/files/")} == {None}


def test_a_part_that_comes_compressed_is_not_put_behind_another(hub, tmp_path):
    hub.files["walker.pth"] = VERSIONS[0]
    hub.fail("GET", "^/files/", "truncate", times=1)
    hub.fail("GET", "^/files/", "gzip")
    assert get(hub, tmp_path).read_bytes() == VERSIONS[0]
    assert [request.range for request in hub.asked("GET", "^/files/")] == [None, f"bytes={SIZE // 2}-", None]


def test_a_server_that_sends_a_part_unasked(hub, tmp_path):
    hub.files["walker.pth"] = VERSIONS[0]
    hub.fail("GET", "^/files/", 206)
    with pytest.raises(DownloadError, match="sent a part that does not continue what it sent before"):
        get(hub, tmp_path)


@pytest.mark.parametrize("size", [10**15, 10**19])
def test_a_size_that_no_file_of_weights_has(hub, tmp_path, size):
    hub.files["walker.pth"] = VERSIONS[0]
    hub.fail("*", "^/files/", "says", headers={"Content-Length": str(size)})
    with pytest.raises(DownloadError, match=f"the server announces {size} bytes, .* give the path of a copy") as caught:
        get(hub, tmp_path)
    assert "hf_xet" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Version("", None)),
        ({"ETag": '"a"', "Content-Length": "7"}, Version('"a"', 7)),
        ({"ETag": 'W/"a"', "Content-Length": "0"}, Version("", None)),
        ({"ETag": "a", "Content-Length": "²"}, Version("", None)),
        ({"ETag": '"é"', "Content-Length": "-1"}, Version("", None)),
        ({"ETag": '"a"', "Content-Length": "7", "Content-Encoding": "gzip"}, Version("", None)),
        ({"ETag": '"a"', "Content-Length": "7", "Content-Encoding": "identity"}, Version('"a"', 7)),
    ],
)
def test_what_headers_say(headers, expected):
    assert version_of(headers) == expected
