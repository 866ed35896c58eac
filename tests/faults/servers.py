"""The whole program as processes to be killed: `jobmgr serve` on a data directory and a port of its own, its keepers, its jobs, and the truth.

The jobs write down themselves what happened to them: a line in `began` when they begin, one in `returned` just before they return. `check_truth`
holds that against what the server says. Everything is found again by the path of the test's directory, which each process of the test has in its
command line or its environment, so that nothing of others is ever killed and nothing of ours is left.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.faults.remains import SIGKILL, end, end_after_us, processes
from tests.waiting import eventually_blocking

ROOT = Path(__file__).resolve().parents[2]
FINISHED = {"completed", "crashed", "failed", "stopped", "lost"}
ENDED_BY_ITSELF = {"completed", "crashed", "failed", "lost", "retried"}
ANSWER_S = 20.0
END_S = 40.0

# act LINES CODE [once]: a line of output every 50 ms, LINES in all ("until": until there is a file `go`), then CODE ("KILL": by that signal).
ACT = """#!/bin/sh
echo "$JOBMGR_JOB_ID $JOBMGR_TASK_INDEX $JOBMGR_ATTEMPT $JOBMGR_RUN $$" >> began
goes_on() { if [ "$1" = until ]; then [ ! -e go ]; else [ "$n" -lt "$1" ]; fi; }
n=0
while goes_on "$1"; do n=$((n + 1)); echo "line $n"; sleep 0.05; done
code=$2
if [ "$3" = once ] && [ "$JOBMGR_ATTEMPT" -gt 1 ]; then code=0; fi
echo "$JOBMGR_RUN $code" >> returned
if [ "$code" = KILL ]; then kill -KILL $$; fi
exit "$code"
"""


class Began(NamedTuple):
    """What a job wrote when it began."""

    job: str
    task: int
    attempt: int
    run: str
    pid: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: Any
    headers: dict[str, str]


class Server:
    """One life of a server."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path, told: Path) -> None:
        self.process = process
        self.said, self.told = said, told
        """Its stdout and its stderr."""
        self.known_address: str | None = None
        """Where a server with a fixed port listens before it has said so."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def address(self) -> str | None:
        """Where it listens, once it has said so."""
        listening = [line for line in self.said.read_text().splitlines() if " listens on " in line]
        return listening[0].rpartition(" ")[2] if listening else None

    def wait_ready(self) -> None:
        def ready_or_dead() -> bool:
            return self.address() is not None or self.process.poll() is not None

        eventually_blocking(ready_or_dead, END_S)
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.told.read_text()}"

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, timeout: float = ANSWER_S
    ) -> Answer:
        """One request on a connection of its own. Raises OSError or HTTPException when the server dies meanwhile."""
        address = self.known_address or self.address()
        assert address is not None
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers.get_content_type() in {"application/json", "application/problem+json"}
            return Answer(response.status, json.loads(text) if is_json else text.decode(), dict(response.getheaders()))
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status in (200, 416), answer
        return answer.body

    def submit(self, *arguments: object, key: str | None = None, **fields: Any) -> str:
        """Submit one run of `act`; its id."""
        answer = self.ask("POST", "/jobs", submission(*arguments, **fields), key=key)
        assert answer.status == 201, answer
        return str(answer.body["jobId"])

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/jobs/{job}")
        return found

    def attempts(self, job: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/jobs/{job}/attempts")
        return found

    def pid_of(self, job: str) -> int:
        """The pid of a running job, waited for."""

        def stored() -> int:
            return self.job(job)["pid"] or 0

        return eventually_blocking(stored)

    def stop(self, job: str) -> None:
        answer = self.ask("POST", f"/jobs/{job}/stop")
        assert answer.status == 200, answer

    def wait_status(self, job: str, *statuses: str, deadline: float = END_S) -> dict[str, Any]:
        """Wait until it has one of these (none given: any finished one)."""
        wanted = set(statuses) or FINISHED

        def found() -> dict[str, Any] | None:
            row = self.job(job)
            return row if row["status"] in wanted else None

        return eventually_blocking(found, deadline) or {}

    def wait_all_finished(self, deadline: float = END_S) -> list[dict[str, Any]]:
        """Wait until every job has ended; all jobs."""

        def found() -> list[dict[str, Any]] | None:
            rows: list[dict[str, Any]] = self.get("/jobs")
            return rows if all(row["status"] in FINISHED for row in rows) else None

        return eventually_blocking(found, deadline) or []

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def ask_to_leave(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def exit_code(self, deadline: float = END_S) -> int:
        """Wait for its end."""
        return self.process.wait(deadline)


def submission(lines: object = 0, code: object = 0, *more: object, **fields: Any) -> dict[str, Any]:
    """A run of `act`, as JSON."""
    return {"script": "act", "jobName": "act", "arguments": [str(lines), str(code), *map(str, more)], **fields}


class Site:
    """A directory with data, scripts and what the jobs wrote; the servers that live on it one after the other."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.settings = settings
        self.servers: list[Server] = []
        self._numbers = count()
        end_after_us(directory)
        (directory / "scripts").mkdir()
        self.add_script("act", ACT)
        (directory / ".env").touch()  # So that no .env of the checkout is read.

    @property
    def server(self) -> Server:
        return self.servers[-1]

    def add_script(self, name: str, text: str) -> None:
        """A program that submissions may name."""
        path = self.directory / "scripts" / name
        path.write_text(text)
        path.chmod(0o755)

    def environment(self, **settings: str) -> dict[str, str]:
        """Of servers and of the command line: nothing of the person who runs the tests."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PORT": "0",
            "JOBMGR_DATA_DIR": str(self.data),
            "JOBMGR_LOG_FILE": str(self.directory / "app.log"),
            "JOBMGR_SCRIPTS_DIR": str(self.directory / "scripts"),
            "JOBMGR_SHUTDOWN": "stop",
            "JOBMGR_DISK_FLOOR_BYTES": "0",
            "MAX_CONCURRENT_TASKS": "8",
            **self.settings,
            **settings,
        }

    def begin_start(self, *, dies_at: str = "", **settings: str) -> Server:
        """Start a server and do not wait for it. `dies_at`: a point of `dying_server`."""
        program = ["tests.faults.dying_server", dies_at] if dies_at else ["jobmgr", "serve"]
        number = next(self._numbers)
        said, told = self.directory / f"server-{number}.out", self.directory / f"server-{number}.err"
        with said.open("wb") as out, told.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", *program],
                cwd=self.directory,
                env=self.environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.servers.append(Server(process, said, told))
        return self.server

    def start(self, *, dies_at: str = "", **settings: str) -> Server:
        """Start a server and wait until it has recovered and accepts jobs."""
        server = self.begin_start(dies_at=dies_at, **settings)
        server.wait_ready()
        return server

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `jobmgr` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "jobmgr", *arguments],
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )

    # --- processes

    def keepers(self) -> list[int]:
        """The living keepers of this site, the oldest first."""
        mark = f"{self.data.resolve()}/keepers/".encode()
        return [pid for pid, line, _ in processes(self.directory) if mark in line]

    def jobs_alive(self) -> list[int]:
        """Processes of its jobs."""
        keepers = set(self.keepers())
        return [
            pid
            for pid, _, environment in processes(self.directory)
            if b"JOBMGR_RUN=" in environment and pid not in keepers
        ]

    def left(self) -> list[str]:
        """All that runs here, as a person would want to see it."""
        return [f"{pid} {line.replace(bytes(1), b' ').decode()[:200]}" for pid, line, _ in processes(self.directory)]

    def kill_keepers(self) -> list[int]:
        """Kill -9 all keepers; their pids."""
        keepers = self.keepers()
        for pid in keepers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        self.wait_gone(keepers)
        return keepers

    def wait_gone(self, keepers: Iterable[int]) -> None:
        """Until these keepers are no more."""
        eventually_blocking(lambda: not set(keepers) & set(self.keepers()))

    def wait_new_keeper(self, former: Iterable[int]) -> None:
        """Until there is a keeper besides these."""
        eventually_blocking(lambda: set(self.keepers()) - set(former))

    def kill_everything(self) -> None:
        """After a failed test: nothing of it is left."""
        end([self.directory])
        for server in self.servers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(0.1)

    def leave(self) -> None:
        """End of the test: the server leaves in order, and nothing is left."""
        server = self.server
        if server.process.poll() is None:
            server.ask_to_leave()
            assert server.exit_code() == 0, server.told.read_text()
        eventually_blocking(lambda: not self.left())

    # --- the truth

    def began(self) -> list[Began]:
        """What the jobs wrote when they began."""
        fields = [line.split() for line in _lines(self.directory / "began")]
        return [Began(job, int(task), int(attempt), run, int(pid)) for job, task, attempt, run, pid in fields]

    def returned(self) -> dict[str, str]:
        """What each run said that it returns."""
        pairs = [line.split() for line in _lines(self.directory / "returned")]
        assert len(dict(pairs)) == len(pairs), "a run returned twice"
        return dict(pairs)

    def alive(self, run: str) -> bool:
        """Whether the process that began this run is there."""
        pids = {entry.run: entry.pid for entry in self.began()}
        return pids[run] in self.jobs_alive()

    def go(self) -> None:
        """Let the jobs that wait for it end."""
        (self.directory / "go").touch()

    def database(self) -> sqlite3.Connection:
        """A connection of our own."""
        return sqlite3.connect(self.data / "jobmgr.db")

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with contextlib.closing(self.database()) as connection:
            return connection.execute(text).fetchall()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def check_truth(site: Site, *, lost: Callable[[dict[str, Any]], bool] = lambda _: False) -> None:
    """All jobs have ended: hold what the server says against what the jobs wrote. `lost`: the attempts that may be lost."""
    jobs = site.server.wait_all_finished()
    began, returned = site.began(), site.returned()
    twice = [what for what, times in Counter(entry[:3] for entry in began).items() if times > 1]
    assert not twice, f"begun more than once: {twice}"
    attempts = {attempt["run"]: attempt for job in jobs for attempt in site.server.attempts(job["jobId"])}
    for entry in began:
        known = attempts.get(entry.run)
        assert known, f"it began, and the server does not know it: {entry}"
        assert (known["jobId"], known["task"], known["attempt"]) == entry[:3]
    lines = {entry.run for entry in began}
    for run, attempt in attempts.items():
        _check_attempt(attempt, run in lines, returned.get(run), may_be_lost=lost(attempt))
    for job in jobs:
        _check_job(site.server, job, [attempt for attempt in attempts.values() if attempt["jobId"] == job["jobId"]])
    check_events(site)


def _check_attempt(attempt: dict[str, Any], has_begun: bool, returned: str | None, *, may_be_lost: bool) -> None:
    match attempt["status"]:
        case "completed" | "crashed" | "retried":  # An attempt that was followed by another one shows `retried`.
            assert has_begun, attempt
            by_signal = returned == "KILL"
            assert (attempt["exitCode"], attempt["signal"]) == (
                (None, "SIGKILL") if by_signal else (int(returned or -1), None)
            ), (returned, attempt)
            assert (attempt["status"] == "completed") == (returned == "0"), attempt
        case "lost":
            assert may_be_lost, attempt
            assert (attempt["exitCode"], attempt["signal"]) == (None, None), attempt
        case "stopped":
            assert attempt["exitCode"] is None or str(attempt["exitCode"]) == returned, attempt
        case status:
            raise AssertionError((status, attempt))


def _check_job(server: Server, job: dict[str, Any], attempts: list[dict[str, Any]]) -> None:
    tasks = server.get(f"/jobs/{job['jobId']}/tasks")
    assert Counter(task["status"] for task in tasks) == Counter(job["taskCounts"]), job
    worst = ("stopped", "lost", "failed", "crashed", "completed")
    assert job["status"] == min((task["status"] for task in tasks), key=worst.index), job
    for attempt in attempts:
        lines = str(server.get(attempt["links"]["output"])).splitlines()
        assert lines == [f"line {n}" for n in range(1, len(lines) + 1)], (attempt, lines)
        if attempt["status"] in ("completed", "crashed", "retried") and job["args"][0].isdigit():
            assert len(lines) == int(job["args"][0]), (attempt, len(lines))


def check_events(site: Site) -> None:
    """The events are numbered from 1 without a gap; no attempt ended twice."""
    [(last,)] = site.rows("SELECT value FROM meta WHERE name = 'last_seq'")
    events = site.rows(
        "SELECT seq, kind, data FROM events WHERE seq <= (SELECT value FROM meta WHERE name = 'last_seq') ORDER BY seq"
    )
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    assert len(events) >= last
    ends: Counter[tuple[str, int, str]] = Counter()
    for _, kind, data in events:
        fields = json.loads(data)
        # A task that waits again after a restart still has the number of its last attempt: stopped then, that number is told once more.
        if kind == "task-update" and fields["status"] in ENDED_BY_ITSELF:
            ends[fields["taskId"], fields["attempt"], fields["status"]] += 1
    twice = [end for end, times in ends.items() if times > 1]
    assert not twice, f"ended more than once: {twice}"
