"""What the Hub answers to those who write: repositories, large files, commits."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from hub_server.reading import NAME, allowed, find
from hub_server.store import Blob, Repo, is_large

if TYPE_CHECKING:
    from hub_server.server import Handler

USER = "tester"


def whoami(hub: Handler) -> None:
    """Who the token belongs to."""
    if not allowed(hub):
        return hub.error(401, message="Invalid credentials in Authorization header")
    return hub.json(200, {"type": "user", "name": USER, "orgs": []})


def create(hub: Handler) -> None:
    """Make a repository."""
    if not allowed(hub):
        return hub.error(401, message="Invalid credentials in Authorization header")
    asked = json.loads(hub.data)
    name = f"{asked.get('organization') or USER}/{asked['name']}"
    about = {"url": f"{hub.server.url}/{name}", "name": name}
    if name in hub.server.repos:
        return hub.json(409, about | {"error": "You already created this model repo"})
    hub.server.repos[name] = Repo(private=bool(asked.get("private")) or asked.get("visibility") == "private")
    return hub.json(200, about)


def validate_yaml(hub: Handler) -> None:
    """Whether a model card begins with its front matter."""
    fine = json.loads(hub.data)["content"].lstrip().startswith("---\n")
    errors = [] if fine else [{"message": "no YAML front matter"}]
    hub.json(200 if fine else 400, {"errors": errors, "warnings": []})


def preupload(hub: Handler, name: str, revision: str) -> None:
    """How each file shall come: within the commit, or to LFS before."""
    repo = find(hub, name, write=True)
    if repo is None:
        return
    head = repo.commits[repo.refs.get(revision, repo.refs["main"])]
    answers = []
    for file in json.loads(hub.data)["files"]:
        large, there = is_large(file["path"], file["size"]), head.get(file["path"])
        oid = there and (there.sha256 if large else there.git)
        mode = "lfs" if large else "regular"
        answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    hub.json(200, {"files": answers})


def lfs_batch(hub: Handler, name: str) -> None:
    """Where large files are sent to; those that are there need not be."""
    if find(hub, name, write=True) is None:
        return
    upload, check = f"{hub.server.url}/lfs/", f"{hub.server.url}/lfs-verify"
    answers = []
    for wanted in json.loads(hub.data)["objects"]:
        actions = {"upload": {"href": upload + wanted["oid"], "header": {}}, "verify": {"href": check, "header": {}}}
        answers.append(wanted | ({} if wanted["oid"] in hub.server.objects else {"actions": actions}))
    hub.json(200, {"transfer": "basic", "objects": answers})


def lfs_put(hub: Handler, sha256: str) -> None:
    """Take a large file."""
    if hashlib.sha256(hub.data).hexdigest() != sha256:
        return hub.error(422)
    hub.server.objects[sha256] = hub.data
    return hub.send(200, b"", {})


def lfs_verify(hub: Handler) -> None:
    """Whether a large file has arrived."""
    wanted = json.loads(hub.data)
    there = len(hub.server.objects.get(wanted["oid"], b"")) == wanted["size"]
    hub.json(200 if there else 404, {})


def commit(hub: Handler, name: str, revision: str) -> None:
    """Make a commit of files and deletions."""
    repo = find(hub, name, write=True)
    if repo is None:
        return None
    if revision not in repo.refs:
        return hub.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    files, message = dict(repo.commits[repo.refs[revision]]), ""
    for line in filter(None, hub.data.splitlines()):
        step = json.loads(line)
        value = step["value"]
        if step["key"] == "header":
            message = value["summary"]
            if value.get("parentCommit") not in (None, repo.refs[revision]):
                return hub.error(412, message="A commit has happened since. Please refresh and try again.")
        elif step["key"] == "file":
            files[value["path"]] = Blob(base64.b64decode(value["content"]))
        elif step["key"] == "lfsFile":
            if value["oid"] not in hub.server.objects:
                return hub.error(400, message=f"LFS object {value['oid']} was not uploaded")
            files[value["path"]] = Blob(hub.server.objects[value["oid"]])
        elif step["key"] == "deletedFile":
            files.pop(value["path"], None)
    made = repo.commit(files, message, revision)
    return hub.json(200, {"success": True, "commitOid": made, "commitUrl": f"{hub.server.url}/{name}/commit/{made}"})


ROUTES = (
    ("GET", r"/api/whoami-v2", whoami),
    ("POST", r"/api/repos/create", create),
    ("POST", r"/api/validate-yaml", validate_yaml),
    ("POST", rf"/api/models/{NAME}/preupload/([^/]+)", preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", r"/lfs/(\w+)", lfs_put),
    ("POST", r"/lfs-verify", lfs_verify),
    ("POST", rf"/api/models/{NAME}/commit/([^/]+)", commit),
)
