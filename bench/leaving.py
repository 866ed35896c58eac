"""How long a server needs to leave while clients are connected to its live feed, of each kind some.

From SIGTERM to the end of the process, with nothing running. Once with clients that answer a close as they should, once with clients that
do not react to anything.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from bench import server
from bench.watchers import PATIENCE_S, Crowd, request
from bench.watching import Figures

SOCKETS = 50
OTHERS = {"/events": 25, "/events?wait=60": 25}
"""Streams and long polls."""

CONNECTED_S = 1.0
MOST_S = 30.0


def measure(served: Callable[[], AbstractContextManager[server.Client]]) -> Figures:
    """Seconds until the server is gone, for both kinds of clients."""
    return {
        "sockets": SOCKETS + sum(OTHERS.values()),
        "answeringS": _seconds(served, answer=True),
        "silentS": _seconds(served, answer=False),
    }


def _seconds(served: Callable[[], AbstractContextManager[server.Client]], *, answer: bool) -> float:
    with served() as client:
        process, crowd = server.process(), Crowd(client.port)
        crowd.join(SOCKETS)
        others = [_asked(client.port, path) for path, count in OTHERS.items() for _ in range(count)]
        crowd.listen(lambda: False, within_s=CONNECTED_S)
        gone: list[float] = []

        def leave() -> None:
            process.terminate()
            process.wait(MOST_S)
            gone.append(time.monotonic())

        began = time.monotonic()
        thread = threading.Thread(target=leave)
        thread.start()
        if answer:
            crowd.listen(lambda: bool(gone), within_s=MOST_S)
        thread.join()
        crowd.leave()
        for sock in others:
            sock.close()
    if not gone:
        raise RuntimeError(f"the server has not left after {MOST_S} s")
    return round(gone[0] - began, 2)


def _asked(port: int, path: str) -> socket.socket:
    """A request that is answered bit by bit, or later."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    sock.sendall(request(port, path=path))
    sock.settimeout(CONNECTED_S / 100)
    with suppress(TimeoutError):  # A long poll says nothing yet.
        if not sock.recv(4096).startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"GET {path} was refused")
    return sock
