"""What hostile clients do to a whole server, over bare sockets; and what is held after each of them.

`Target` is a server with two jobs that run and fill all slots, one that has ended, and one that waits: what is submitted besides stays
`pending`. Around every attack `unharmed` holds that nothing was created or changed, that others were served meanwhile, that memory did not
grow with what was sent, and that the log has neither a traceback nor a record in two lines.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.faults.servers import Site
from tests.waiting import eventually_blocking

SLOTS = 2
MIB = 1024 * 1024
ROOM = 64 * MIB
"""What one attack may cost at most, besides large JSON that has to be decoded to be judged."""

JSON_ROOM = 400 * MIB
ANSWER_S = 30.0
JSON_HEAD = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"


class Reply(NamedTuple):
    """What came back over a bare socket; status 0: the connection was closed without an answer."""

    status: int
    body: bytes


def reply(answer: bytes) -> Reply:
    """The last answer in these bytes: a `100 Continue` may stand before it."""
    while answer.startswith(b"HTTP/1.1 100 "):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, body = answer.partition(b"\r\n\r\n")
    return Reply(int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/") else 0, body)


class Target:
    """A site with a running server to be attacked."""

    def __init__(self, site: Site, *, dies_at: str = "") -> None:
        self.site = site
        self.server = site.start(MAX_CONCURRENT_TASKS=str(SLOTS), dies_at=dies_at)
        address = urlsplit(self.server.address())
        self.place = (str(address.hostname), int(address.port or 0))
        self.server.wait_status(self.server.submit(1), "completed")
        for _ in range(SLOTS):
            self.server.wait_status(self.server.submit("until"), "running")
        self.server.submit(0)
        self.settle()

    def settle(self) -> None:
        """Let it load and open what it does once: what it has open and in memory after that is what it has at rest."""
        self.server.get("/stats")
        before = self.descriptors()
        with self.connect() as connection:
            connection.sendall(b"GET /jobs/job-1/output?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1)
        # Files are watched through one descriptor from now on.
        eventually_blocking(lambda: self.descriptors() <= before + 1)

    # --- attacks

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection(self.place, timeout=ANSWER_S)

    def send(self, request: bytes | Iterable[bytes]) -> Reply:
        """Send bytes, all or until they are not wanted any more, and read until the server closes."""
        answer = b""
        with self.connect() as connection:
            with contextlib.suppress(ConnectionError):
                for piece in [request] if isinstance(request, bytes) else request:
                    connection.sendall(piece)
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(65536):
                    answer += piece
        return reply(answer)

    def post(self, body: bytes, *headers: bytes) -> Reply:
        """Submit this body."""
        lines = b"".join(header + b"\r\n" for header in (b"Content-Length: %d" % len(body), *headers))
        return self.send(JSON_HEAD + lines + b"\r\n" + body)

    def get(self, path: bytes, method: bytes = b"GET") -> Reply:
        """Ask for this path, as it stands."""
        return self.send(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    def leave_after(self, sent: bytes, *, reset: bool) -> None:
        """Send these bytes and be gone: with a reset, or with a plain close."""
        with self.connect() as connection:
            connection.sendall(sent)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    # --- what is held

    @contextlib.contextmanager
    def unharmed(self, room: int = ROOM) -> Iterator[None]:
        """Nothing was created or changed, others were served meanwhile and are after it, memory stayed within `room`, the log is whole."""
        before, memory = self.state(), self._forget_peak()
        with self._others_served():
            yield
        assert self.server.ask("GET", "/healthz").status == 200
        assert self.state() == before
        grown = self._memory("VmHWM") - memory
        assert grown <= room, f"{grown / MIB:.0f} MiB more memory"
        self.check_log()

    def state(self) -> tuple[Any, ...]:
        """All that a request could have changed."""
        [jobs] = self.site.rows("SELECT count(*), max(id) FROM jobs")
        [events] = self.site.rows("SELECT value FROM meta WHERE name = 'last_seq'")
        [keys] = self.site.rows("SELECT count(*) FROM idempotency_keys")
        return jobs, events, keys

    def check_log(self) -> None:
        """One record a line, no error among them, and nothing on stderr."""
        for line in (self.site.directory / "app.log").read_text().split("\n")[:-1]:
            assert re.match(r"time=\S+ level=(info|warning) event=", line), line
            assert line.isprintable(), line
        assert self.server.told.read_text() == ""

    def descriptors(self) -> int:
        """How many the server has open."""
        return len(list(Path(f"/proc/{self.server.pid}/fd").iterdir()))

    def _memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.server.pid}/status").read_text().splitlines()
        [kib] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
        return int(kib) * 1024

    def _forget_peak(self) -> int:
        """Let VmHWM begin again from what is used now, and give that."""
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    @contextlib.contextmanager
    def _others_served(self) -> Iterator[None]:
        over, wrong = threading.Event(), list[str]()

        def ask() -> None:
            while True:
                try:
                    answer = self.server.ask("GET", "/jobs/job-0", timeout=ANSWER_S)
                    if answer.status != 200 or answer.body["status"] != "completed":
                        wrong.append(str(answer))
                except (OSError, http.client.HTTPException) as error:
                    wrong.append(repr(error))
                if over.wait(0.02):
                    return

        asking = threading.Thread(target=ask, name="another client")
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()
        assert wrong == []
