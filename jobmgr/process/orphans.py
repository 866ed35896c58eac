"""Runs whose keeper is dead, held by the server itself: waited for, followed, stopped, as far as that can still be done.

A dead keeper leaves its journal. What ended is read there. What runs on is ours to reap where it became our child (the server is a child
subreaper, so the jobs of its own keeper do): then its true end is seen, journaled in the dead keeper's place, and reported. What became
somebody else's child is followed by pid, start time and mark until it is gone, and then it has vanished: nobody can know its code.

Where the keeper died between two lines, nothing is made up: a run that began without a pid on record is looked for by its mark; a child
that has not called exec yet is looked at again; a zombie has no mark any more and is only taken for the run when nothing else can be.
Waits for each child by its pid, never for any child. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobmgr import clock
from jobmgr.process import custody, ending, journal, kernel, output_cap, search, tree, wire
from jobmgr.process.launcher import Begun, Found, Held, Report, Unbegun

assert sys.platform == "linux"

LOOK_S = 1.0
_SEARCH_AGAIN_S = 0.02

Record = dict[str, Any]


@dataclass(slots=True)
class _Estate:
    """What one dead keeper left: its directory, locked by us, until the ends of all its runs are committed."""

    directory: Path
    lock: int
    journal: journal.Journal
    boot: str
    runs: set[str] = field(default_factory=set)


class Orphans:
    """All runs of dead keepers that are not committed yet."""

    def __init__(self, on_reports: Callable[[Sequence[Report]], None]) -> None:
        self._on_reports = on_reports
        self._custody = custody.Custody(root=None, on_request=self._note_request, on_gone=self._settled)
        self._estates: dict[str, _Estate] = {}
        self._records: dict[str, Record] = {}
        self._watched: dict[str, int] = {}
        """Open pidfds of leaders that are waited for or followed."""
        self._programs: dict[str, str] = {}
        self.keepers: set[int] = set()
        """Pids of the keepers that this server started and that live."""
        self._timer: asyncio.TimerHandle | None = None
        self._adopted: set[tree.Identity] = set()
        """Children that jobs left to us, seen alive."""
        self._sessions: set[int] = set()
        """Of the jobs that became our children."""
        self._has_children = False
        self._closed = False

    def __contains__(self, run: str) -> bool:
        return run in self._estates

    def adopt(
        self, directory: Path, lock: int, *, ours: set[str] | None = None, programs: Mapping[str, str] | None = None
    ) -> dict[str, Found]:
        """Take up what a dead keeper left; `lock` is its lock, now ours.

        `ours`: the runs not committed yet, None when that is not known; `programs`: what they execute, where that is known.
        """
        contents = journal.read(str(directory))
        self._bury_keeper(contents.header)
        boot = contents.header.boot if contents.header else ""
        estate = _Estate(directory, lock, journal.Journal.reopen(str(directory)), boot)
        self._programs.update(programs or {})
        self._has_children = self._has_children or bool(programs)
        found: dict[str, Found] = {}
        for run, record in contents.runs.items():
            if ours is not None and run not in ours:
                estate.journal.forget(run)
                continue
            estate.runs.add(run)
            self._estates[run], self._records[run] = estate, record
            found[run] = self._take_up(record, same_boot=boot == clock.boot_id())
        self._release_if_done(estate)
        for run, answer in found.items():
            if isinstance(answer, Unbegun):  # Need not be kept: what nobody knows of never began.
                self.ack(run)
        self._arm()
        return found

    def found(self) -> dict[str, Found]:
        """Everything held here, as recovery's answer."""
        return {run: self._describe(record) for run, record in self._records.items()}

    def directories(self) -> set[Path]:
        """Of the dead keepers whose runs are held here."""
        return {estate.directory for estate in self._estates.values()}

    def held(self) -> set[str]:
        """Runs of which something is still alive, or being looked for."""
        return set(self._custody.holds)

    def stop(self, run: str, because: str, grace: int | None, number: int | None) -> None:
        """As `Custody.stop`."""
        self._custody.stop(run, because, kernel.boot_us(), grace=grace, number=number)
        self._arm()

    def signal(self, run: str, number: int) -> None:
        """As `Custody.signal`."""
        self._custody.signal(run, number)

    def pause(self, run: str, on: bool) -> None:
        """Freeze, or let go on."""
        (self._custody.pause if on else self._custody.resume)(run, kernel.boot_us())
        self._arm()

    def ack(self, run: str) -> None:
        """Its end is committed; the last one takes the dead keeper's directory with it."""
        estate = self._estates.pop(run)
        self._records.pop(run, None)
        self._programs.pop(run, None)
        estate.runs.discard(run)
        estate.journal.forget(run)
        self._release_if_done(estate)

    def close(self) -> None:
        """Let go of everything; the next server takes it up again."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._watched.values():
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
        self._watched.clear()
        for hold in list(self._custody.holds.values()):
            self._custody.drop(hold)
        for estate in {id(estate): estate for estate in self._estates.values()}.values():
            estate.journal.sync()
            estate.journal.close()
            os.close(estate.lock)
        self._estates.clear()

    # --- taking up

    def _take_up(self, record: Record, *, same_boot: bool) -> Found:
        if "launch" not in record or (
            "end" in record and "pid" not in record
        ):  # Its first line was damaged: all we know is that something was there.
            return wire.vanished(record)
        if "end" in record:
            self._finish(record, same_boot=same_boot)
            return wire.found(record)
        if "failed" in record or "unbegun" in record:
            return wire.found(record)
        if not same_boot:
            record["vanished"] = True
            return wire.vanished(record)
        return self._find_leader(record)

    def _finish(self, record: Record, *, same_boot: bool) -> None:
        """It ended on record; the keeper may have died before it reaped the leader or stopped the rest of the tree."""
        if not same_boot:
            return
        leader = tree.Identity(record["pid"], record["ticks"])
        if "usage" not in record and search.is_own_zombie(leader):
            record["usage"] = ending.usage(os.wait4(leader.pid, 0)[2])
        hold = custody.Hold(record, leader)
        hold.ended = hold.reported = True
        self._custody.add(hold)
        requested = record["end"]["because"] != ""
        if (requested or hold.launch["leftovers"] == "stop") and self._custody.members(hold, fresh=True):
            self._custody.clean_up(hold, kernel.boot_us())
        else:
            self._custody.drop(hold)

    def _find_leader(self, record: Record) -> Found:
        if "pid" in record:
            leader = tree.Identity(record["pid"], record["ticks"])
            return self._hold(record, leader) if search.is_ours(leader, record["run"]) else self._lost(record)
        verdict = search.look(record["run"], record["boot"], self._programs.get(record["run"]), self._known_pids())
        if verdict is search.LATER:
            asyncio.get_running_loop().call_later(_SEARCH_AGAIN_S, self._search_again, record)
            return wire.held(record)
        if verdict is search.NEVER:
            record["unbegun"] = {"error": "The keeper died before it could start it."}
            return wire.found(record)
        if verdict is search.UNKNOWN:
            return self._lost(record)
        assert isinstance(verdict, tree.Identity)
        record["pid"], record["ticks"] = verdict
        self._estates[record["run"]].journal.append(record["run"], {"pid": verdict.pid, "ticks": verdict.start_ticks})
        return self._hold(record, verdict)

    def _search_again(self, record: Record) -> None:
        if self._closed or record["run"] not in self._estates:
            return
        found = self._find_leader(record)
        if isinstance(found, Held):
            if found.pid is not None:
                self._on_reports([Begun(found.run, found.pid, record["ticks"], record["at"])])
        else:
            self._on_reports([found])
            if isinstance(found, Unbegun):
                self.ack(found.run)
        self._arm()

    def _known_pids(self) -> set[int]:
        return self.keepers | {record["pid"] for record in self._records.values() if "pid" in record}

    def _hold(self, record: Record, leader: tree.Identity) -> Held:
        process = tree.find(leader.pid)
        is_child = process is not None and process.parent == os.getpid()
        held = record["launch"]
        hold = custody.Hold(
            record,
            leader,
            is_child=is_child,
            outputs=output_cap.open_files(held["output"], held["errors"]),
            report=output_cap.open_files(held["report"]),
        )
        if is_child:
            self._has_children = True
            self._sessions.add(leader.pid)
        self._custody.add(hold)
        if "because" in record:  # It was being stopped: go on with that.
            reason = record.pop("because")
            self._custody.stop(hold.run, reason, kernel.boot_us())
        self._watch(hold)
        return wire.held(record, followed=True)

    def _lost(self, record: Record) -> Found:
        """The leader is gone unseen; others of its tree may still be there."""
        nobody = tree.Identity(0, 0)  # What has its pid now is not it: only the mark tells who belongs to it.
        hold = custody.Hold(record, nobody, is_child=False)
        hold.ended = hold.reported = True
        self._custody.add(hold)
        if hold.launch["leftovers"] == "stop" and self._custody.members(hold, fresh=True):
            self._custody.clean_up(hold, kernel.boot_us())
        else:
            self._custody.drop(hold)
        record["vanished"] = True
        return wire.vanished(record)

    def _describe(self, record: Record) -> Found:
        if record["run"] in self._watched:
            return wire.held(record, followed=True)
        if "vanished" not in record and record.keys() & {"end", "failed", "unbegun"}:
            return wire.found(record)
        return wire.vanished(record) if "vanished" in record else wire.held(record)

    # --- following

    def _watch(self, hold: custody.Hold) -> None:
        """The descriptor is opened first and checked afterwards, so it never is of a process that got the pid meanwhile."""
        loop = asyncio.get_running_loop()
        if self._closed or hold.run not in self._custody.holds:
            return
        try:
            fd = os.pidfd_open(hold.leader.pid)
        except ProcessLookupError:
            loop.call_soon(self._leader_gone, hold)
            return
        except OSError:
            fd = -1
        if fd < 0 or not kernel.can_open(kernel.SPARE):  # What we cannot look at is not gone: later.
            if fd >= 0:
                os.close(fd)
            loop.call_later(LOOK_S, self._watch, hold)
            return
        process = tree.find(hold.leader.pid)
        if process is None or process.identity != hold.leader:
            os.close(fd)
            loop.call_soon(self._leader_gone, hold)
            return
        self._watched[hold.run] = fd
        loop.add_reader(fd, self._leader_gone, hold)

    def _leader_gone(self, hold: custody.Hold) -> None:
        fd = self._watched.pop(hold.run, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
        if hold.run not in self._custody.holds:
            return
        self._custody.members(hold, fresh=True)  # Before it is reaped its session still tells who belongs to it.
        if hold.is_child:
            self._reap(hold)
        hold.ended = True
        left = len(self._custody.members(hold, fresh=True))
        hold.record["leftovers"] = left
        self._settle(hold, left)
        self._arm()

    def _reap(self, hold: custody.Hold) -> None:
        pid = hold.leader.pid
        try:
            seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if seen is None:
            return
        end = {**ending.end(seen, hold.record, hold.output_bytes()), "because": hold.because}
        hold.record["end"] = end
        estate = self._estates.get(hold.run)
        if estate is not None:
            estate.journal.append(hold.run, {"end": end})
        hold.record["usage"] = ending.usage(os.wait4(pid, 0)[2])
        if estate is not None:
            estate.journal.append(hold.run, {"usage": hold.record["usage"]}, last=True)

    def _settle(self, hold: custody.Hold, leftovers: int) -> None:
        requested = hold.kill_at is not None
        if not (leftovers and requested):
            self._settled(hold)
        if leftovers and (requested or hold.launch["leftovers"] == "stop"):
            self._custody.clean_up(hold, kernel.boot_us())
        else:
            self._custody.drop(hold)

    def _settled(self, hold: custody.Hold) -> None:
        if hold.reported:
            return
        hold.reported = True
        report = wire.outcome(hold.record) if "end" in hold.record else wire.vanished(hold.record)
        if "end" not in hold.record:
            hold.record["vanished"] = True
        if report is not None:
            self._on_reports([report])

    def _note_request(self, hold: custody.Hold) -> None:
        estate = self._estates.get(hold.run)
        if estate is not None:
            estate.journal.append(hold.run, {"because": hold.because})

    # --- time

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._custody.next_due()
        wait = None if due is None else max(due - kernel.boot_us(), 0) / wire.MICROSECONDS
        if self._custody.holds or self._has_children:
            wait = LOOK_S if wait is None else min(wait, LOOK_S)
        if wait is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(wait + 0.0005, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._custody.tick(kernel.boot_us())
        for hold in self._custody.holds.values():
            hold.enforce_cap()
        if self._has_children:
            self._reap_strangers()
        self._arm()

    def _reap_strangers(self) -> None:
        """Orphans of our orphans that ended: known by the mark they bore alive, or by their session. Other children are not our business."""
        leaders = {hold.leader.pid for hold in self._custody.holds.values() if not hold.ended}
        mine = {pid: process for pid in tree.children() if pid not in leaders and (process := tree.find(pid))}
        for process in mine.values():
            if process.alive:
                if process.identity not in self._adopted and tree.mark(process.pid):
                    self._adopted.add(process.identity)
            elif process.identity in self._adopted or process.session in self._sessions:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        self._adopted &= {process.identity for process in mine.values()}

    # --- the dead keeper

    def _bury_keeper(self, header: journal.Header | None) -> None:
        """Reap it if it was our child; only after that its children are surely ours."""
        keeper = tree.find(header.pid) if header and header.boot == clock.boot_id() else None
        if (
            keeper is not None
            and header is not None
            and keeper.start_ticks == header.ticks
            and keeper.parent == os.getpid()
        ):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(keeper.pid, 0)

    def _release_if_done(self, estate: _Estate) -> None:
        if not estate.runs:
            estate.journal.close()
            shutil.rmtree(estate.directory, ignore_errors=True)
            os.close(estate.lock)
