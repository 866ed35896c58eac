"""A real jobmgr server for measuring: a process of its own, an empty data directory, a free port; and a client without frills.

Assumes that `python -m jobmgr serve` of this checkout answers as DESIGN says. The server gets only the settings given here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
JOB_TIMEOUT_S = 300.0
POLL_S = 0.01
SLOWEST_POLL_S = 0.5
FINISHED = frozenset({"completed", "crashed", "failed", "stopped", "lost"})


class Client:
    """One kept connection to a server on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = HTTPConnection("127.0.0.1", port, timeout=JOB_TIMEOUT_S)

    def send(self, method: str, path: str, body: object = None) -> None:
        """Send a request; `reply` must follow."""
        data = None if body is None else json.dumps(body).encode()
        if self.connection.sock is None:
            self.connection.connect()  # It also turns Nagle off.
        self.connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})

    def reply(self) -> tuple[Any, dict[str, str]]:
        """The parsed reply and its headers. Raises RuntimeError with what the server said when it is no success."""
        response = self.connection.getresponse()
        text = response.read()
        if not 200 <= response.status < 300:
            raise RuntimeError(f"the server answered {response.status}: {text[:500]!r}")
        return json.loads(text), {name.lower(): value for name, value in response.getheaders()}

    def get(self, path: str) -> Any:
        """The parsed reply to a GET."""
        self.send("GET", path)
        return self.reply()[0]

    def submit(self, body: object) -> Any:
        """The parsed reply to a submission."""
        self.send("POST", "/jobs", body)
        return self.reply()[0]

    def finished(self, job: str) -> dict[str, Any]:
        """The job as soon as it is finished, to within `POLL_S`. Raises TimeoutError."""
        start = time.monotonic()
        deadline = start + JOB_TIMEOUT_S
        while True:
            answer: dict[str, Any] = self.get(f"/jobs/{job}")
            if answer["status"] in FINISHED:
                return answer
            if time.monotonic() > deadline:
                break
            # Seldom at first and often towards the end: asking costs the server as much as a job.
            share = max(answer["progress"] or 0.0, 1.0) / 100
            left = (time.monotonic() - start) * (1 - share) / share
            time.sleep(min(max(left / 2, POLL_S), SLOWEST_POLL_S))
        raise TimeoutError(f"{job} is still {answer['status']} after {JOB_TIMEOUT_S} s")

    def tasks(self, job: str) -> list[dict[str, Any]]:
        """All tasks of a job, page after page."""
        found: list[dict[str, Any]] = []
        path: str | None = f"/jobs/{job}/tasks"
        while path:
            self.send("GET", path)
            page, headers = self.reply()
            found += page
            link = headers.get("link", "")
            path = link[link.index("<") + 1 : link.index(">")] if 'rel="next"' in link else None
        return found


@contextmanager
def running(directory: Path, *, launcher: str, slots: int, program: str) -> Iterator[Client]:
    """A server for the time of the block; it is told to stop its jobs and leave afterwards."""
    port, log = _free_port(), directory / "server.out"
    settings = {
        "PORT": str(port),
        "JOB_SCRIPT_PATH": program,
        "MAX_CONCURRENT_TASKS": str(slots),
        "JOBMGR_DATA_DIR": str(directory / "data"),
        "JOBMGR_LOG_FILE": str(directory / "app.log"),
        "JOBMGR_LAUNCHER": launcher,
        "JOBMGR_SHUTDOWN": "stop",
    }
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    command = [sys.executable, "-m", "jobmgr", "serve"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], env=inherited | settings, stdout=out, stderr=out
        )
    try:
        yield _ready(server, port, log)
    finally:
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        finally:
            server.kill()
            server.wait()


def process() -> psutil.Process:
    """The one server that runs now."""
    [found] = [child for child in psutil.Process().children() if "serve" in child.cmdline()]
    return found


def _ready(server: subprocess.Popen[bytes], port: int, log: Path) -> Client:
    deadline = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        client = Client(port)
        try:
            client.get("/readyz")
            return client
        except (OSError, RuntimeError):  # Not listening yet, or listening and not ready.
            client.connection.close()
            time.sleep(0.05)
    raise RuntimeError(f"the server did not become ready:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
