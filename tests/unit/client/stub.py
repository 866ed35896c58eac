"""A server that says what a test wants, on as many connections at once as there are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jobmgr.client.connection import Connection
from jobmgr.client.jobs import Client


def told(seq: int, kind: str = "job-update", **data: Any) -> bytes:
    """One event as the server writes it."""
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps({**data, 'seq': seq})}\n\n".encode()


def update(seq: int, status: str, job: str = "job-0", **data: Any) -> bytes:
    """A job-update."""
    return told(seq, jobId=job, status=status, **data)


@dataclass
class Asked:
    """One request, and how to answer it."""

    handler: BaseHTTPRequestHandler
    path: str
    query: dict[str, list[str]]

    def json(self, body: Any, *, status: int = 200, **headers: str) -> None:
        """An answer of JSON; `_` in the names of headers stands for `-`."""
        text = json.dumps(body).encode()
        self.handler.send_response(status)
        for name, value in {"Content_Length": str(len(text)), **headers}.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(text)

    def refuse(self, status: int, why: str = "no", **headers: str) -> None:
        """A problem."""
        self.json({"error": why}, status=status, **headers)

    def stream(self, *pieces: bytes, stay: threading.Event | None = None) -> None:
        """A stream of these pieces, which then breaks off; `stay`: not before this."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()
        for piece in pieces:
            self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.handler.wfile.flush()
        if stay is not None:
            stay.wait(30)
        self.handler.close_connection = True


Answer = Callable[[Asked], None]


@dataclass
class Stub:
    """What was asked, in order, and a client of it."""

    client: Client
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)

    def count(self, path: str) -> int:
        """How often this was asked."""
        return sum(asked == path for asked, _ in self.asked)


class _Server(ThreadingHTTPServer):
    """Its threads are not waited for: some answers never end."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that left in the middle is no news."""


@contextmanager
def stub(answers: Mapping[str, Answer]) -> Iterator[Stub]:
    """A server with an answer for each path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # Head and body of an answer are written apart.

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            made.asked.append((parts.path, query))
            answers[parts.path](Asked(self, parts.path, query))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    made = Stub(Client(Connection(f"http://127.0.0.1:{server.server_port}")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.client.connection.close()
        server.shutdown()
        server.server_close()
        thread.join()


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first question and so on; the last one to all that follow."""
    left = list(answers)

    def answer(asked: Asked) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(asked)

    return answer
