"""What `push_to_hub` puts on the Hub, `create_model` gets back by the name that it returns: the real client, and a server."""

import re
import tempfile

import pytest
import torch
from hub_server import writing
from huggingface_hub import ModelCard as HubCard
from huggingface_hub import constants

import nlreid
from nlreid.errors import DownloadError, InputError, WeightsError
from nlreid.hub.table.config import Config
from nlreid.publish import push_to_hub

CARD = {"licence": "Apache-2.0", "summary": "A network that was never trained."}
REPO = "people/walker"

# of the client, which hands a file to its HTTP library in a way that one does not like any more
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def model():
    return nlreid.create_model("test_r3d", num_classes=5)


def assert_same(first, second):
    own, other = first.state_dict(), second.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


def asked(hub):
    return [(request.method, request.path) for request in hub.log]


def test_what_is_pushed_comes_back_by_its_name(hub, model):
    name = push_to_hub(model, REPO, card=CARD)
    assert re.fullmatch(rf"hf-hub:{REPO}@[0-9a-f]{{40}}", name)
    repo = hub.repos[REPO]
    assert name.endswith(repo.refs["main"])
    files = repo.commits[repo.refs["main"]]
    assert files.keys() == {"config.json", "model.safetensors", "README.md"}
    assert len(repo.commits) == 2  # the empty one that every repository begins with, and this
    assert not repo.private
    assert Config.from_json(files["config.json"].data, "there").licence == "Apache-2.0"
    readme = files["README.md"].data.decode()
    assert HubCard(readme).data.license == "apache-2.0"
    assert f"pretrained='hf-hub:{REPO}'" in readme
    assert_same(model, nlreid.create_model("test_r3d", pretrained=name, num_classes=5))
    assert_same(model, nlreid.create_model("test_r3d", pretrained=f"hf-hub:{REPO}", num_classes=5))


def test_two_pushes_are_two_commits_and_each_name_keeps_its_weights(hub, model):
    first = push_to_hub(model, REPO, card=CARD, commit_message="one")
    other = nlreid.create_model("test_r3d", num_classes=5)
    second = push_to_hub(other, REPO, card=CARD, commit_message="two")
    assert first != second
    assert list(hub.repos[REPO].messages.values())[-2:] == ["one", "two"]
    assert_same(model, nlreid.create_model("test_r3d", pretrained=first, num_classes=5))
    assert_same(other, nlreid.create_model("test_r3d", pretrained=second, num_classes=5))


def test_the_same_again_is_no_commit_and_the_name_is_that_of_before(hub, model):
    first = push_to_hub(model, REPO, card=CARD)
    sent = len(hub.asked("PUT", "/lfs/"))
    assert push_to_hub(model, REPO, card=CARD) == first
    assert len(hub.repos[REPO].commits) == 2
    assert len(hub.asked("PUT", "/lfs/")) == sent == 1


def test_other_files_of_the_repository_stay(hub, model):
    hub.add(REPO, {"notes.txt": b"mine", "config.json": b"old"})
    push_to_hub(model, REPO, card=CARD)
    files = hub.repos[REPO].commits[hub.repos[REPO].refs["main"]]
    assert files["notes.txt"].data == b"mine"
    assert files["config.json"].data != b"old"


def test_a_private_repository_is_made_private(hub, model):
    push_to_hub(model, REPO, card=CARD, private=True)
    assert hub.repos[REPO].private


def test_what_shall_be_private_does_not_go_to_a_public_repository(hub, model):
    hub.add(REPO, {})
    with pytest.raises(InputError, match=f"{REPO}: private=True, and the repository exists and is public"):
        push_to_hub(model, REPO, card=CARD, private=True)
    assert not any("commit" in path or "lfs" in path for _, path in asked(hub))


def branch(hub, name, branch):
    """The server's answer to who wants a branch."""
    repo = hub.server.repos[name]
    if branch in repo.refs:
        return hub.json(409, {"error": "Reference already exists"})
    repo.refs[branch] = repo.refs["main"]
    return hub.json(200, {})


def test_a_branch_is_made_where_there_is_none_and_the_main_one_stays(hub, model, monkeypatch):
    route = ("POST", r"/api/models/([\w.-]+/[\w.-]+)/branch/(\w+)", branch)
    monkeypatch.setattr(writing, "ROUTES", (*writing.ROUTES, route))
    names = [push_to_hub(model, REPO, card={**CARD, "summary": text}, revision="next") for text in ("one", "two")]
    repo = hub.repos[REPO]
    assert [name.rpartition("@")[2] for name in names] == [commit for commit in repo.commits if repo.commits[commit]]
    assert repo.refs["next"] == names[1].rpartition("@")[2]
    assert repo.commits[repo.refs["main"]] == {}
    assert_same(model, nlreid.create_model("test_r3d", pretrained=f"hf-hub:{REPO}@next", num_classes=5))


def test_the_token_that_is_given_is_the_one_that_is_used(hub, model):
    hub.token = "hf_right"
    name = push_to_hub(model, REPO, card=CARD, token="hf_right")
    assert {request.token for request in hub.log if request.path.startswith("/api/")} == {"Bearer hf_right"}
    assert name.endswith(hub.repos[REPO].refs["main"])


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_without_the_right_token_nothing_is_written(hub, model, token):
    hub.token = "hf_right"
    with pytest.raises(
        DownloadError, match=rf"^{REPO}: writing to the Hub: .*401.*log in with 'hf auth login' or set HF_TOKEN"
    ):
        push_to_hub(model, REPO, card=CARD, token=token)
    assert hub.repos == {}


ANSWERS = {
    401: "401 Unauthorized; .* log in with 'hf auth login'",
    403: "403 Forbidden; .* log in with 'hf auth login'",
    500: "500 Internal Server Error; the trouble is its own",
    "reset": "the connection broke off",
}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((path, 500) for path in ("repos/create", "preupload", "info/lfs", "^/lfs/", "/commit/")),
        *(("/commit/", kind) for kind in (401, 403, "reset")),
    ],
)
def test_what_goes_wrong_on_the_way_is_one_error_and_no_commit(hub, model, path, kind):
    hub.fail("PUT" if path == "^/lfs/" else "POST", path, kind)
    with pytest.raises(DownloadError, match=f"^{REPO}: writing to the Hub: .*{ANSWERS[kind]}") as caught:
        push_to_hub(model, REPO, card=CARD)
    assert "\n" not in str(caught.value)
    assert all(len(repo.commits) == 1 for repo in hub.repos.values())
    hub.faults.clear()
    assert_same(model, nlreid.create_model("test_r3d", pretrained=push_to_hub(model, REPO, card=CARD), num_classes=5))


def test_refused_connections_and_offline_mode_are_told(hub, model, monkeypatch):
    with hub.refusing(), pytest.raises(DownloadError, match="no connection"):
        push_to_hub(model, REPO, card=CARD)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        push_to_hub(model, REPO, card=CARD)


@pytest.mark.parametrize("card", [{}, {"licence": "MIT", "more": 1}])
def test_nothing_is_asked_of_the_hub_when_the_card_does_not_fit(hub, model, card):
    with pytest.raises(ValueError, match=r"licence|unknown field"):
        push_to_hub(model, REPO, card=card)
    assert hub.log == []


def test_nothing_is_asked_of_the_hub_when_the_model_does_not_fit(hub, model):
    model.head.fc.weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        push_to_hub(model, REPO, card=CARD)
    assert hub.log == []


@pytest.mark.parametrize("repo", ["walker", "people/walker/more", "", "people/", "people/w lker", None, "hf-hub:people/walker"])
def test_names_are_org_and_name(hub, model, repo):
    with pytest.raises(InputError, match="repo_id is the name of a repository, 'org/name'"):
        push_to_hub(model, repo, card=CARD)
    assert hub.log == []


def test_names_that_only_the_hub_refuses_are_told(hub, model):
    with pytest.raises(DownloadError, match="not a name of the Hub"):
        push_to_hub(model, "people/wal--ker", card=CARD)
    assert hub.log == []


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"commit_message": ""}, "commit_message is a text, the first line of the commit; got ''"),
        ({"commit_message": None}, "commit_message is a text, the first line of the commit; got None"),
        ({"revision": 5}, "revision is a text that is not empty, or None; got 5"),
        ({"revision": ""}, "revision is a text that is not empty, or None; got ''"),
        ({"token": 123456}, "token is a text that is not empty, or None; got int"),
        ({"private": None}, "private is True or False; got None"),
    ],
)
def test_arguments_of_another_type_are_refused(hub, model, arguments, answer):
    with pytest.raises(InputError, match=f"^{answer}$"):
        push_to_hub(model, REPO, card=CARD, **arguments)
    assert hub.log == []


def test_a_machine_without_a_place_for_temporary_files_is_told(hub, model, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match=r"no folder for temporary files .*; free space there, or set TMPDIR"):
        push_to_hub(model, REPO, card=CARD)
    assert hub.log == []
