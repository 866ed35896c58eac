"""A real server and the real command line beside it, each command a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.servers import END_S, Site
from tests.waiting import eventually_blocking

# say LINES CODE: a line of output every 50 ms, then CODE ("KILL": by that signal).
SAY = """#!/bin/sh
n=0
while [ "$n" -lt "$1" ]; do n=$((n + 1)); echo "line $n"; sleep 0.05; done
if [ "$2" = KILL ]; then kill -KILL $$; fi
exit "$2"
"""
WAIT = "#!/bin/sh\necho begun\nwhile [ ! -e go ]; do sleep 0.05; done\necho done\n"


@dataclass
class Cli:
    """The command line beside a site."""

    site: Site
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str | None) -> dict[str, str]:
        """Of the commands; None: that one is not set."""
        wanted = {**self.site.environment(), "JOBMGR_URL": self.url, **more}
        return {name: value for name, value in wanted.items() if value is not None}

    def do(
        self, *words: str, stdin: str = "", code: int | None = 0, **more: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `jobmgr` to its end and hold its exit code against `code` (None: any)."""
        done = subprocess.run(
            [sys.executable, "-m", "jobmgr", *words],
            cwd=self.site.directory,
            env=self.environment(**more),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
        assert code is None or done.returncode == code, done
        return done

    def out(self, *words: str) -> str:
        """What it prints on stdout."""
        return self.do(*words).stdout

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `jobmgr` and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobmgr", *words],
            cwd=self.site.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def submit(self, *words: str) -> str:
        """Submit, and give the id."""
        return self.out("submit", "--quiet", *words).strip()

    def start_server(self) -> None:
        """A server on the port that all servers of this site have."""
        self.site.start(PORT=str(self.port))


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Wait for a process: its exit code, stdout and stderr."""
    out, err = process.communicate(timeout=END_S)
    return process.returncode, out.decode(), err.decode()


def on_terminal(cli: Cli, *words: str) -> str:
    """What a person sees who types this in a terminal of the usual size."""
    if sys.platform == "win32":
        raise NotImplementedError
    parent, child = os.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobmgr", *words],
            cwd=cli.site.directory,
            env=cli.environment(TERM="xterm", COLUMNS="100", LINES="30"),
            stdin=child,
            stdout=child,
            stderr=child,
        )
    finally:
        os.close(child)
    seen = b""
    with open(parent, "rb", buffering=0) as screen:
        while True:
            try:
                piece = screen.read(65536)
            except OSError:  # The other end is closed.
                break
            seen += piece or b""
    process.wait(END_S)
    return seen.decode()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl+C."""
    process.send_signal(signal.SIGINT)


def wait_line(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """Read its stdout up to this text; all that was read."""
    assert process.stdout is not None
    read = b""

    def seen() -> bool:
        nonlocal read
        assert process.stdout is not None
        piece = process.stdout.read1(65536)  # type: ignore[attr-defined]  # Popen's pipes are BufferedReaders
        read += piece
        assert piece, f"it ended: {read!r}"
        return text in read

    eventually_blocking(seen, END_S)
    return read


@pytest.fixture
def cli(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cli]:
    """The command line with a server that runs, of which nothing is left at the end."""
    site = Site(tmp_path)
    site.add_script("say.sh", SAY)
    site.add_script("wait.sh", WAIT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cli = Cli(site, probe.getsockname()[1])
    failures = request.session.testsfailed
    try:
        cli.start_server()
        yield cli
        if request.session.testsfailed == failures:
            site.leave()
    finally:
        site.kill_everything()
