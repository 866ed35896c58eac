"""The keepers: which live, which died, and what they hold.

Asks none of them and takes no lock: a server beside would take that for a sign of life. Assumes Linux.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobmgr.clock import boot_id
from jobmgr.doctor.finding import Finding, ok, warning

assert sys.platform == "linux"

from jobmgr.process import journal, tree  # noqa: E402 - of Linux only, which mypy knows from the line above

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Keeper:
    """One directory below data/keepers. `running`: runs that have not ended; `ended`: those whose end the database may not know yet."""

    name: str
    pid: int | None
    """Of the living process; None: it is dead."""
    running: int
    ended: int
    alive: int
    """Of those that run: leaders that are there."""


def check(directory: Path, *, served: bool) -> Iterator[Finding]:
    """What every keeper holds; `served` says whether a server runs on this directory."""
    keepers = list(look(directory))
    living = [keeper for keeper in keepers if keeper.pid]
    dead = [keeper for keeper in keepers if not keeper.pid]
    if not keepers:
        yield ok("keepers", "none", "no job runs here, and no end waits to be taken up")
    if living:
        names = _named([f"pid {keeper.pid} with {keeper.running} running" for keeper in living])
        means = "their jobs run on whatever happens to the server" + (
            "" if served else "; the next start takes them up"
        )
        yield ok("keepers", f"{len(living)} alive: {names}", means)
    if dead:
        yield _dead(dead)
    waiting = sum(keeper.ended for keeper in keepers)
    if waiting and not served:
        yield ok(
            "ends",
            f"{waiting} in the journals",
            "jobs that ended while no server was there; the next start takes them up",
        )


def look(directory: Path) -> Iterator[Keeper]:
    """Every keeper that left a directory here. Raises OSError where it may not be read."""
    if not directory.exists():
        return
    living = _living()
    for name in sorted(os.listdir(directory)):
        path = directory / name
        if path.is_dir():
            yield _keeper(path, living.get(os.fsencode(name)))


def _keeper(path: Path, pid: int | None) -> Keeper:
    contents = journal.read(str(path))
    of_this_boot = contents.header is not None and contents.header.boot == boot_id()
    ends = [record for record in contents.runs.values() if record.keys() & {"end", "failed", "unbegun"}]
    open_ones = [record for record in contents.runs.values() if not record.keys() & {"end", "failed", "unbegun"}]
    alive = sum(1 for record in open_ones if of_this_boot and _is_there(record))
    return Keeper(path.name, pid, len(open_ones), len(ends), alive)


def _is_there(record: journal.Record) -> bool:
    process = tree.find(record["pid"]) if "pid" in record else None
    return process is not None and process.alive and process.start_ticks == record["ticks"]


def _living() -> dict[bytes, int]:
    """The pids of processes by each word of their command line: the name of a keeper's directory is random, and a word of its keeper's."""
    found: dict[bytes, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # Gone meanwhile.
        if b"-I" in words and b"-S" in words:
            found.update(dict.fromkeys(words, int(name)))
    return found


def _dead(dead: list[Keeper]) -> Finding:
    running, alive = sum(keeper.running for keeper in dead), sum(keeper.alive for keeper in dead)
    found = f"{len(dead)} dead: {_named([keeper.name for keeper in dead])}"
    if not running:
        return ok(
            "dead keepers",
            found,
            "nothing of theirs runs; a server removes what they left when their ends are committed",
        )
    return warning(
        "dead keepers",
        f"{found}, with {running} runs that have not ended, {alive} of them there",
        "a keeper was killed. What still runs is followed and its end may not be known (lost); it never begins a second time",
        "find out who killed it (dmesg, for the out-of-memory killer); remove nothing by hand",
    )


def _named(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
