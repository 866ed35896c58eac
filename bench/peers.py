"""Who else can run 2,000 programs: HyperQueue, `xargs -P`, and a C loop as the limit. Each is a command that is timed from outside or itself.

A peer is given how many programs, how many at once, which program and an empty directory, and returns seconds. `missing` says in words what
it lacks on this machine; then it is skipped, never guessed.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RUN_TIMEOUT_S = 300.0
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Load:
    """What to run: `program` so many times, `parallel` at once, leaving what it must leave in `directory`."""

    count: int
    parallel: int
    program: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of running a load; `run` returns seconds and raises when a program did not end with 0."""

    name: str
    run: Callable[[Load], float]
    missing: Callable[[], str | None] = lambda: None
    version: Callable[[], str] = lambda: ""


def _spawn_loop(load: Load) -> float:
    """The C loop, compiled afresh: it is one small file."""
    binary = load.directory / "spawn"
    subprocess.run(["cc", "-O2", "-o", binary, HERE / "spawn.c"], check=True)
    return float(_output([str(binary), str(load.count), str(load.parallel), load.program]))


def _xargs(load: Load) -> float:
    """`xargs` gives each program one number as argument; it exits with another code than 0 if any program does."""
    numbers = "".join(f"{number}\n" for number in range(load.count))
    began = time.perf_counter()
    subprocess.run(
        ["xargs", "-n", "1", "-P", str(load.parallel), load.program],
        input=numbers.encode(),
        check=True,
        timeout=RUN_TIMEOUT_S,
    )
    return time.perf_counter() - began


def _hyperqueue(load: Load) -> float:
    command = [
        sys.executable,
        "-m",
        "bench.hyperqueue_run",
        str(load.count),
        str(load.parallel),
        load.program,
        str(load.directory),
    ]
    return float(_output(command).splitlines()[-1])


def _output(command: list[str]) -> str:
    """What a command prints; what it says on stderr is shown only when it fails."""
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _lacks(command: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(command) else f"there is no {command} here"


def _lacks_hyperqueue() -> str | None:
    return None if importlib.util.find_spec("hyperqueue") else "not installed (pip install hyperqueue)"


def _first_line(*command: str) -> Callable[[], str]:
    return lambda: _output(list(command)).partition("\n")[0]


LIMIT = Peer("C loop over posix_spawn", _spawn_loop, _lacks("cc"), _first_line("cc", "--version"))
XARGS = Peer("xargs -P", _xargs, _lacks("xargs"), _first_line("xargs", "--version"))
HYPERQUEUE = Peer("HyperQueue", _hyperqueue, _lacks_hyperqueue, lambda: version("hyperqueue"))
