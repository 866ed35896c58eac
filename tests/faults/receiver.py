"""A receiver of webhooks on this machine: keeps all that it is sent, and answers as the test says. Not a test by itself."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True)
class Got:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def type(self) -> str:
        return str(self.message["type"])

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.message["data"]
        return found

    def verify(self, secret: str) -> None:
        """Raise where the signature is not that of this secret."""
        Webhook(secret).verify(self.body, dict(self.headers))


Answers = Callable[["Receiver", Got], int]


def fails_first(times: int, *, status: int = 500) -> Answers:
    """Refuse each message so many times, then take it."""

    def answer(receiver: Receiver, got: Got) -> int:
        return status if receiver.times[got.id] <= times else 204

    return answer


@dataclass
class Receiver:
    """What it was sent, in the order of arrival. A status of 0 from `answers` closes the connection without a word."""

    answers: Answers = lambda _receiver, _got: 204
    headers: Mapping[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    taken: list[Got] = field(default_factory=list)
    """Those answered with 2xx."""
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def about(self, job: str) -> list[Got]:
        """What it took about a job."""
        return [got for got in self.taken if got.data.get("jobId") == job]

    def take(self, got: Got) -> int:
        with self.lock:
            self.got.append(got)
            self.times[got.id] += 1
        status = self.answers(self, got)
        if 200 <= status < 300:
            with self.lock:
                self.taken.append(got)
        return status


@contextmanager
def receiving(answers: Answers | None = None, **headers: str) -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1, until the end of the block."""
    receiver = Receiver(headers=headers) if answers is None else Receiver(answers, headers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Got(self.path, dict(self.headers.items()), body))
            with suppress(OSError):
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
