"""Finding the process of a run whose keeper died before it could write down the pid.

A keeper starts one program at a time, so at most one run per dead keeper is in doubt. In order of certainty: a process with the run's mark is it; a
child of ours that still carries the keeper's name has not called exec, so one must look again; no candidate at all proves that it never
began (only the keeper could have reaped it, and it journals the end first). A zombie has lost its mark: it is taken for the run only when
it is the sole candidate and bears the program's name, otherwise the answer is that nobody can know.
"""

from __future__ import annotations

import os
import sys
from enum import Enum

from jobmgr.process import keeper, tree

assert sys.platform == "linux"

_NAME_LENGTH = 15
_MICROSECONDS_PER_TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")


class Verdict(Enum):
    """What a look found where it found no process."""

    LATER = "a child has not called exec yet"
    NEVER = "it never began"
    UNKNOWN = "nobody can know"


LATER, NEVER, UNKNOWN = Verdict.LATER, Verdict.NEVER, Verdict.UNKNOWN


def look(run: str, begun_us: int, program: str | None, known: set[int]) -> tree.Identity | Verdict:
    """Where the leader of this run is; `known` are the leaders of other runs and the living keepers.

    `program` is what it executes; None where we are not the keeper's parent, so that its children did not become ours.
    """
    table = tree.snapshot()
    marked = [process for process in table.values() if process.alive and tree.mark(process.pid) == run]
    leaders = [process for process in marked if process.pid == process.session]
    if leaders:
        return min(leaders, key=lambda process: process.start_ticks).identity
    if program is None or marked:
        return UNKNOWN
    return _among_children(table, begun_us, program, known)


def _among_children(
    table: dict[int, tree.Process], begun_us: int, program: str, known: set[int]
) -> tree.Identity | Verdict:
    me = os.getpid()
    earliest = begun_us // _MICROSECONDS_PER_TICK - 1
    mine = [
        process
        for process in table.values()
        if process.parent == me and process.pid not in known and process.start_ticks >= earliest
    ]
    unborn = [process for process in mine if process.name == keeper.NAME.decode()]
    if any(process.alive for process in unborn):
        return LATER
    candidates = [p for p in mine if p not in unborn and p.pid == p.session and not tree.mark(p.pid)]
    if any(process.alive and not tree.is_alive(process.pid) for process in candidates):
        return LATER  # It ended while we looked, and took its mark along.
    if not candidates:
        return NEVER
    name = os.path.basename(program)[:_NAME_LENGTH]
    if len(candidates) == 1 and not candidates[0].alive and candidates[0].name == name:
        return candidates[0].identity
    return UNKNOWN


def is_ours(leader: tree.Identity, run: str) -> bool:
    """Whether this very process is there and is the run's: our own child, or marked. A recycled pid is neither."""
    process = tree.find(leader.pid)
    if process is None or process.identity != leader:
        return False
    return process.parent == os.getpid() or (process.alive and tree.mark(leader.pid) == run)


def is_own_zombie(leader: tree.Identity) -> bool:
    """Whether it is a child of ours that waits to be reaped."""
    process = tree.find(leader.pid)
    return process is not None and process.identity == leader and not process.alive and process.parent == os.getpid()
