"""`fetch` and `fetch_hub` find a checkpoint where they say they look, verify it each time, and give no token away."""

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import huggingface_hub.file_download as client_files
import pytest
from checkpoint import ENTRY, REPO, check, entry_at, on_the_hub, published, tensors
from huggingface_hub import constants
from routes import HubRoute, UpstreamRoute, assert_refused, assert_right, offline, unwritable

from nlreid.errors import ChecksumError, DownloadError, WeightsError
from nlreid.hub.fetching.fetch import fetch, fetch_hub
from nlreid.hub.table.manifest import Checksums, HubFile


@pytest.fixture
def route(hub, monkeypatch):
    return HubRoute(hub, monkeypatch)


def spoil(path):
    path.write_bytes(path.read_bytes()[:-1] + b"!")


# --- repositories


def test_what_a_repository_gives(route):
    fetched = route.get()
    commit = route.hub.repos[REPO].refs["main"]
    assert fetched.path.read_bytes() == route.content
    assert fetched.source == f"hf-hub:{REPO}@{commit}"
    assert fetched.config == ENTRY.config()
    assert fetched.sha256 == fetched.path.resolve().name


def test_a_cached_commit_needs_no_request(route):
    commit = route.hub.repos[REPO].refs["main"]
    first = fetch_hub(f"hf-hub:{REPO}@{commit}")
    route.hub.log.clear()
    assert fetch_hub(f"hf-hub:{REPO}@{commit}") == first
    assert route.hub.log == []


@pytest.mark.parametrize("revision", ["other", "refs/pr/1"])
def test_revisions(route, revision):
    route.hub.add(REPO, {"model.safetensors": published()}, branch=revision)
    assert fetch_hub(f"hf-hub:{REPO}@{revision}").path.read_bytes() == published()
    assert_right(route.get().path)


def test_config_and_weights_are_of_one_commit(route):
    """Even if somebody pushes between the two."""
    route.hub.fail("GET", "config.json", "hold", then=lambda: route.hub.add(REPO, {"model.safetensors": published()}))
    assert_right(route.get().path)
    route.hub.faults.clear()
    assert route.get().path.read_bytes() == published()


def test_without_a_connection_what_was_fetched_before_loads(route):
    with offline(route.monkeypatch):
        assert_refused(route, DownloadError, REPO, "needs a connection, and HF_HUB_OFFLINE forbids any", "give its path")
    first = route.get()
    with offline(route.monkeypatch):
        assert route.get() == first
    route.hub.fail("*", "", 503)
    assert route.get() == first


def test_what_is_small_is_verified_too(route):
    right = route.get()
    config = right.path.with_name("config.json")
    spoil(config)
    assert route.get() == right
    spoil(config)
    with offline(route.monkeypatch):
        assert_refused(route, ChecksumError, "config.json", "its sha1 as a git blob is", "HF_HUB_OFFLINE")
        assert_refused(route, DownloadError, "config.json", "this needs a connection")  # the bad one did not stay
    assert route.get() == right


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("no etag", "does not say which commit"),
        ("no commit", "does not say which commit"),
        ("odd etag", "no hash, so its bytes"),
    ],
)
def test_servers_that_do_not_say_what_they_have(route, kind, word):
    route.hub.fail("HEAD", r"model\.safetensors$", kind)
    assert_refused(route, WeightsError if kind == "odd etag" else DownloadError, "model.safetensors", word, route.hub.url)


def test_repositories_of_others_are_told_before_their_weights_are_fetched(route):
    route.hub.add(REPO, {"config.json": b'{"model_type": "bert"}'})
    assert_refused(route, WeightsError, f"hf-hub:{REPO}@", "config.json: describes no checkpoint of nlreid")
    assert route.hub.asked("HEAD", "safetensors") == []


@pytest.mark.parametrize("named", ["0" * 40, "main", "0" * 39])
def test_a_server_that_names_another_commit(route, named):
    commit = route.hub.repos[REPO].refs["main"]
    route.hub.fail("HEAD", "", "says", headers={"X-Repo-Commit": named})
    words = f"another commit, {named}, and not of this one" if named == "0" * 40 else "no commit of 40 hex digits but"
    for revision in (commit, commit.upper()):
        with pytest.raises(DownloadError, match=words) as caught:
            fetch_hub(f"hf-hub:{REPO}@{revision}")
        assert f"check HF_ENDPOINT (now {route.hub.url})" in str(caught.value)
    route.hub.faults.clear()
    assert_right(fetch_hub(f"hf-hub:{REPO}@{commit}").path)


def test_a_commit_in_large_letters_is_the_same(route):
    commit = route.hub.repos[REPO].refs["main"]
    assert fetch_hub(f"hf-hub:{REPO}@{commit.upper()}") == fetch_hub(f"hf-hub:{REPO}@{commit}")


def test_a_config_that_cannot_be_read_a_second_time(route, monkeypatch):
    def lost(path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lost)
        assert_refused(route, WeightsError, f"hf-hub:{REPO}@", "config.json cannot be read (Permission denied); check the file")
    assert_right(route.get().path)


def test_what_a_server_says_does_not_break_the_line(route):
    route.hub.fail("HEAD", "", 500, reason="odd\x85\xad" + "x" * 1000)
    assert_printable(route, "the server answered 500 odd")
    route.hub.faults.clear()
    odd = '"odd\x85\xad"'
    route.hub.fail("HEAD", "", "says", headers={"ETag": odd, "X-Linked-Etag": odd})
    assert_printable(route, "gives the ETag 'odd")
    route.hub.faults.clear()
    route.hub.fail("HEAD", "", "says", headers={"X-Repo-Commit": odd})
    assert_printable(route, "no commit of 40 hex digits but '\"odd")
    route.hub.faults.clear()
    newer = {"library": "nlreid", "format": 9, "version": "a\nb\x85\u2028\x1b[31m"}
    route.hub.add(REPO, {"config.json": json.dumps(newer).encode()})
    assert_printable(route, "newer than 1")


def assert_printable(route, words):
    with pytest.raises(WeightsError) as caught:
        route.get()
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


# --- servers that lead astray


@pytest.mark.parametrize("target", ["circle", "ftp://127.0.0.1/walker.pth", "mailto:a@b"])
@pytest.mark.parametrize("kind", [HubRoute, UpstreamRoute])
def test_redirects_to_nowhere(hub, monkeypatch, kind, target):
    route = kind(hub, monkeypatch)
    address = route.what if kind is UpstreamRoute else f"{hub.url}/{REPO}/resolve/main/config.json"
    for method in ("*", "GET"):
        if kind is HubRoute and method == "*" and target != "circle":
            continue  # the client goes by the headers of the redirect, which lack everything else
        hub.faults.clear()
        hub.fail(method, "resolve|files", 302, headers={"Location": address if target == "circle" else target})
        advice = "give its path" if kind is HubRoute else "give the path of a copy"
        assert_refused(route, DownloadError, route.what, "leads in a circle, or to what is no address of the web", advice)
    hub.faults.clear()
    assert_right(route.get().path)


@pytest.mark.filterwarnings("ignore:Not enough free disk space")
def test_a_size_that_no_file_of_weights_has(route):
    says = {"X-Linked-Size": str(10**15), "Content-Length": str(10**15)}
    route.hub.fail("*", r"model\.safetensors$", "says", headers=says)
    assert_refused(route, DownloadError, REPO, "announces more bytes than any file of weights has", "check HF_ENDPOINT")
    route.hub.faults.clear()
    assert_right(route.get().path)


@pytest.mark.parametrize("method", ["GET", "*"])
def test_what_comes_compressed_unasked(route, method):
    route.hub.fail(method, "cdn|resolve", "gzip")
    if method == "GET":
        assert_right(route.get().path)
    else:  # the lengths are then not those of the files
        assert_refused(route, DownloadError, REPO, "fewer or more bytes than it had announced; try again")
    route.hub.faults.clear()
    assert_right(route.get().path)


def test_names(hub):
    for name in ("hf-hub:walker", "hf-hub:people/walker@", "hf-hub:a/b/c", "people/walker", "hf-hub:", "hf-hub:a/b@c d"):
        with pytest.raises(WeightsError, match="wanted is hf-hub:org/name or hf-hub:org/name@revision"):
            fetch_hub(name)
    with pytest.raises(DownloadError, match=r"not a name of the Hub .*; wanted is org/name"):
        fetch_hub("hf-hub:people/walker--home")
    with pytest.raises(DownloadError, match="no such repository"):
        fetch_hub("hf-hub:people/nobody")
    hub.add(REPO, on_the_hub())
    with pytest.raises(DownloadError, match=r"no such revision \(404 Not Found\); wanted is a branch, a tag or a commit"):
        fetch_hub(f"hf-hub:{REPO}@nowhere")


def test_ctrl_c_goes_through(route, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(client_files, "http_get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            route.get()
    assert_right(route.get().path)


def interrupted(*_, **__):
    raise KeyboardInterrupt


# --- caches without symbolic links, as on many a Windows


@pytest.fixture
def no_links(route, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    return route


def test_without_links_files_are_verified_against_the_server(no_links):
    right = no_links.get()
    assert not right.path.is_symlink()
    assert right.path.read_bytes() == no_links.content
    spoil(right.path)
    assert no_links.get() == right
    assert_right(right.path)


def test_without_links_verification_needs_no_connection_later(no_links):
    right = no_links.get()
    no_links.hub.log.clear()
    with offline(no_links.monkeypatch):
        assert no_links.get() == right
        spoil(right.path)
        assert_refused(no_links, ChecksumError, "model.safetensors", "damaged", "HF_HUB_OFFLINE")
    assert no_links.hub.log == []
    assert no_links.get() == right


def test_without_links_a_damaged_note_is_no_harm(no_links, tmp_path):
    right = no_links.get()
    notes = list((tmp_path / "nlreid").rglob("*.etag"))
    assert len(notes) == 2
    for damage in ("", "0" * 64, "x"):
        for note in notes:
            note.write_text(damage)
        assert no_links.get() == right


# --- tokens


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.token = "hf_secret"
    hub.add(REPO, on_the_hub(), private=True)
    upstream = UpstreamRoute(hub, monkeypatch)
    assert_right(fetch_hub(f"hf-hub:{REPO}").path)
    assert_right(upstream.get().path)
    tokens = {(request.host.partition(":")[0], request.path.split("/")[1]): request.token for request in hub.log}
    assert tokens == {
        ("127.0.0.1", "people"): "Bearer hf_secret",
        ("localhost", "cdn"): None,  # another origin
        ("127.0.0.1", "files"): None,
    }


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("method", ["GET", "*"])
def test_the_token_does_not_follow_a_redirect_elsewhere(hub, monkeypatch, path, method):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.token, hub.lfs_redirect = "hf_secret", False
    hub.add(REPO, on_the_hub(), private=True)
    hub.files["elsewhere"] = on_the_hub()[path]
    elsewhere = f"http://localhost:{hub.port}/files/elsewhere"
    blob = hub.repos[REPO].commits[hub.repos[REPO].refs["main"]][path]
    says = {"X-Repo-Commit": hub.repos[REPO].refs["main"], "ETag": f'"{blob.sha256 if path.startswith("model") else blob.git}"'}
    hub.fail(method, f"resolve/.*{path}$", 302, headers={"Location": elsewhere, "X-Linked-Size": str(len(blob.data)), **says})
    assert_right(fetch_hub(f"hf-hub:{REPO}").path)
    assert {request.token for request in hub.log if request.host.startswith("127.0.0.1")} == {"Bearer hf_secret"}
    assert [request.token for request in hub.asked("GET", "elsewhere")] == [None]
    assert {request.token for request in hub.log if request.host.startswith("localhost")} == {None}


def test_private_repositories_without_a_token(hub):
    hub.token = "hf_secret"
    hub.add(REPO, on_the_hub(), private=True)
    with pytest.raises(
        DownloadError, match=r"a private one \(401 Unauthorized\); .* log in with 'hf auth login' or set HF_TOKEN"
    ):
        fetch_hub(f"hf-hub:{REPO}")


# --- entries of the table


def on_hub(route, **known):
    commit = route.hub.repos[REPO].refs["main"]
    return replace(ENTRY, status="published", hub=HubFile(REPO, commit), checksums=Checksums(**known))


def test_published_entries_come_from_the_hub(route):
    entry = on_hub(route)
    route.hub.add(REPO, {"model.safetensors": published()})  # later than the pinned commit
    fetched = fetch(entry, check)
    assert_right(fetched.path)
    assert fetched.source == f"hf-hub:{REPO}@{entry.hub.revision}"
    assert fetched.config == ENTRY.config()
    route.hub.log.clear()
    assert fetch(entry, check) == fetched
    assert route.hub.log == []


def test_the_table_has_the_last_word_about_published_bytes(route):
    fetched = fetch(on_hub(route), check)
    assert fetch(on_hub(route, sha256=fetched.sha256), check) == fetched
    with pytest.raises(ChecksumError, match=f"its sha256 is {fetched.sha256}, not {'0' * 64}, twice"):
        fetch(on_hub(route, sha256="0" * 64), check)
    assert_right(fetch(on_hub(route, sha256=fetched.sha256), check).path)


def test_what_no_program_can_fetch(monkeypatch):
    monkeypatch.delenv("NLREID_WEIGHTS", raising=False)
    with pytest.raises(WeightsError) as caught:
        fetch(replace(ENTRY, status="recipe"), check)
    for words in ("walker.strollers: ", "get it from https://strollers.example/walker", "pretrained=", "walker.strollers.pth",
                  "NLREID_WEIGHTS"):  # fmt: skip
        assert words in str(caught.value)


# --- a folder of one's own


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("NLREID_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("status", ["published", "upstream", "recipe"])
@pytest.mark.parametrize("name", ["walker.strollers.safetensors", "walker.strollers.pkl", "walker v2.pth"])
def test_the_own_folder_comes_first(own, name, status):
    (own / name).write_bytes(b"weights")
    fetched = fetch(replace(entry_at("https://strollers.example/files/walker%20v2.pth?dl=1"), status=status), check)
    assert (fetched.path, fetched.source, fetched.config) == (own / name, str(own / name), None)
    assert fetched.sha256 == hashlib.sha256(b"weights").hexdigest()


def test_published_files_in_the_own_folder_are_verified(own):
    (own / "walker.pth").write_bytes(b"weights")
    with pytest.raises(ChecksumError, match=r"walker\.pth: its size is 7, not 8; it is not what https://s/walker\.pth has"):
        fetch(entry_at("https://s/walker.pth", size=8), check)
    assert fetch(entry_at("https://s/walker.pth", size=7), check).path == own / "walker.pth"


def test_a_folder_without_the_file_is_no_obstacle(own, hub, monkeypatch):
    monkeypatch.setenv("NLREID_WEIGHTS", str(own))
    upstream = UpstreamRoute(hub, monkeypatch)
    assert_right(upstream.get().path)


def test_own_folders_that_are_none(own, monkeypatch):
    for value, words in (
        (own / "no", r"cannot be read \(No such file or directory\); make it"),
        (Path(__file__), r"is no folder \(Not a directory\); let NLREID_WEIGHTS name another"),
    ):
        monkeypatch.setenv("NLREID_WEIGHTS", str(value))
        with pytest.raises(WeightsError, match=f"NLREID_WEIGHTS is '{value}', which {words}"):
            fetch(ENTRY, check)


def test_own_folders_and_caches_that_may_not_be_looked_into(hub, monkeypatch):
    route = UpstreamRoute(hub, monkeypatch)
    with tempfile.TemporaryDirectory() as name:  # the folders of pytest are closed to anybody else
        Path(name).chmod(0o755)
        closed = Path(name, "closed")
        closed.mkdir()
        for variable, kind, words in (
            ("NLREID_CACHE", DownloadError, f"{closed} may not be written to; let NLREID_CACHE name"),
            ("NLREID_WEIGHTS", WeightsError, f"NLREID_WEIGHTS is '{closed}', which cannot be read (Permission denied)"),
        ):
            monkeypatch.setenv(variable, str(closed))
            with unwritable(closed, mode=0):
                assert_refused(route, kind, words)


def test_the_checkpoint_of_these_tests():
    assert check(tensors()) is None
    with pytest.raises(WeightsError):
        check({})
