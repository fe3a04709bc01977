"""A Kaggle on the loopback: the routes that the real client calls, their state, and every fault that a test asks for.

It is the server that is replaced, never the client. Faults are queued by method name (`CreateSubmission`, `PUT`,
`storage`, ...) and used up one a request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "KGAT_marker_0123456789abcdef"  # never to be seen in any output or file


@dataclass
class Fault:
    """What goes wrong with one request.

    Attributes:
        kind: `status`, `silence`, `reset` (before anything is done), `lost` (done, then no reply), `garbage` (done, then
            no JSON), `cut` (half of the body, then no more), `kill` (the client is killed before it is done), `kill after`.
        status, headers, message: Of kind `status`.
        after: Bytes that are taken before a `reset` of a PUT.
    """

    kind: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    after: int = 0


@dataclass
class State:
    """What the server holds; tests read and change it."""

    files: dict[str, bytes] = field(default_factory=dict)
    archive: bytes = b""
    archive_md5: str = ""  # what the storage says; the truth where empty
    facts: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytearray] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    score: str = "0.05123"
    error: str = ""
    polls: int = 1  # looks at a submission until it has its score
    daily: int = 5
    used: int = 0
    board: list[dict[str, Any]] = field(default_factory=list)
    lists_lag: int = 0  # listings that do not show the newest submission yet
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)


class KaggleServer:
    """The server, on a port of its own, until the block ends."""

    def __init__(self, slug: str = "dogs-vs-cats-redux-kernels-edition") -> None:
        self.slug = slug
        self.state = State()
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.client_pid: Callable[[], int] | None = None
        self.lock = threading.RLock()
        server = self

        class Handler(_Handler):
            kaggle = server

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def environment(self, home: str) -> dict[str, str]:
        """Return the variables with which an unpatched process talks to this server, as `home` knows no credentials."""
        return {
            "HOME": home,
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.url,
            "no_proxy": "",
            "NO_PROXY": "",
            "KAGGLE_API_TOKEN": TOKEN,
        }

    def fail(self, method: str, *faults: Fault) -> None:
        """Queue faults: one for each of the next requests of that method."""
        self.faults[method] += faults

    def called(self, method: str) -> int:
        """Return how often a method was asked for."""
        return sum(name == method for name, _ in self.state.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart, and would wait 40 ms for each other
    kaggle: KaggleServer

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = re.search(r"/v1/[\w.]+\.(\w+)/(\w+)$", self._path())
        if not found:
            return self._reply(404, {"code": 404, "message": "no such route"})
        method = found[2]
        given = json.loads(body or b"{}")
        self.kaggle.state.requests.append((method, given))
        fault = self._fault(method)
        if self._fails_before(fault):
            return None
        if not self._is_known():
            return self._reply(401, {"code": 401, "message": f"unauthenticated: {self.headers.get('Authorization')}"})
        with self.kaggle.lock:
            done = getattr(self, method, None)
            answer = done(given) if done else {"code": 404, "message": f"no method {method}"}
        if self._fails_after(fault):
            return None
        return self._answer(answer)

    def do_PUT(self) -> None:
        """Take bytes as Google's resumable upload does: 308 with Range while incomplete, 200 at the end."""
        state = self.kaggle.state
        key = self._path().rsplit("/", 1)[-1]
        state.requests.append(("PUT", {"range": self.headers.get("Content-Range", "")}))
        fault = self._fault("PUT")
        if fault and fault.kind == "reset":
            state.blobs[key] += self.rfile.read(fault.after)
            return self._reset()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._fails_before(fault):
            return None
        if key not in state.blobs:
            return self._raw(404, b"")
        given = re.match(r"bytes (\d+)-\d+/(\d+)", self.headers.get("Content-Range", ""))
        if not self.headers.get("Content-Range", "").startswith("bytes */"):
            start = int(given[1]) if given else 0
            state.blobs[key][start:] = body
        if self._fails_after(fault):
            return None
        have = len(state.blobs[key])
        if have >= state.sizes[key]:
            return self._raw(200, b"{}")
        return self._raw(308, b"", {"Range": f"bytes=0-{have - 1}"} if have else {})

    def do_GET(self) -> None:
        """Give the archive, or the rest of it that is asked for."""
        state = self.kaggle.state
        given = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        state.requests.append(("storage", {}))
        state.ranges.append(self.headers.get("Range", ""))
        fault = self._fault("storage")
        if self._fails_before(fault):
            return
        content, start = state.archive, int(given[1]) if given else 0
        md5 = state.archive_md5 or base64.b64encode(hashlib.md5(content).digest()).decode()
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        if given and self.headers.get("If-Range", etag) != etag:
            given, start = None, 0
        headers = {"ETag": etag, "x-goog-hash": f"md5={md5}", "Accept-Ranges": "bytes"}
        if given:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if given and start >= len(content):
            self._raw(416, b"")
            return
        self._raw(206 if given else 200, content[start:], headers, cut=bool(fault and fault.kind == "cut"))

    def _path(self) -> str:
        return re.sub(r"^http://[^/]+", "", self.path)  # through a proxy the whole address stands there

    def _is_known(self) -> bool:
        basic = "Basic " + base64.b64encode(f"somebody:{TOKEN}".encode()).decode()
        return self.headers.get("Authorization") in (f"Bearer {TOKEN}", basic)

    def _fault(self, method: str) -> Fault | None:
        with self.kaggle.lock:
            queue = self.kaggle.faults[method]
            return queue.pop(0) if queue else None

    def _fails_before(self, fault: Fault | None) -> bool:
        if fault is None:
            return False
        if fault.kind == "status":
            said = fault.message or f"made to fail, you sent {self.headers.get('Authorization')}"
            self._answer({"code": fault.status, "message": said}, fault.headers)
        elif fault.kind == "reset":
            self._reset()
        elif fault.kind == "silence":
            self.close_connection = True
            time.sleep(2.0)
        elif fault.kind == "kill":
            self._kill()
        else:
            return False
        return True

    def _fails_after(self, fault: Fault | None) -> bool:
        if fault is None:
            return False
        if fault.kind == "lost":
            self._reset()
        elif fault.kind == "garbage":
            self._raw(200, b'{"ref": ', {"Content-Type": "application/json"})
        elif fault.kind == "kill after":
            self._kill()
        else:
            return False
        return True

    def _kill(self) -> None:
        assert self.kaggle.client_pid is not None
        os.kill(self.kaggle.client_pid(), signal.SIGKILL)
        self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        # the base class flushes what it wrote, to nobody
        self.wfile = open(os.devnull, "wb")  # noqa: SIM115

    def _answer(self, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        if "redirect" in answer:
            return self._raw(302, b"", {"Location": answer["redirect"]})
        return self._reply(answer.get("code", 200), answer, headers)

    def _reply(self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _raw(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    # the methods of the API, by their names

    def _missing(self, given: dict[str, Any]) -> dict[str, Any] | None:
        if given.get("competitionName") != self.kaggle.slug:
            return {"code": 404, "message": "Competition not found"}
        return None

    def IntrospectToken(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"active": given.get("token") == TOKEN, "username": "somebody"}

    def ListCompetitions(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"competitions": []}

    def GetCompetition(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        facts = {
            "id": 7,
            "ref": self.kaggle.slug,
            "userHasEntered": True,
            "maxDailySubmissions": self.kaggle.state.daily,
        }
        return self._missing(given) or {**facts, **self.kaggle.state.facts}

    def GetSubmissionLimits(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        state = self.kaggle.state
        today = state.used + len(state.submissions)
        return self._missing(given) or {
            "numToday": today,
            "numTotal": today,
            "numAllowedNow": max(0, state.daily - today),
        }

    def ListDataFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        names = sorted(self.kaggle.state.files)
        start = int(given.get("pageToken") or 0)
        page = [{"name": name, "totalBytes": len(self.kaggle.state.files[name])} for name in names[start : start + 2]]
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        return self._missing(given) or {"files": page, **more}

    def DownloadDataFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._missing(given) or {"redirect": f"{self.kaggle.url}/storage/all.zip?signature=secret"}

    def DownloadDataset(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"redirect": f"{self.kaggle.url}/storage/archive.zip?signature=secret"}

    def StartSubmissionUpload(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = f"blob{len(self.kaggle.state.blobs)}"
        self.kaggle.state.blobs[key] = bytearray()
        self.kaggle.state.sizes[key] = int(given["contentLength"])
        return self._missing(given) or {"token": key, "createUrl": f"{self.kaggle.url}/upload/{key}"}

    def CreateSubmission(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        state = self.kaggle.state
        blob = state.blobs.get(given["blobFileTokens"], b"")
        if len(blob) != state.sizes.get(given["blobFileTokens"], -1):
            return {"code": 400, "message": "the file is not whole"}
        ref = 9000 + len(state.submissions)
        row = {"ref": ref, "description": given.get("submissionDescription", ""), "looks": 0, "content": bytes(blob)}
        state.submissions.append(row)
        return {"message": "Successfully submitted", "ref": ref}

    def ListSubmissions(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        state = self.kaggle.state
        known = state.submissions
        if state.lists_lag:
            state.lists_lag -= 1
            known = known[:-1]
        newest_first = [self._shown(row) for row in reversed(known)]
        start = int(given.get("pageToken") or 0)
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(newest_first) else {}
        return self._missing(given) or {"submissions": newest_first[start : start + 2], **more}

    def GetSubmission(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for row in self.kaggle.state.submissions:
            if row["ref"] == given.get("ref"):
                row["looks"] += 1
                return self._shown(row)
        return {"code": 404, "message": "no such submission"}

    def GetLeaderboard(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._missing(given) or {"submissions": self.kaggle.state.board}

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        state = self.kaggle.state
        shown = {"ref": row["ref"], "description": row["description"], "teamName": "somebody's team"}
        if row["looks"] < state.polls:
            return {**shown, "status": "PENDING", "publicScore": "", "privateScore": ""}
        if state.error:
            return {**shown, "status": "ERROR", "errorDescription": state.error, "publicScore": ""}
        return {**shown, "status": "COMPLETE", "publicScore": state.score, "privateScore": ""}
