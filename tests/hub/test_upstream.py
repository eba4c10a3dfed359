"""Files at their publishers' are verified, converted once, and any later change of what they or the cache hold is noticed."""

import hashlib
import json
import logging
import resource
from dataclasses import replace
from pathlib import Path

import checkpoint
import pytest
import torch
from checkpoint import check, entry_at, published, recipe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from routes import UpstreamRoute, assert_refused, assert_right, first_number, offline

from nlreid.errors import ChecksumError, DownloadError, WeightsError
from nlreid.hub.convert import RECIPES, Conversion
from nlreid.hub.reading.files import read_config, read_tensors
from nlreid.hub.table.config import METADATA_KEY

SHA256 = hashlib.sha256(published()).hexdigest()
SHA1 = hashlib.sha1(published()).hexdigest()
SIZE = len(published())
OTHER = hashlib.sha256(published(1)).hexdigest()


@pytest.fixture
def route(hub, monkeypatch):
    return UpstreamRoute(hub, monkeypatch)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- converted once


def test_what_is_left_in_the_cache(route):
    fetched = route.get()
    assert fetched.path == route.cache / "walker.strollers.safetensors"
    assert (fetched.source, fetched.config) == (route.what, None)
    assert fetched.sha256 == hashlib.sha256(fetched.path.read_bytes()).hexdigest()
    left = {path.name for path in route.cache.iterdir() if path.suffix != ".lock"}
    assert left == {"walker.strollers.safetensors", "walker.strollers.json"}
    assert {path.stat().st_mode & 0o777 for path in route.cached()} == {route.cache.stat().st_mode & 0o666}  # for all who may


def test_the_converted_file_says_where_it_comes_from(route):
    found = read_tensors(route.get().path)
    assert found.metadata.keys() == {METADATA_KEY}
    assert read_config(found) == route.entry.config(sha256=SHA256)


def test_the_record(route):
    fetched = route.get()
    record = json.loads(route.record.read_text())
    assert (record["url"], record["sha256"], record["size"], record["converted"]) == (route.what, SHA256, SIZE, fetched.sha256)
    assert record["date"].endswith("+00:00")


def test_later_loads_ask_nobody(route):
    first = route.get()
    route.hub.log.clear()
    assert route.get() == first
    with offline(route.monkeypatch):
        assert route.get() == first
    assert route.hub.log == []


def test_without_a_connection_nor_a_copy(route):
    with offline(route.monkeypatch):
        assert_refused(route, DownloadError, route.what, "needs a connection, and HF_HUB_OFFLINE forbids any")


@pytest.mark.parametrize("change", ["recipe", "config", "url"])
def test_another_converter_config_or_address_makes_it_anew(route, hub, change):
    route.get()
    hub.log.clear()
    if change == "recipe":
        route.monkeypatch.setitem(RECIPES, "walking", recipe(version=2))
    elif change == "config":
        route.entry = replace(route.entry, num_classes=4)
    else:
        hub.files["moved.pth"] = published(1)
        route.entry = replace(route.entry, url=f"{hub.url}/files/moved.pth")
    made = route.get()
    assert read_config(read_tensors(made.path)).num_classes == route.entry.num_classes
    assert len(hub.asked("GET", "^/files/")) == 1
    assert route.get() == made
    assert len(hub.asked("GET", "^/files/")) == 1


def test_an_old_converted_file_is_not_used_for_want_of_a_connection(route):
    route.get()
    route.monkeypatch.setitem(RECIPES, "walking", recipe(version=2))
    with offline(route.monkeypatch):
        assert_refused(
            route, ChecksumError, "converted by another version of nlreid; it could not be made anew", "HF_HUB_OFFLINE"
        )


# --- checksums that are known


@pytest.mark.parametrize(
    "known",
    [{"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}, {"sha1": SHA1}, {"size": SIZE}, {"sha1": SHA1, "size": SIZE}],
    ids=str,
)
def test_known_checksums_that_fit(hub, monkeypatch, known, caplog):
    route = UpstreamRoute(hub, monkeypatch, **known)
    assert_right(route.get().path)
    assert bool(warnings(caplog)) == (not {"sha256", "sha1"} & known.keys())


@pytest.mark.parametrize(
    "known",
    [{"sha256": OTHER}, {"sha256_prefix": OTHER[:8]}, {"sha1": "0" * 40}, {"size": 1}, {"sha1": SHA1, "size": 1}],
    ids=str,
)
def test_known_checksums_that_do_not(hub, monkeypatch, known):
    route = UpstreamRoute(hub, monkeypatch, **known)
    wrong = {kind: value for kind, value in known.items() if value != SHA1}
    assert_refused(route, ChecksumError, route.what, f"not {next(iter(wrong.values()))}, twice", route.entry.page)
    assert len(route.downloads()) == 2
    assert (route.parts(), route.cached()) == ([], [])
    route.entry = entry_at(route.what)
    assert_right(route.get().path)


def test_a_checksum_that_becomes_known_is_held_against_the_copy(route):
    route.get()
    route.entry = entry_at(route.what, sha256=OTHER)
    assert_refused(route, ChecksumError, f"its sha256 is {SHA256}, not {OTHER}")


# --- checksums that are not known: the first download counts


def test_the_first_sha256_is_shown_once_and_recorded(route, caplog):
    route.get()
    (line,) = warnings(caplog)
    assert [word for word in (route.what, SHA256, str(route.record)) if word not in line] == []
    assert "\n" not in line
    caplog.clear()
    route.cached()[0].unlink()
    assert_right(route.get().path)
    assert warnings(caplog) == []


@pytest.mark.parametrize("loss", ["missing", "poisoned"])
def test_a_later_change_is_noticed(route, loss):
    path = route.get().path
    if loss == "missing":
        path.unlink()
    else:
        path.write_bytes(b"poison")
    route.publish(1)
    when = json.loads(route.record.read_text())["date"]
    words = (
        route.what,
        f"its sha256 is {OTHER}, not {SHA256}, twice, as it was on {when}",
        str(route.record),
        "delete the record",
    )
    for _ in range(2):
        assert_refused(route, ChecksumError, *words)
    route.record.unlink()
    assert first_number(route.get()) == 1  # the new one, now trusted


def test_a_record_of_another_address_says_nothing_about_this_one(route, hub):
    route.get()
    hub.files["moved.pth"] = published(1)
    route.entry = replace(route.entry, url=f"{hub.url}/files/moved.pth")
    assert first_number(route.get()) == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_records(route, data):
    route.entry = entry_at(route.what)
    route.get()
    content = route.record.read_bytes()
    parsed = json.loads(content)
    damages = st.one_of(
        st.integers(0, len(content) - 3).map(lambda length: content[:length]),
        st.binary(max_size=20),
        st.sampled_from(sorted(parsed)).map(lambda key: json.dumps({**parsed, key: None}).encode()),
        st.sampled_from(sorted(parsed)).map(lambda key: json.dumps({k: v for k, v in parsed.items() if k != key}).encode()),
    )
    route.record.write_bytes(data.draw(damages))
    assert_refused(route, ChecksumError, str(route.record), "the record of a download's checksum is damaged", "delete it")
    route.entry = entry_at(route.what, sha256=SHA256)  # the publishers' word replaces it
    assert_right(route.get().path)


# --- what is downloaded need not be weights


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>moved</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS pointer"),
        (published()[:-500], "damaged"),
        (b"", "empty"),
    ],
    ids=["page", "pointer", "cut", "empty"],
)
def test_other_things_at_the_address(route, content, words):
    route.hub.files["walker.pth"] = content
    assert_refused(route, WeightsError, "walker.strollers: ", route.what, words)
    assert (route.parts(), route.cached(), route.record.exists()) == ([], [], False)
    route.publish(0)
    assert_right(route.get().path)


def test_tensors_that_do_not_fit_the_model(route):
    route.check = lambda _: check({})
    assert_refused(route, WeightsError, "walker.strollers: ", route.what, "not the tensors of a walker")
    assert (route.parts(), route.cached(), route.record.exists()) == ([], [], False)
    route.check = check
    assert_right(route.get().path)


def test_tensors_that_share_memory_or_lie_crooked_are_written_apart(route):
    def crooked(_source):
        whole = torch.arange(12.0).reshape(3, 4)
        return Conversion({"a": whole, "b": whole, "c": whole.T, "d": whole[1:], "e": torch.ones(1).expand(3)})

    route.monkeypatch.setitem(RECIPES, "walking", replace(recipe(), convert=crooked))
    route.check = lambda _: None
    found = read_tensors(route.get().path)
    whole = torch.arange(12.0).reshape(3, 4)
    for name, expected in {"a": whole, "b": whole, "c": whole.T, "d": whole[1:], "e": torch.ones(3)}.items():
        assert torch.equal(found[name], expected)


def test_no_space_for_the_converted_file(route):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # once the tensors are checked the download is there, and what follows cannot be written
    route.check = lambda _: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        assert_refused(route, DownloadError, "walker.strollers: no space left", str(route.cache), "let NLREID_CACHE name")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = {path.suffix for path in route.cache.iterdir()}
    assert left - {".lock"} == {".part"}  # whole and verified: it need not come again
    route.check = check
    route.hub.log.clear()
    assert_right(route.get().path)
    assert route.downloads() == []


def test_the_module_that_the_processes_run(monkeypatch, route, capsys):
    monkeypatch.setattr(checkpoint, "entry_at", lambda _url: route.entry)
    checkpoint.main("upstream", route.what)
    assert_right(Path(capsys.readouterr().out))
