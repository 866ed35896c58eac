"""One living keeper as the server uses it: commands in order, reports, and reconnecting for as long as its lock is held.

What is asked in one turn of the event loop leaves as one write: neighbouring launches become one `start` line, neighbouring
acknowledgements one `ack` line. After a reconnect the keeper's list is the truth: what it does not know of our launches never began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobmgr.process import journal, keeper, keeper_link, keeper_start, kernel, wire
from jobmgr.process.launcher import Found, Launch, Report, Unbegun

assert sys.platform != "win32"

ANSWER_S = 2.0
"""A keeper that does not answer for so long is silent."""
SPARE = 16
"""Descriptors that it takes to take up what a dead keeper held; while there are fewer, it is tried again."""
_FIRST_RETRY_S = 0.01
_SLOWEST_RETRY_S = 1.0

Record = dict[str, Any]


class KeeperClient:
    """A keeper with a lock that is held. `on_dead` is called with the lock, then ours, once it is found free (-1: nothing is left).

    `on_reconnect`: what was asked about runs lately may have been lost, ask again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        environment: Mapping[str, str],
        on_reports: Callable[[Sequence[Report]], None],
        on_dead: Callable[[KeeperClient, int], None],
        on_reconnect: Callable[[KeeperClient], None],
    ) -> None:
        self.directory = directory
        self.runs: set[str] = set()
        """Runs not acknowledged yet."""
        self.knows_all = True
        """Whether `runs` is complete; not so before an earlier server's keeper has told."""
        self.unanswered: dict[str, Launch] = {}
        """Launches that were asked for and neither begun nor refused yet."""
        self._environment = dict(environment)
        self._on_reports = on_reports
        self._on_dead = on_dead
        self._on_reconnect = on_reconnect
        self._link: keeper_link.KeeperLink | None = None
        self._outbox: list[Record] = []
        self._flushing = False
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def connect(self) -> list[Record] | None:
        """What runs there, by its own word; None where it does not answer, which is then tried again in the background."""
        try:
            records = await (self._link.list_runs(timeout_s=ANSWER_S) if self._link is not None else self._greet())
        except (TimeoutError, ConnectionError):
            records = None
        if records is None:
            self._keep_trying()
        return records

    async def found(self) -> dict[str, Found]:
        """Recovery's answer for this keeper; runs begun by its dead server after this will not start."""
        self.knows_all = False
        with contextlib.suppress(OSError):
            (self.directory / keeper.REVOKED).touch(mode=0o600)
        records = await self.connect()
        silent = records is None
        if records is None:
            records = self._written()
        records = [record for record in records if "launch" in record or "pid" in record]
        self.runs.update(record["run"] for record in records)
        self.knows_all = True
        return {record["run"]: wire.found(record, silent=silent) for record in records}

    def _written(self) -> list[Record]:
        try:
            return list(journal.read(str(self.directory)).runs.values())
        except FileNotFoundError:  # It left in peace, which it does when all is committed.
            return []

    def start(self, launches: Sequence[Launch]) -> None:
        """Ask for these runs."""
        for launch in launches:
            self.runs.add(launch.run)
            self.unanswered[launch.run] = launch
        self._send(
            {"op": "start", "env": self._environment, "launches": [wire.launch_message(launch) for launch in launches]}
        )
        self._flush()  # A free slot waits for this; what else is asked in this turn can wait for the next.

    def command(self, op: str, run: str, **fields: Any) -> None:
        """Any of the commands about one run."""
        self._send({"op": op, "run": run, **fields})

    def ack(self, run: str) -> None:
        """Its end is committed."""
        self.runs.discard(run)
        self._send({"op": "ack", "runs": [run]})

    async def close(self) -> None:
        """Hang up; what was asked before is sent first."""
        self._flush()
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # It hangs up where it was about to get through.
        if self._link is not None:
            await self._link.close()

    def _send(self, command: Record) -> None:
        if self._outbox and self._outbox[-1]["op"] == command["op"] in ("start", "ack"):
            listed = "launches" if command["op"] == "start" else "runs"
            self._outbox[-1][listed].extend(command[listed])
        else:
            self._outbox.append(command)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._link is not None and self._outbox:
            self._link.send(*self._outbox)
            self._outbox.clear()

    async def _greet(self) -> list[Record] | None:
        """Connect, become the controller, and take its list; None where nobody listens."""
        link = keeper_link.KeeperLink(self.directory, on_reports=self._take, on_lost=lambda: self._lost(link))
        try:
            if not await link.connect(controller=True, timeout_s=ANSWER_S):
                return None
            records = await link.list_runs(timeout_s=ANSWER_S)
        except (TimeoutError, ConnectionError, asyncio.CancelledError) as trouble:
            await link.close()
            if isinstance(trouble, ConnectionError):
                return None
            raise
        former, self._link = self._link, link
        if former is not None:
            await former.close()
        return records

    def _take(self, records: list[Record]) -> None:
        reports = [report for record in records if (report := wire.outcome(record))]
        for report in reports:
            self.unanswered.pop(report.run, None)
        self._on_reports(reports)

    def _lost(self, link: keeper_link.KeeperLink) -> None:
        if self._link is link:  # A link that never got so far is its caller's to try again.
            self._link = None
            self._keep_trying()

    def _keep_trying(self) -> None:
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(
                self._reach(), name=f"reach keeper {self.directory.name}"
            )

    async def _reach(self) -> None:
        """Until it answers again, or its lock is free."""
        pause = _FIRST_RETRY_S
        while not self._closed:
            if self._is_dead():
                return
            with contextlib.suppress(TimeoutError):
                records = await self._greet()
                if records is not None:
                    self._reconcile(records)
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST_RETRY_S)

    def _is_dead(self) -> bool:
        try:
            lock = keeper_start.lock(self.directory)
        except FileNotFoundError:  # It left in peace and took its directory along.
            lock = -1
        except OSError:  # It is held; or there is no descriptor to be had, which says nothing about the keeper.
            return False
        if not kernel.can_open(SPARE):  # To take up what it held we must read its journal and see its processes.
            if lock >= 0:
                os.close(lock)
            return False
        self._closed = True
        self._on_dead(self, lock)
        return True

    def _reconcile(self, records: list[Record]) -> None:
        """After a reconnect: what was sent and did not arrive never begins, what happened meanwhile is in the list."""
        waiting = {
            launch["run"] for command in self._outbox if command["op"] == "start" for launch in command["launches"]
        }
        known = {record["run"] for record in records} | waiting
        never = [run for run in self.unanswered if run not in known]
        for run in never:
            del self.unanswered[run]
        self._take([record for record in records if record["run"] in self.runs])
        if never:
            self._on_reports([Unbegun(run, "The connection to the keeper broke before it began.") for run in never])
        self._flush()
        for record in records:
            if record["run"] not in self.runs and record.keys() & {"end", "failed"}:
                self.ack(record["run"])  # The first acknowledgement was lost.
        self._on_reconnect(self)
