"""The measuring client, against a stand-in that answers as the API does; the real server is measured by the bench itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench import submit
from bench.server import Client, running

JOB = {"jobId": "job-0", "status": "completed", "exitCode": 0, "error": None}


class StandIn(BaseHTTPRequestHandler):
    """Runs the one argument it is sent as a pipe to write to; knows one job with three tasks on two pages."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Write to the pipe that is named, then say that it runs."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "arguments" not in body:
            self.answer(400, {"error": "nothing to run"})
            return
        with open(body["arguments"][0], "w") as pipe:
            pipe.write("\n")
        self.answer(201, {"success": True, "jobId": "job-0", "status": body.get("status", "running")})

    def do_GET(self) -> None:
        """The tasks in two pages, anything else is the job."""
        if self.path == "/jobs/job-0/tasks":
            self.answer(
                200, [{"taskId": "job-0.0"}, {"taskId": "job-0.1"}], Link='</jobs/job-0/tasks?cursor=2>; rel="next"'
            )
        elif self.path == "/jobs/job-0/tasks?cursor=2":
            self.answer(200, [{"taskId": "job-0.2"}])
        else:
            self.answer(200, JOB)

    def answer(self, status: int, body: Any, **headers: str) -> None:
        """Send a body as JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Silence."""


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a fresh stand-in."""
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = Client(server.server_address[1])
        yield client
        client.connection.close()
        server.shutdown()
        thread.join()


def test_all_pages_of_tasks_are_read(client: Client) -> None:
    """It follows `Link: rel="next"` to the end."""
    assert [task["taskId"] for task in client.tasks("job-0")] == ["job-0.0", "job-0.1", "job-0.2"]


def test_a_finished_job_is_returned(client: Client) -> None:
    """As the server gave it."""
    assert client.finished("job-0") == JOB


def test_a_refusal_is_an_error_with_what_the_server_said(client: Client) -> None:
    """No figure comes from a request that was refused."""
    with pytest.raises(RuntimeError, match=r"400.*nothing to run"):
        client.submit({"numTask": 1})


def test_a_sample_has_both_times(client: Client, tmp_path: Path) -> None:
    """The reply and the sign of life from the program are each stamped, sample after sample."""
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes of this kind")
    os.mkfifo(tmp_path / "pipe")
    ear = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    for _ in range(3):
        replied, begun = submit._sample(client, ear, str(tmp_path / "pipe"))
        assert replied > 0 and begun > 0
    os.close(ear)


def test_a_server_that_ends_at_once_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it printed is in the message, and nothing is left running."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        started.append(real([sys.executable, "-c", "raise SystemExit('no such setting')"], **more))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with (
        pytest.raises(RuntimeError, match="no such setting"),
        running(tmp_path, launcher="keeper", slots=1, program="true"),
    ):
        pass
    assert started[0].returncode == 1
