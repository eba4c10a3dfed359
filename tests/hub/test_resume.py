"""An interrupted download goes on where it ended, if that is sure to give the file that the server has."""

import hashlib
from contextlib import contextmanager

import pytest
from checkpoint import entry_at, published
from routes import UpstreamRoute, assert_right, first_number

from nlreid.hub.fetching import transfer

SHA256 = hashlib.sha256(published()).hexdigest()
SIZE = len(published())


def interrupted(content):
    yield content
    raise KeyboardInterrupt


@pytest.fixture
def broken_off(hub, monkeypatch):
    """A download that was interrupted after 20,000 bytes."""
    route = UpstreamRoute(hub, monkeypatch)

    stream = transfer.http_stream_backoff

    @contextmanager
    def in_pieces(*arguments, **options):
        with stream(*arguments, **options) as answer:
            answer.iter_bytes = lambda: interrupted(route.content[:20_000])
            yield answer

    with route.monkeypatch.context() as patched:
        patched.setattr(transfer, "http_stream_backoff", in_pieces)
        with pytest.raises(KeyboardInterrupt):
            route.get()
    hub.log.clear()
    assert route.parts() == [20_000]
    return route


def test_an_interrupted_download_goes_on_where_it_ended(broken_off):
    assert_right(broken_off.get().path)
    assert broken_off.downloads() == [("bytes=20000-", 206)]


def test_servers_without_ranges_send_everything(broken_off):
    broken_off.hub.ranges = False
    assert_right(broken_off.get().path)
    assert broken_off.downloads() == [("bytes=20000-", 200)]


def test_a_part_of_another_version_of_the_file_is_not_continued(broken_off):
    broken_off.publish(1)
    assert first_number(broken_off.get()) == 1
    assert broken_off.downloads() == [(None, 200)]
    assert broken_off.parts() == []


def test_a_file_that_changes_after_it_was_asked_about_is_sent_whole(broken_off):
    """The condition If-Range holds for the version that the part is of."""
    broken_off.hub.fail("GET", broken_off.body, "hold", then=lambda: broken_off.publish(1))
    assert first_number(broken_off.get()) == 1


@pytest.mark.parametrize("lacking", ["etags", "heads"])
def test_without_an_etag_nothing_is_continued(broken_off, lacking):
    setattr(broken_off.hub, lacking, False)
    assert_right(broken_off.get().path)
    assert broken_off.downloads() == [(None, 200)]


@pytest.mark.parametrize("size", [SIZE, SIZE + 1])
def test_parts_that_are_whole_or_too_long(broken_off, size):
    (part,) = broken_off.cache.glob("*.part")
    part.write_bytes((broken_off.content + b"!")[:size])
    assert_right(broken_off.get().path)
    assert broken_off.downloads() == ([] if size == SIZE else [(None, 200)])


def test_a_spoilt_part_is_noticed_and_fetched_anew(broken_off):
    (part,) = broken_off.cache.glob("*.part")
    part.write_bytes(bytes(20_000))
    broken_off.entry = entry_at(broken_off.what, sha256=SHA256)
    assert_right(broken_off.get().path)
    assert broken_off.downloads() == [("bytes=20000-", 206), (None, 200)]


# --- a connection that breaks off


@pytest.fixture
def breaking(hub, monkeypatch):
    """A download whose connection breaks off once, in the middle; the file that is sent then is another version."""
    route = UpstreamRoute(hub, monkeypatch)
    hub.fail("GET", route.body, "truncate", times=1, then=lambda: route.publish(1))
    return route


def test_a_broken_connection_is_taken_up_where_it_ended(breaking):
    breaking.hub.faults[0].then = lambda: None
    assert_right(breaking.get().path)
    (first, second) = breaking.downloads()
    assert first == (None, 200)
    assert second == (f"bytes={SIZE // 2}-", 206)


def test_a_file_that_changes_while_the_connection_is_broken_is_sent_whole(breaking):
    assert first_number(breaking.get()) == 1
    assert breaking.downloads() == [(None, 200), (f"bytes={SIZE // 2}-", 200)]


def test_servers_that_send_a_part_of_another_version(breaking):
    """They do not know If-Range."""
    breaking.hub.conditions = False
    assert first_number(breaking.get()) == 1
    assert breaking.downloads() == [(None, 200), (f"bytes={SIZE // 2}-", 206), (None, 200)]


@pytest.mark.parametrize("conditions", [True, False])
def test_without_an_etag_no_part_is_asked_for(breaking, conditions):
    breaking.hub.etags, breaking.hub.conditions = False, conditions
    assert first_number(breaking.get()) == 1
    assert breaking.downloads() == [(None, 200), (None, 200)]
