"""The keeper: the small process that starts, holds, signals and reaps job processes, and outlives its server.

One thread, no policy: the server decides, the keeper does. Started as `python -I -S`, in a session of its own, with a directory of its own that
holds `lock` (held for life, freed by the kernel: only a free lock means a dead keeper), `socket`, `stderr` and the journal. The server makes
lock and socket and hands them over, so there is no moment without them.

The protocol, version 1: JSON lines. `hello`, `list`, `signal`, `stop`, `pause`, `ack` are frozen for all time; times are microseconds.

    {"op":"hello","version":1,"controller":true}    → {"op":"hello","version":1,"keeper":id,"pid":n}; the controller gets the reports;
                                                      a new one replaces the old one, whose launches not yet begun are forgotten
    {"op":"list"}                                   → {"op":"list","runs":[record…]}: all begun and not acknowledged
    {"op":"start","env":{…},"launches":[launch…]}   (controller) → reports
    {"op":"stop","run":r,"because":"stop","grace":us|null,"signal":n|null}
    {"op":"signal","run":r,"signal":n}
    {"op":"pause","run":r,"on":true|false}
    {"op":"ack","runs":[r…]}                        their ends are committed: forget them
    ← {"op":"reports","runs":[record…]}             a record with `pid` only: begun; with `end`, `failed` or `unbegun`: that

A launch is {"run","argv","cwd","env","stdin","launch":{"report","output","errors","stop_signal","grace","timeout","deadline","leftovers",
"cap"}}; a record is what `journal.py` merges. The socket never blocks the keeper: whoever leaves 1 MiB unread is dropped, connects again and lists.
It leaves when its server is gone (end of file on the leash), nothing runs, and all ends are acknowledged or nobody is there to do so.

Imports the standard library and the stdlib-only modules beside it. Assumes Linux 5.3 or newer with /proc.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from collections import deque
from typing import Any

from jobmgr.process import custody, ending, journal, kernel, outbox, peers, spawn, tree

assert sys.platform == "linux"

NAME = b"jobmgr-keeper"
LOCK_FD, SOCKET_FD, LEASH_FD = 3, 4, 5
REVOKED = "revoked"
"""A file that a later server makes here before it asks what runs: whatever begins after that sees it and does not start."""

SPAWNS_PER_TURN = 2
"""Few, so that ends are seen soon: the batch of reports that leaves in one write is made by what happens meanwhile."""
LOOK_US = 500_000
"""Between two looks at output sizes and at what is not on disk yet."""
BUSY_RETRY_US = 50_000
BUSY_LIMIT_US = 1_000_000
"""A program file just written may be open for writing in some other fork for a moment: tried so long."""
SHUTDOWN_BEFORE_US = 2_000_000
SHUTDOWN_AFTER_US = 120_000_000
"""Deaths by TERM or KILL so long before and after our own SIGTERM are the machine's going down."""


class Keeper:
    """Everything the keeper knows; `run` is its life."""

    def __init__(self, directory: str, keeper_id: str, *, crash_at: str = "") -> None:
        me = tree.find(os.getpid())
        assert me is not None
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        self._directory = directory
        self._revoked = f"{directory}/{REVOKED}"
        self._journal = journal.Journal(directory, journal.Header(keeper_id, boot, me.pid, me.start_ticks))
        self._custody = custody.Custody(root=me.pid, on_request=self._note_request, on_gone=self._tree_gone)
        self._records: dict[str, journal.Record] = {}
        self._leaders: dict[int, custody.Hold] = {}
        self._strangers: dict[int, str] = {}
        self._queue: deque[tuple[journal.Record, dict[str, str]]] = deque()
        self._busy: list[tuple[int, int, journal.Record, dict[str, str]]] = []
        self._outbox = outbox.Outbox()
        self._peers = peers.Peers(SOCKET_FD, self._command)
        self._hello = {"op": "hello", "version": 1, "keeper": keeper_id, "pid": me.pid}
        self._server_gone = False
        self._shutdown_at: int | None = None
        self._look_at = 0
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._crash_at, _, nth = crash_at.partition(":")
        self._crash_after = int(nth or 1)

    def run(self) -> None:
        """Until nothing runs and nobody needs us."""
        wake = self._watch_signals()
        poll = self._peers.poll
        poll.register(LEASH_FD, select.EPOLLIN)
        while not self._may_leave():
            for fd, _ in poll.poll(self._patience()):
                if fd == wake:
                    self._on_signals(os.read(wake, 65536))
                elif fd == LEASH_FD:
                    self._server_gone = True
                    poll.unregister(LEASH_FD)
                else:
                    self._peers.serve(fd)
            self._start_some()
            self._tick()
            self._send_reports()
        self._journal.sync()
        if not self._records:
            self._remove_directory()

    # --- the loop

    def _watch_signals(self) -> int:
        wake, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._peers.poll.register(wake, select.EPOLLIN)
        return wake

    def _patience(self) -> float:
        """Seconds until something is due; -1: only an event can bring work."""
        if self._queue:
            return 0
        dues = [entry[0] for entry in self._busy]
        if (due := self._custody.next_due()) is not None:
            dues.append(due)
        if self._outbox.due is not None:
            dues.append(self._outbox.due)
        if self._custody.holds or self._journal.needs_sync():
            dues.append(self._look_at)
        return max(min(dues) - kernel.boot_us(), 0) / 1_000_000 + 0.0005 if dues else -1

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers:
            self._machine_goes_down()
        if signal.SIGCHLD in numbers:
            self._reap()

    def _tick(self) -> None:
        now = kernel.boot_us()
        for entry in [entry for entry in self._busy if entry[0] <= now]:
            self._busy.remove(entry)
            self._spawn(entry[2], entry[3], give_up_at=entry[1])
            os.chdir("/")
        if (due := self._custody.next_due()) is not None and due <= now:
            self._custody.tick(now)
        if now >= self._look_at:
            self._look_at = now + LOOK_US
            self._journal.sync_old()
            for hold in self._custody.holds.values():
                hold.enforce_cap()

    def _may_leave(self) -> bool:
        if not self._server_gone or self._queue or self._busy or self._custody.holds:
            return False
        return not self._records or not self._peers.any()

    def _remove_directory(self) -> None:
        if os.fstat(2).st_size:
            return  # Something was said there; the next server may want to read it.
        for name in os.listdir(self._directory):
            os.unlink(f"{self._directory}/{name}")
        os.rmdir(self._directory)

    # --- commands

    def _command(self, peer: peers.Peer, command: dict[str, Any]) -> None:
        op = command.get("op")
        now = kernel.boot_us()
        if op == "start" and peer is self._peers.controller:
            env = command["env"]
            self._queue.extend((launch, env) for launch in command["launches"])
        elif op == "ack":
            self._forget(command["runs"])
        elif op == "stop":
            self._stop(command, now)
        elif op == "signal":
            self._custody.signal(command["run"], command["signal"])
        elif op == "pause":
            (self._custody.pause if command["on"] else self._custody.resume)(command["run"], now)
        elif op == "list":
            peer.send({"op": "list", "runs": [self._view(record) for record in self._records.values()]}, expected=True)
        elif op == "hello":
            if command.get("controller"):
                self._take_controller(peer)
            peer.send(self._hello)

    def _take_controller(self, peer: peers.Peer) -> None:
        """What the former controller asked and we have not begun shall not begin: the new one is about to be told what runs."""
        self._peers.control(peer)
        self._queue.clear()

    def _stop(self, command: dict[str, Any], now: int) -> None:
        run = command["run"]
        self._custody.stop(
            run, command.get("because") or "stop", now, grace=command.get("grace"), number=command.get("signal")
        )
        for entry in [entry for entry in self._queue if entry[0]["run"] == run]:
            self._queue.remove(entry)
            self._outbox.add({"run": run, "unbegun": {"error": "It was stopped before it began."}})
        for busy in [busy for busy in self._busy if busy[2]["run"] == run]:
            self._busy.remove(busy)
            self._not_begun(run, "It was stopped before it began.")

    def _forget(self, runs: list[str]) -> None:
        for run in runs:
            record = self._records.get(run)
            if record is not None and ("end" in record or "failed" in record):
                del self._records[run]
                self._journal.forget(run)

    def _view(self, record: journal.Record) -> journal.Record:
        """A record as others see it: an end counts when the tree that was to be stopped is gone."""
        hold = self._custody.holds.get(record["run"])
        if hold is None or hold.reported:
            return record
        return {name: value for name, value in record.items() if name not in ("end", "usage", "leftovers")}

    def _send_reports(self) -> None:
        records = self._outbox.take(kernel.boot_us())
        if records and self._peers.controller is not None:
            self._peers.controller.send({"op": "reports", "runs": records})
        self._peers.flush()

    # --- starting

    def _start_some(self) -> None:
        if not self._queue:
            return
        for _ in range(min(SPAWNS_PER_TURN, len(self._queue))):
            launch, environment = self._queue.popleft()
            try:
                self._begin(launch, environment)
            except OSError as error:
                self._outbox.add(
                    {"run": launch["run"], "unbegun": {"error": f"No room in the journal: {error.strerror}."}}
                )
        os.chdir("/")

    def _begin(self, launch: journal.Record, environment: dict[str, str]) -> None:
        now = kernel.boot_us()
        fields = {"at": time.time_ns() // 1000, "boot": now, "launch": launch["launch"]}
        if launch["run"] in self._records:
            return  # Asked twice: a run begins once.
        self._journal.begin(launch["run"], fields)
        self._records[launch["run"]] = {"run": launch["run"], **fields}
        self._reached("begun")
        if os.access(self._revoked, os.F_OK):
            self._not_begun(launch["run"], "Another server has taken over.")
            return
        self._spawn(launch, environment, give_up_at=now + BUSY_LIMIT_US)

    def _spawn(self, launch: journal.Record, environment: dict[str, str], *, give_up_at: int) -> None:
        run = launch["run"]
        try:
            started = spawn.start(launch, environment, self._null)
        except spawn.NotStarted as failure:
            now = kernel.boot_us()
            if failure.errno == errno.ETXTBSY and now < give_up_at:
                self._busy.append((now + BUSY_RETRY_US, give_up_at, launch, environment))
            elif failure.shortage:
                self._not_begun(run, failure.sentence)
            else:
                self._failed(run, failure)
            return
        self._reached("spawned")
        self._hold(run, started)

    def _hold(self, run: str, started: spawn.Started) -> None:
        process = tree.find(started.pid)
        assert process is not None  # Our unreaped child has its line in the table, even as a zombie.
        record = self._records[run]
        record["pid"], record["ticks"] = started.pid, process.start_ticks
        self._journal.append(run, {"pid": started.pid, "ticks": process.start_ticks})
        hold = custody.Hold(record, process.identity, outputs=started.outputs, report=(started.report,))
        self._leaders[started.pid] = hold
        self._strangers.pop(started.pid, None)
        self._custody.add(hold)
        begun = {"run": run, "at": record["at"], "pid": started.pid, "ticks": process.start_ticks}
        self._outbox.begun(begun, kernel.boot_us())

    def _failed(self, run: str, failure: spawn.NotStarted) -> None:
        outcome = {"failed": {"errno": failure.errno, "error": failure.sentence[:800]}}
        self._records[run].update(outcome)
        self._journal.append(run, outcome, last=True)
        self._outbox.add({"run": run, **outcome})

    def _not_begun(self, run: str, sentence: str) -> None:
        """Need not be kept: a run that is not known here never began."""
        outcome = {"unbegun": {"error": sentence[:800]}}
        self._journal.append(run, outcome, last=True)
        self._journal.forget(run)
        del self._records[run]
        self._outbox.add({"run": run, **outcome})

    # --- ending

    def _reap(self) -> None:
        ended: list[custody.Hold] = []
        strangers = False
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if seen is None:
                break
            hold = self._leaders.get(seen.si_pid)
            if hold is None:
                os.waitpid(seen.si_pid, 0)
                self._strangers.pop(seen.si_pid, None)
                strangers = True
                continue
            self._end(hold, seen)
            ended.append(hold)
        if ended:
            self._look_for_leftovers(ended)
        if strangers:
            self._custody.look_again(kernel.boot_us())

    def _end(self, hold: custody.Hold, seen: os.waitid_result) -> None:
        """In this order: its end is on record, then it is reaped, and only then it may be forgotten by the kernel."""
        end = ending.end(seen, hold.record, hold.output_bytes())
        end["because"] = hold.because or self._shutdown(end["signal"])
        hold.record["end"] = end
        self._journal.append(hold.run, {"end": end})
        self._reached("ended")
        _, _, used = os.wait4(seen.si_pid, 0)
        self._reached("reaped")
        del self._leaders[seen.si_pid]
        hold.record["usage"] = ending.usage(used)

    def _look_for_leftovers(self, ended: list[custody.Hold]) -> None:
        """What an ended run leaves became our child. Usually there is nothing, which one look at our children tells."""
        fresh = [pid for pid in tree.children() if pid not in self._leaders and pid not in self._strangers]
        self._strangers.update(dict.fromkeys(fresh, ""))
        for hold in ended:
            hold.ended = True
            left = self._custody.members(hold, fresh=True) if self._strangers else []
            for process in left:
                if process.pid in self._strangers:
                    self._strangers[process.pid] = hold.run
            self._settle(hold, len(left))

    def _settle(self, hold: custody.Hold, leftovers: int) -> None:
        record = hold.record
        record["leftovers"] = leftovers
        self._journal.append(hold.run, {"usage": record["usage"], "leftovers": leftovers}, last=True)
        self._reached("recorded")
        requested = hold.kill_at is not None
        if leftovers and (requested or hold.launch["leftovers"] == "stop"):
            if not requested:
                self._report_end(hold)
            self._custody.clean_up(hold, kernel.boot_us())
            return
        self._report_end(hold)
        self._custody.drop(hold)

    def _report_end(self, hold: custody.Hold) -> None:
        if not hold.reported:
            hold.reported = True
            self._outbox.add({name: value for name, value in hold.record.items() if name != "launch"})

    def _tree_gone(self, hold: custody.Hold) -> None:
        self._report_end(hold)

    def _note_request(self, hold: custody.Hold) -> None:
        self._journal.append(hold.run, {"because": hold.because})

    # --- the machine goes down

    def _shutdown(self, number: int | None) -> str:
        late = self._shutdown_at is not None and kernel.boot_us() - self._shutdown_at < SHUTDOWN_AFTER_US
        return "shutdown" if late and number in (signal.SIGTERM, signal.SIGKILL) else ""

    def _machine_goes_down(self) -> None:
        """What was just killed was killed by the same hand: correct it where its end is not committed yet."""
        self._shutdown_at = kernel.boot_us()
        for run, record in self._records.items():
            end = record.get("end")
            if end is None or end["because"] or end["signal"] not in (signal.SIGTERM, signal.SIGKILL):
                continue
            if self._shutdown_at - (record["boot"] + end["duration"]) <= SHUTDOWN_BEFORE_US:
                end["because"] = "shutdown"
                self._journal.append(run, {"end": end})
                self._outbox.add(self._view(record))

    def _reached(self, point: str) -> None:
        """Tests let the keeper die here, as kill -9 would, when the point is reached for the nth time."""
        if point == self._crash_at:
            self._crash_after -= 1
            if self._crash_after == 0:
                os.kill(os.getpid(), signal.SIGKILL)
