"""What `jobmgr top` knows: how many jobs are in which status, and the jobs that fit on a screen.

Everything is read in short lists (`limit`), whose `X-Total-Count` counts. An event that moves a job from one status to another makes both statuses
stale; `read` reads again what is stale. An event that tells only how far a job is changes its row here. May be used by two threads, one that hears
and one that reads and draws.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from jobmgr.client.events import JOB_UPDATE, RESET, Event
from jobmgr.client.jobs import Client, Row, first_rows
from jobmgr.client.waiting import DELETED, told

STATUSES = ("running", "paused", "pending", "retried", "completed", "crashed", "failed", "stopped", "lost")
RUNNING, WAITING, ENDED = "running", "waiting", "ended"
LISTS: Mapping[str, tuple[Sequence[str], str]] = {
    RUNNING: (("running", "paused"), "createdAt"),
    WAITING: (("pending", "retried"), "createdAt"),
    ENDED: (("completed", "crashed", "failed", "stopped", "lost"), "-finishedAt"),
}
"""Which statuses a list shows, and in which order."""
MAX_ROWS = 200


class State:
    """Empty, and all stale, until it is read."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Row]] = {name: [] for name in LISTS}
        self.seq: int | None = None
        """The number of an event from before the first reading: the feed begins after it."""
        self._totals = dict.fromkeys(STATUSES, 0)
        self._stale = set(STATUSES)
        self._lock = threading.Lock()
        self._rows = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in which status."""
        totals = dict(self._totals)
        # Where the API is asked for failed ones it finds those that crashed, too.
        return {**totals, "failed": max(0, totals["failed"] - totals["crashed"])}

    @property
    def stale(self) -> bool:
        """Whether there is something to read."""
        return bool(self._stale)

    @property
    def lacks_pids(self) -> bool:
        """Whether a job was read before its process was known; no event tells that."""
        return any(row["pid"] is None and row["numTask"] == 1 for row in self.lists[RUNNING])

    def expect_anew(self) -> None:
        """What is expected of running jobs is to be read again: the server learns, and no event says so."""
        with self._lock:
            if self.lists[RUNNING]:
                self._stale.add("running")

    def hear(self, event: Event) -> bool:
        """Take in an event; whether it changes anything that is shown."""
        with self._lock:
            if event.kind == RESET:
                self._stale |= set(STATUSES)
                return True
            return event.kind == JOB_UPDATE and self._hear_update(event)

    def _hear_update(self, event: Event) -> bool:
        status, before = event.data.get("status"), event.data.get("previousStatus")
        rows = self.lists[RUNNING]
        place = next((n for n, row in enumerate(rows) if row["jobId"] == event.data.get("jobId")), None)
        if before is not None or status == DELETED or place is None:
            # Without a status before it is new, or one of those that no screen has room for.
            self._stale |= {str(word) for word in (status, before) if word in self._totals}
            return True
        rows[place] = told(rows[place], event)
        return True

    def read(self, client: Client, *, rows: int) -> None:
        """Read what is stale, lists with so many rows. What becomes stale meanwhile is so afterwards; so is all of it after an error."""
        rows = min(rows, MAX_ROWS)
        with self._lock:
            stale = self._stale if rows == self._rows else set(STATUSES)
            self._stale = set()
        try:
            self._read(client, stale, rows)
        except BaseException:
            with self._lock:
                self._stale |= stale
            raise
        self._rows = rows

    def _read(self, client: Client, stale: set[str], rows: int) -> None:
        wanted = stale | ({"failed"} if "crashed" in stale else set())
        for status in STATUSES:
            if status in wanted:
                self._totals[status] = self._count(client, status)
        for name, (statuses, sort) in LISTS.items():
            if not stale.isdisjoint(statuses):
                query = {"status": ",".join(statuses), "sort": sort, "limit": rows}
                found = first_rows(client.jobs(query), rows)
                with self._lock:
                    self.lists[name] = found

    def _count(self, client: Client, status: str) -> int:
        with client.jobs({"status": status, "limit": 1}) as found:
            if self.seq is None:
                self.seq = found.seq
            list(found)  # To its end, so that the connection is used again.
            return found.total or 0

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {"seq": self.seq, "counts": self.counts, **self.lists}
