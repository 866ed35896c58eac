"""What a starting server makes of the runs that its predecessor left open. Decides, writes nothing; idempotent, so a crash in it is harmless.

The order is that of DESIGN §4: an end that any journal holds is applied, whatever the boot; another boot means lost; what a keeper holds is
taken up; what began and has no keeper is followed; only what provably never began goes back to the queue.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobmgr.job import Cause
from jobmgr.process.launcher import Ended, Found, Held, SpawnFailed, Unbegun, Vanished
from jobmgr.store.base import Claimed


@dataclass(frozen=True, slots=True)
class Lost:
    """How it ended cannot be known."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class NeverBegun:
    """There is proof that no process was started for it."""


Step = Ended | SpawnFailed | Held | Lost | NeverBegun


def incarnation(token: str, *, survives: bool) -> str:
    """The name of one life of a server. It tells the next one whether that server's jobs could outlive it and left a journal."""
    return f"{'keeper' if survives else 'direct'}-{token}"


def decide(claimed: Claimed, found: Found | None, *, boot_id: str) -> Step:
    """What to do with one open run, by what the launcher found of it (None: no trace in any journal or keeper)."""
    if isinstance(found, Ended | SpawnFailed):
        return found
    if claimed.owner.boot_id != boot_id:
        return Lost(Cause.REBOOT)
    if isinstance(found, Held):
        return found
    if isinstance(found, Vanished):
        return Lost(Cause.VANISHED)
    if isinstance(found, Unbegun):
        return NeverBegun()
    # No trace. It never began if its server wrote a journal and never saw a process; a server without a journal proves nothing.
    proof = claimed.owner.incarnation.startswith("keeper-") and claimed.pid is None
    return NeverBegun() if proof else Lost(Cause.VANISHED)
