"""What the Hub answers to those who read, and a plain server of files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_server.store import Blob, Repo, is_large

if TYPE_CHECKING:
    from hub_server.server import Handler

NAME = r"([\w.-]+/[\w.-]+)"


def allowed(hub: Handler) -> bool:
    """Whether the request has the token."""
    return hub.server.token is None or hub.headers.get("Authorization") == f"Bearer {hub.server.token}"


def find(hub: Handler, name: str, write: bool = False) -> Repo | None:
    """A repository; without it, or without permission, the error is answered."""
    repo = hub.server.repos.get(name)
    if repo is None or ((repo.private or write) and not allowed(hub)):
        return hub.error(404 if allowed(hub) else 401, "RepoNotFound", "Repository not found")
    if (repo.gated and not allowed(hub)) or (hub.fault and hub.fault.kind == "gated"):
        return hub.error(403, "GatedRepo", f"Access to model {name} is restricted.")
    return repo


def find_commit(hub: Handler, name: str, revision: str) -> tuple[Repo, str] | None:
    """A repository and a commit of it; without, the error is answered."""
    repo = find(hub, name)
    if repo is None:
        return None
    commit = repo.resolve(revision)
    return (repo, commit) if commit else hub.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def resolve(hub: Handler, name: str, revision: str, path: str) -> None:
    """A file of a commit; large ones are sent from elsewhere, as the Hub does."""
    found = find_commit(hub, name, revision)
    if found is None:
        return None
    repo, commit = found
    if path not in repo.commits[commit]:
        return hub.error(404, "EntryNotFound", "Entry not found")
    blob = repo.commits[commit][path]
    headers = {"X-Repo-Commit": commit, "ETag": f'"{blob.git}"', "Accept-Ranges": "bytes"}
    if large := is_large(path, len(blob.data)):
        headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.data)), "ETag": f'"{blob.sha256}"'}
    kind = hub.fault.kind if hub.fault else None
    headers |= {"ETag": '"odd-1"', "X-Linked-Etag": '"odd-1"'} if kind == "odd etag" else {}
    gone = {"no etag": ("ETag", "X-Linked-Etag"), "no commit": ("X-Repo-Commit",)}.get(kind, ())
    headers = {key: value for key, value in headers.items() if key not in gone}
    if not large or not hub.server.lfs_redirect:
        return hub.content(blob.data, headers)
    hub.server.objects[blob.sha256] = blob.data
    return hub.send(302, b"", headers | {"Location": f"http://localhost:{hub.server.port}/cdn/{blob.sha256}/{path}"})


def cdn(hub: Handler, sha256: str, _path: str) -> None:
    """A large file, at another origin: localhost is not 127.0.0.1."""
    hub.content(hub.server.objects[sha256], {"ETag": f'"{sha256}"'})


def plain(hub: Handler, name: str) -> None:
    """A file of `HubServer.files`."""
    server = hub.server
    if name not in server.files:
        return hub.error(404)
    if hub.command == "HEAD" and not server.heads:
        return hub.error(405)
    blob = Blob(server.files[name])
    return hub.content(blob.data, {"ETag": f'"{blob.git}"'} if server.etags else {}, server.ranges)


def info(hub: Handler, name: str, revision: str = "main") -> None:
    """What the API says about a repository."""
    found = find_commit(hub, name, revision)
    if found is not None:
        repo, commit = found
        files = [{"rfilename": path} for path in sorted(repo.commits[commit])]
        about = {"_id": "0", "id": name, "modelId": name, "sha": commit, "private": repo.private, "gated": repo.gated}
        hub.json(200, about | {"tags": [], "downloads": 0, "likes": 0, "siblings": files})


def tree(hub: Handler, name: str, revision: str) -> None:
    """The files of a commit, at any depth."""
    found = find_commit(hub, name, revision)
    if found is not None:
        repo, commit = found
        hub.json(200, [_entry(path, blob) for path, blob in sorted(repo.commits[commit].items())])


def _entry(path: str, blob: Blob) -> dict[str, object]:
    entry = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.git}
    large = {"lfs": {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 134}}
    return entry | (large if is_large(path, len(blob.data)) else {})


ROUTES = (
    ("GET HEAD", rf"/{NAME}/resolve/([^/]+)/(.+)", resolve),
    ("GET HEAD", r"/cdn/(\w+)/(.+)", cdn),
    ("GET HEAD", r"/files/(.+)", plain),
    ("GET", rf"/api/models/{NAME}", info),
    ("GET", rf"/api/models/{NAME}/revision/([^/]+)", info),
    ("GET", rf"/api/models/{NAME}/tree/([^/]+)", tree),
)
