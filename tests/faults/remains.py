"""Finds and ends the processes of a test's directory, also when the process that runs the tests was killed and no fixture could do it.

A process belongs to a directory when its command line or environment names it. `end_after_us` tells a watcher, one for each process that runs
tests, of a directory; the watcher reads its standard input, and when that ends, which also a kill -9 of the tests brings about, it kills what is
left. Standard library only: the watcher is this file.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SIGKILL = 9  # So that mypy reads this for Windows too, where nothing of it is ever run.
ROUNDS = 20
"""A process that is just being started is found in the next round."""
PAUSE_S = 0.02

_watchers: list[subprocess.Popen[bytes]] = []


def processes(*directories: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Living processes of these directories but for this one: pid, command line and environment."""
    marks = [str(directory).encode() for directory in directories]
    for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            environment = Path(f"/proc/{name}/environ").read_bytes()
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # It is gone, or another user's.
            continue
        is_ours = any(mark in line or mark in environment for mark in marks)
        if is_ours and state not in "ZX" and int(name) != os.getpid():
            yield int(name), line, environment


def end(directories: Sequence[Path]) -> None:
    """Kill all of these directories until there is none."""
    for _ in range(ROUNDS):
        left = list(processes(*directories))
        if not left:
            break
        for pid, _, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        time.sleep(PAUSE_S)


def end_after_us(directory: Path) -> None:
    """When this process is gone, however, end what runs in this directory."""
    if not _watchers:
        watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # What ends a group of processes, as Ctrl+C does, leaves it alone.
        )
        _watchers.append(watcher)
        atexit.register(watcher.communicate)
    stdin = _watchers[0].stdin
    assert stdin is not None
    stdin.write(f"{directory}\n".encode())
    stdin.flush()


if __name__ == "__main__":
    end([Path(line) for line in sys.stdin.read().splitlines()])
