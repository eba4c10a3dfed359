"""The Hub on loopback holds a whole conversation with the real client: what is written can be read."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 100, "README.md": b"---\nlicense: mit\n---\n# A card"}


@pytest.fixture
def api(hub):
    hub.token = "hf_secret"
    return HfApi(endpoint=hub.url, token="hf_secret")


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's way to send large files
def test_what_is_written_can_be_read(hub, api, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, FILES)
    assert api.whoami()["name"] == "tester"
    repo = api.create_repo("tester/walker", private=True).repo_id
    made = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="the first")
    assert hub.repos[repo].messages[made.oid] == "the first"
    assert {path: blob.data for path, blob in hub.repos[repo].commits[made.oid].items()} == FILES
    assert api.model_info(repo).sha == made.oid
    assert {entry.path for entry in api.list_repo_tree(repo)} == FILES.keys()
    path = Path(api.hf_hub_download(repo, "model.safetensors", revision=made.oid))
    assert path.read_bytes() == FILES["model.safetensors"]
    assert api.create_repo(repo, exist_ok=True).repo_id == repo


def test_who_has_no_token_neither_reads_nor_writes(hub, api):
    api.create_repo("tester/walker", private=True)
    stranger = HfApi(endpoint=hub.url, token=False)
    with pytest.raises(RepositoryNotFoundError):
        stranger.model_info("tester/walker")
    with pytest.raises(HfHubHTTPError):
        stranger.create_repo("tester/other")
    assert hub.repos.keys() == {"tester/walker"}


def test_no_commit_on_top_of_another_than_the_last(hub, api):
    repo = api.create_repo("tester/walker").repo_id
    before = hub.repos[repo].refs["main"]
    hub.add(repo, FILES)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since"):
        api.upload_file(path_or_fileobj=b"[]", path_in_repo="config.json", repo_id=repo, parent_commit=before)
