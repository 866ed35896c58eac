"""Runs held: their clocks, their pause, and how their whole tree is stopped.

Free of sockets and event loops: whoever holds runs (the keeper; the server for runs whose keeper died) calls `tick` when `next_due` says so
and hears of two things through callbacks: a request, before its first signal, and that a tree is gone.

A stop sends the stop signal to the leader's group and SIGCONT, waits the grace, then kills; once the leader has ended, all that is left
of its tree is signalled the same way, again and again until a look at the process table finds nothing. Times are boot-clock microseconds.
Standard library only. Reaps nothing and writes nothing.
"""

from __future__ import annotations

import heapq
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from jobmgr.process import output_cap, tree

assert sys.platform == "linux"

FIRST_PASS_US = 5_000
SLOWEST_PASS_US = 250_000
UNKILLABLE_US = 30_000_000
"""After so long of killing an end is reported although something is left (a process in an uninterruptible wait); the killing goes on."""


class Hold:
    """One begun run. `record` is what the journal knows of it; the rest lives in memory only."""

    def __init__(
        self,
        record: dict[str, Any],
        leader: tree.Identity,
        *,
        is_child: bool = True,
        outputs: tuple[int, ...] = (),
        report: tuple[int, ...] = (),
    ) -> None:
        self.record = record
        self.leader = leader
        self.is_child = is_child
        """The leader is our child: until we reap it its group may be signalled by number."""
        self.outputs = outputs
        """Descriptors of its output, and of its errors when they are apart."""
        self.report = report
        """Descriptor of its report file; empty where that is gone."""
        self.ended = False
        """The leader is gone and reaped; what is left of the tree is being stopped."""
        self.reported = False
        self.paused = False
        self.kill_at: int | None = None
        """When the grace of a stop ends; None: no stop under way."""
        self.timeout_at: int | None = None
        self.timeout_left: int | None = None
        self.known: set[tree.Identity] = set()
        self.signalled: set[tree.Identity] = set()
        self.pass_at = 0
        self.pass_interval = FIRST_PASS_US
        self.due: int | None = None

    def enforce_cap(self) -> None:
        """Keep each of its files within the cap: whatever a job writes, the disk does not fill."""
        for fd in self.outputs + self.report:
            output_cap.enforce(fd, self.launch["cap"])

    def output_bytes(self) -> int:
        """What it has printed so far."""
        return sum(os.fstat(fd).st_size for fd in self.outputs)

    @property
    def run(self) -> str:
        """Its id."""
        return str(self.record["run"])

    @property
    def launch(self) -> dict[str, Any]:
        """Clocks, files and policy it was launched with."""
        found: dict[str, Any] = self.record["launch"]
        return found

    @property
    def because(self) -> str:
        """Which request came first; empty: none."""
        return str(self.record.get("because", ""))


class Custody:
    """All runs held by this process. `root`: the process below which they were started; None where that is not known."""

    def __init__(
        self, *, root: int | None, on_request: Callable[[Hold], None], on_gone: Callable[[Hold], None]
    ) -> None:
        self.holds: dict[str, Hold] = {}
        self._root = root
        self._on_request = on_request
        self._on_gone = on_gone
        self._due: list[tuple[int, int, Hold]] = []
        self._order = count()
        self._kinship: tree.Kinship | None = None

    def add(self, hold: Hold) -> None:
        """Take a run in; its timeout counts from when it began."""
        self.holds[hold.run] = hold
        timeout = hold.launch["timeout"]
        if timeout is not None:
            hold.timeout_at = hold.record["boot"] + timeout
        if timeout is not None or hold.launch["deadline"] is not None:
            self._reschedule(hold)

    def drop(self, hold: Hold) -> None:
        """Nothing of it is left, or what is left is nobody's business."""
        self.holds.pop(hold.run, None)
        hold.due = None
        for fd in hold.outputs + hold.report:
            os.close(fd)
        hold.outputs = hold.report = ()

    def stop(self, run: str, because: str, now: int, *, grace: int | None = None, number: int | None = None) -> None:
        """Stop the whole tree. Again: only ever sooner. The first request is the reason that is kept."""
        hold = self.holds.get(run)
        if hold is None:
            return
        first = hold.kill_at is None
        kill_at = now + (hold.launch["grace"] if grace is None else max(grace, 0))
        hold.kill_at = kill_at if hold.kill_at is None else min(hold.kill_at, kill_at)
        if not hold.ended and not hold.because:
            hold.record["because"] = because
            self._on_request(hold)
        if first and not hold.ended:
            self._ask(hold, number or hold.launch["stop_signal"])
        self._reschedule(hold)

    def clean_up(self, hold: Hold, now: int) -> None:
        """The leader ended and was reaped, others of its tree live: stop them within the grace."""
        hold.ended = True
        hold.pass_at, hold.pass_interval = now, FIRST_PASS_US
        if hold.kill_at is None:
            hold.kill_at = now + hold.launch["grace"]
        self._reschedule(hold)

    def look_again(self, now: int) -> None:
        """Some process ended: trees that wait for their last one may be gone."""
        for hold in self.holds.values():
            if hold.ended:
                hold.pass_at = now
                self._reschedule(hold)

    def signal(self, run: str, number: int) -> None:
        """One signal to the leader."""
        hold = self.holds.get(run)
        if hold is not None and not hold.ended:
            tree.send(hold.leader, number)

    def pause(self, run: str, now: int) -> None:
        """Freeze the tree; the timeout stands still. No effect on a run that is being stopped."""
        hold = self.holds.get(run)
        if hold is None or hold.ended or hold.paused or hold.kill_at is not None:
            return
        hold.paused = True
        if hold.timeout_at is not None:
            hold.timeout_left, hold.timeout_at = hold.timeout_at - now, None
        self._signal_group(hold, signal.SIGSTOP)
        stopped: set[tree.Identity] = set()
        for _ in range(5):  # A process that was forking while we looked is seen by the next look.
            fresh = {process.identity for process in self.members(hold, fresh=True)} - stopped
            if not fresh:
                break
            for who in fresh:
                tree.send(who, signal.SIGSTOP)
            stopped |= fresh
        self._reschedule(hold)

    def resume(self, run: str, now: int) -> None:
        """Let a frozen tree go on."""
        hold = self.holds.get(run)
        if hold is None or not hold.paused:
            return
        if hold.timeout_left is not None:
            hold.timeout_at, hold.timeout_left = now + hold.timeout_left, None
        self._thaw(hold)
        self._reschedule(hold)

    def members(self, hold: Hold, *, fresh: bool = False) -> list[tree.Process]:
        """The living processes of its tree, the leader included; remembered, so that they stay known when they are orphaned."""
        if fresh or self._kinship is None:
            self._kinship = tree.Kinship(tree.snapshot(), self._root)
        found = self._kinship.members(hold.run, hold.leader, hold.known) + self._strays(hold)
        hold.known.update(process.identity for process in found)
        return found

    def next_due(self) -> int | None:
        """When `tick` has something to do; None: never, as things are."""
        while self._due and self._due[0][2].due != self._due[0][0]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def tick(self, now: int) -> None:
        """Do what is due: clocks that ran out, kills, another look at trees that are going."""
        self._kinship = None
        while (due := self.next_due()) is not None and due <= now:
            hold = heapq.heappop(self._due)[2]
            hold.due = None
            if hold.ended or hold.kill_at is not None:
                self._pass(hold, now)
            else:
                late = hold.timeout_at is not None and hold.timeout_at <= now
                self.stop(hold.run, "timeout" if late else "deadline", now)
            self._reschedule(hold)
        self._kinship = None

    def _pass(self, hold: Hold, now: int) -> None:
        """One look at a tree that is to go: signal what is there, note when nothing is."""
        assert hold.kill_at is not None
        killing = now >= hold.kill_at
        if killing and not hold.ended and hold.is_child:
            tree.send_group(hold.leader.pid, signal.SIGKILL)
        left = self.members(hold)
        if hold.ended and not left:
            # A process that forked while we looked, and died before we came to it, hides its child from one look, not from a second.
            left = self.members(hold, fresh=True)
        if hold.ended and not left:
            self._on_gone(hold)
            self.drop(hold)
            return
        for process in left:
            self._press(hold, process.identity, killing)
        if killing and hold.ended and not hold.reported and now - hold.kill_at > UNKILLABLE_US:
            self._on_gone(hold)
        hold.pass_at = now + hold.pass_interval
        hold.pass_interval = min(hold.pass_interval * 2, SLOWEST_PASS_US)

    def _press(self, hold: Hold, who: tree.Identity, killing: bool) -> None:
        if killing:
            tree.send(who, signal.SIGKILL)
        elif who not in hold.signalled:
            hold.signalled.add(who)
            tree.send(who, hold.launch["stop_signal"])
            tree.send(who, signal.SIGCONT)

    def _ask(self, hold: Hold, number: int) -> None:
        self._signal_group(hold, number)
        if hold.paused:
            self._thaw(hold)
        else:
            self._signal_group(hold, signal.SIGCONT)

    def _thaw(self, hold: Hold) -> None:
        hold.paused = False
        self._signal_group(hold, signal.SIGCONT)
        for process in self.members(hold, fresh=True):
            tree.send(process.identity, signal.SIGCONT)

    def _signal_group(self, hold: Hold, number: int) -> None:
        if hold.is_child and not hold.ended:
            tree.send_group(hold.leader.pid, number)
            return
        for process in self.members(hold, fresh=True):
            if process.group == hold.leader.pid:
                tree.send(process.identity, number)

    def _strays(self, hold: Hold) -> list[tree.Process]:
        """Orphans without mark or session, started while this run lived and no other run that still lives: surely of this one."""
        if self._root is None or self._kinship is None or not hold.ended:
            return []
        others = [other.leader.start_ticks for other in self.holds.values() if not other.ended]
        earliest = min(others, default=None)
        leaders = [other.leader.pid for other in self.holds.values() if not other.ended]
        return [
            orphan
            for orphan in self._kinship.orphans_of_nobody(leaders)
            if orphan.start_ticks >= hold.leader.start_ticks and (earliest is None or orphan.start_ticks < earliest)
            if not self._is_of_another(orphan, hold)
        ]

    def _is_of_another(self, orphan: tree.Process, hold: Hold) -> bool:
        return (
            any(
                orphan.identity in other.known or orphan.session == other.leader.pid
                for other in self.holds.values()
                if other is not hold
            )
            or orphan.identity in hold.known
        )

    def _reschedule(self, hold: Hold) -> None:
        if hold.run not in self.holds:
            return
        if hold.ended:
            due: int | None = hold.pass_at
        elif hold.kill_at is not None:
            due = max(hold.kill_at, hold.pass_at)
        else:
            clocks = [clock for clock in (hold.timeout_at, hold.launch["deadline"]) if clock is not None]
            due = min(clocks, default=None)
        if due != hold.due:
            hold.due = due
            if due is not None:
                heapq.heappush(self._due, (due, next(self._order), hold))
