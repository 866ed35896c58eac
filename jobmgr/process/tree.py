"""Finding, identifying and signalling processes: /proc, pidfd, and the mark JOBMGR_RUN in the environment.

A pid alone is never trusted: a process is known by pid and start time (ticks since boot), and the tree of a run by the mark in its
environment, its session and its ancestry. Everything but the group of an unreaped leader is signalled through a pidfd that is opened first and
checked afterwards, so a recycled pid is never hit. Assumes Linux with /proc. Standard library only: the keeper imports it, the server uses it
for runs whose keeper is dead. Does not decide whom to signal, or when.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

assert sys.platform == "linux"

MARK = b"JOBMGR_RUN="
_EXEC_LOOKS = 10
_EXEC_PAUSE_S = 0.001


class Identity(NamedTuple):
    """One process for as long as this boot lasts; the pid alone may be reused, the pair is not."""

    pid: int
    start_ticks: int


class Process(NamedTuple):
    """One line of the process table. `alive` is False for a zombie."""

    pid: int
    start_ticks: int
    parent: int
    group: int
    session: int
    name: str
    alive: bool

    @property
    def identity(self) -> Identity:
        """Pid and start time."""
        return Identity(self.pid, self.start_ticks)


Snapshot = Mapping[int, Process]


def find(pid: int) -> Process | None:
    """The process with this pid now, zombies included; None when there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        line = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    return _parse(pid, line)


def _parse(pid: int, line: bytes) -> Process | None:
    """Fields as in proc(5); the name may hold spaces and brackets, so count from the last bracket."""
    name_end = line.rfind(b")")
    fields = line[name_end + 2 :].split()
    if len(fields) < 20:
        return None
    name = line[line.find(b"(") + 1 : name_end].decode(errors="replace")
    dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[2]), int(fields[3]), name, not dead)


def snapshot() -> dict[int, Process]:
    """Every process there is. Not atomic: whoever kills must look again until nothing is left."""
    found = (find(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in found if process}


def children() -> list[int]:
    """Children of this process, zombies and adopted orphans included."""
    pids: list[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", "rb", buffering=0) as file:
                pids.extend(map(int, _read_all(file.fileno()).split()))
    except FileNotFoundError:  # A kernel without CONFIG_PROC_CHILDREN.
        me = os.getpid()
        pids = [process.pid for process in snapshot().values() if process.parent == me]
    return pids


def _read_all(fd: int) -> bytes:
    chunks = []
    while chunk := os.read(fd, 65536):
        chunks.append(chunk)
    return b"".join(chunks)


def mark(pid: int) -> str:
    """The run that this process was started in, from its environment; empty when it has none or may not be read.

    In the middle of exec a process has no environment for a moment: an empty one is looked at again, some milliseconds long.
    """
    environment = _environment(pid)
    for _ in range(_EXEC_LOOKS):
        if environment != b"" or not is_alive(pid):
            break
        time.sleep(_EXEC_PAUSE_S)
        environment = _environment(pid)
    for entry in (environment or b"").split(b"\0"):
        if entry.startswith(MARK):
            return entry[len(MARK) :].decode(errors="replace")
    return ""


def _environment(pid: int) -> bytes | None:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return _read_all(file.fileno())
    except OSError:
        return None


def is_alive(pid: int) -> bool:
    """Whether some process has this pid and is not a zombie."""
    process = find(pid)
    return process is not None and process.alive


def is_same(who: Identity) -> bool:
    """Whether this very process is still there and not a zombie."""
    process = find(who.pid)
    return process is not None and process.alive and process.start_ticks == who.start_ticks


def send(who: Identity, number: int) -> bool:
    """Signal exactly this process, never whoever has its pid by now. False when it is gone or not ours to signal."""
    if who.pid <= 1 or who.pid == os.getpid():
        return False
    try:
        handle = os.pidfd_open(who.pid)
    except OSError:
        return False
    try:
        if not is_same(who):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def send_group(leader: int, number: int) -> None:
    """Signal the group of a leader. Only for an unreaped child of ours: until it is reaped its number cannot be reused."""
    if leader <= 1 or leader == os.getpgrp():
        return
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass


class Kinship:
    """Which processes of one snapshot belong to a run. `root`: the process below which all runs were started; None: unknown."""

    def __init__(self, table: Snapshot, root: int | None) -> None:
        self._table = table
        self._root = root
        self._marks: dict[int, str] = {}
        self._candidates = [process for process in table.values() if self._eligible(process)]

    def members(self, run: str, leader: Identity | None, known: Iterable[Identity] = ()) -> list[Process]:
        """The living processes of this run: known before, marked, of the leader's session, or descending from one of these."""
        known = set(known)
        verdicts = {process.pid: self._belongs(process, run, leader, known) for process in self._candidates}
        return [p for p in self._candidates if p.alive and self._inherits(p, verdicts)]

    def orphans_of_nobody(self, leaders: Iterable[int]) -> list[Process]:
        """Adopted children of root that carry no mark and are no leader: who started them can only be told from times."""
        leading = set(leaders)
        return [
            process
            for process in self._candidates
            if process.parent == self._root
            and process.alive
            and process.pid not in leading
            and not self.mark(process.pid)
        ]

    def mark(self, pid: int) -> str:
        """As `tree.mark`, read once per snapshot."""
        if pid not in self._marks:
            self._marks[pid] = mark(pid)
        return self._marks[pid]

    def _eligible(self, process: Process) -> bool:
        if process.pid <= 2 or process.pid == os.getpid() or process.parent == 2:  # Kernel threads have parent 2.
            return False
        return self._root is None or self._descends(process)

    def _descends(self, process: Process) -> bool:
        seen = 0
        parent = process.parent
        while parent > 1 and seen < 10_000:  # A table that changed while it was read could hold a circle.
            if parent == self._root:
                return True
            above = self._table.get(parent)
            if above is None:
                return False
            parent, seen = above.parent, seen + 1
        return False

    def _belongs(self, process: Process, run: str, leader: Identity | None, known: set[Identity]) -> bool:
        if process.identity in known or process.identity == leader:
            return True
        marked = self.mark(process.pid)
        if marked or leader is None or process.session != leader.pid or leader.pid <= 1:
            return bool(marked) and marked == run
        at_number = self._table.get(leader.pid)
        if at_number is None:  # Only below root is a session without its leader surely the one we made.
            return self._root is not None and process.start_ticks >= leader.start_ticks
        return at_number.start_ticks == leader.start_ticks

    def _inherits(self, process: Process, verdicts: dict[int, bool]) -> bool:
        path = []
        pid = process.pid
        while pid in verdicts and not verdicts[pid] and pid not in path:
            path.append(pid)
            pid = self._table[pid].parent
        ours = verdicts.get(pid, False)
        if ours:
            verdicts.update(dict.fromkeys(path, True))
        return ours
