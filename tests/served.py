"""A file server on this machine that remembers what it was asked: tests replace the server, never the client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """What is served, how it goes wrong, and what was asked.

    Attributes:
        files: Content by path, without the first slash.
        asked: Method, path and Range header of each request, in order.
        knows_ranges: Whether a request for the rest of a file gets the rest.
        cut_at: Bytes after which the connection is dropped, once; None: never.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    knows_ranges: bool = True
    cut_at: int | None = None

    def url(self, name: str) -> str:
        """Return the address of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"

    @property
    def methods(self) -> list[str]:
        """Return the methods of all requests, in order."""
        return [method for method, *_ in self.asked]


@contextmanager
def serve() -> Iterator[FileServer]:
    """Yield a server that runs on a free port."""
    facts = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(is_head=True)

        def do_GET(self) -> None:
            self._answer(is_head=False)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, is_head: bool) -> None:
            wanted = self.headers.get("Range", "")
            facts.asked.append((self.command, self.path[1:], wanted))
            content = facts.files.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and facts.knows_ranges else 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if not is_head:
                end, facts.cut_at = facts.cut_at, None
                self.wfile.write(content[start : len(content) if end is None else end])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        facts.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield facts
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield int(listener.getsockname()[1])
