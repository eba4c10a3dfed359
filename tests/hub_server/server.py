"""The server: connections, faults, and the log of what was asked."""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_server import reading, writing
from hub_server.store import Blob, Repo


@dataclass(frozen=True)
class Request:
    """What was asked, and the status of the answer; 0 without one."""

    method: str
    path: str
    status: int
    host: str
    token: str | None
    range: str | None


@dataclass
class Fault:
    """What goes wrong with requests of a method to paths that a pattern is found in.

    `kind` is a status, or one of: `reset` (no answer), `truncate` (half of the body, after which `then` is called), `tamper`
    (another last byte), `gated`, `no etag`, `odd etag` (no hash), `no commit`, `hold` (`then` is called before the answer),
    `stall` (`then` is called after half of the body), `gzip` (compressed unasked), `says` (the answer as it is). `first` is
    called before any answer; `headers` and `reason` replace those of the answer. It happens `times` times, or always.
    """

    method: str
    pattern: str
    kind: int | str
    then: Callable[[], Any] = lambda: None
    times: int | None = None
    first: Callable[[], Any] = lambda: None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    def applies(self, method: str, path: str) -> bool:
        """Whether this is such a request; counts it."""
        if self.times == 0 or self.method not in (method, "*") or not re.search(self.pattern, path):
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class HubServer(ThreadingHTTPServer):
    """The Hub. With a `token`, what is private or written needs it; `lfs_redirect` sends large files from another origin."""

    daemon_threads = True
    address_family = socket.AF_INET

    def __init__(self, token: str | None = None, lfs_redirect: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.lfs_redirect = token, lfs_redirect
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # of LFS, by SHA-256
        self.files: dict[str, bytes] = {}  # at /files/NAME, as any server has them
        self.ranges = self.conditions = self.etags = self.heads = True  # what /files/ knows of
        self.faults: list[Fault] = []
        self.log: list[Request] = []
        self.changed = threading.Condition()

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def add(self, repo: str, files: Mapping[str, bytes], branch: str = "main", **kinds: bool) -> str:
        """Commit files to a repository, which is made if there is none; the commit's hash."""
        held = self.repos.setdefault(repo, Repo(**kinds))
        files_before = held.commits[held.refs.get(branch, held.refs["main"])]
        return held.commit(files_before | {path: Blob(data) for path, data in files.items()}, "files", branch)

    def fail(self, method: str, pattern: str, kind: int | str, **more: Any) -> None:
        """Let requests go wrong, see `Fault`."""
        self.faults.append(Fault(method, pattern, kind, **more))

    @contextmanager
    def refusing(self) -> Generator[None, None, None]:
        """Nobody listens at the server's port for a while."""
        self.shutdown()
        self.server_close()
        yield
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()
        self.__enter__()

    def asked(self, method: str, pattern: str) -> list[Request]:
        """The requests so far of a method, to paths that a pattern is found in."""
        return [request for request in self.log if request.method == method and re.search(pattern, request.path)]

    def wait_for(self, method: str, pattern: str, count: int = 1) -> None:
        """Wait until so many requests have come."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.asked(method, pattern)) >= count, timeout=60):
                raise TimeoutError(f"{method} {pattern} did not come {count} times: {self.log}")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each small answer waits for the confirmation of its own headers
    server: HubServer

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.query, self.data = parse_qs(url.query), self._body()  # unread, a body would be taken for the next request
        self.fault = next((fault for fault in self.server.faults if fault.applies(self.command, url.path)), None)
        kind = self.fault.kind if self.fault else None
        if self.fault:
            self.fault.first()
        if kind == "hold":
            self._note(0)
            self.fault.then()
        if kind == "reset":
            self._note(0)
            return self._reset()
        if isinstance(kind, int):
            return self.error(kind)
        for method, pattern, answer in (*reading.ROUTES, *writing.ROUTES):
            if self.command in method.split() and (parts := re.fullmatch(pattern, url.path)):
                return answer(self, *(part and unquote(part) for part in parts.groups()))
        return self.error(404)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _note(self, status: int) -> None:
        asked = (self.headers.get(name) for name in ("Host", "Authorization", "Range"))
        with self.server.changed:
            self.server.log.append(Request(self.command, self.path, status, *asked))
            self.server.changed.notify_all()

    def json(self, status: int, content: Any) -> None:
        """Answer with JSON."""
        self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def error(self, status: int, code: str = "", message: str = "") -> None:
        """Answer with an error; over plain HTTP the client goes by these headers alone."""
        names = {"X-Error-Code": code, "X-Error-Message": message}
        self.send(status, b"", {name: text for name, text in names.items() if text})

    def send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Answer; a length is always announced, since the connection is used again."""
        kind = self.fault.kind if self.fault else None
        if self.command == "GET" and kind == "tamper":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if kind == "gzip":
            data, headers = gzip.compress(data), {**headers, "Content-Encoding": "gzip"}
        if kind != "hold":
            self._note(status)
        self.send_response(status, self.fault.reason if self.fault else None)
        for name, text in {"Content-Length": str(len(data)), **headers, **(self.fault.headers if self.fault else {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2 if kind in ("truncate", "stall") else len(data)
        self.wfile.write(data[:half])
        if kind in ("truncate", "stall"):
            self.wfile.flush()
            self.fault.then()
            self.wfile.write(data[half:] if kind == "stall" else b"")
        if kind == "truncate" or (self.fault and "Content-Length" in self.fault.headers):
            self.close_connection = True

    def content(self, data: bytes, headers: Mapping[str, str], ranges: bool = True) -> None:
        """Answer with a file, or with the part of it that was asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range") if self.server.conditions else None
        if not ranges or asked is None or (condition and condition != headers.get("ETag")):
            return self.send(200, data, headers)
        begin, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if begin >= len(data):
            return self.error(416)
        return self.send(206, data[begin : end + 1], {**headers, "Content-Range": f"bytes {begin}-{end}/{len(data)}"})
