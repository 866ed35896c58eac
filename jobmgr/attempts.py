"""The attempts that run on this node: slots, claims, launches, and what becomes of them.

How it works: a free slot is reserved, a `Claim` commits `running` with a new run id, and only then is the launcher asked to begin it.
Reports come back in batches; the ends of a batch and the claim for the slots that they free are one transaction, so a busy server commits
once for many. Nothing waits for a commit before the next batch is handed in: the store's writer keeps the order.

Saved: everything in the store. In memory only: the handles of running attempts, reserved slots, timers.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from jobmgr import runner
from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.config import Settings
from jobmgr.job import Cause, Change, Status
from jobmgr.log import get_logger
from jobmgr.output import OutputFiles, OutputPaths
from jobmgr.process.launcher import Begun, Ended, Held, Launcher, OnReports, Report, SpawnFailed, Unbegun
from jobmgr.runner import Words
from jobmgr.running import Running, handle_of, log_end, names, progress_of, read_reports, read_words
from jobmgr.slots import Slots
from jobmgr.store.base import Begin, Claim, Claimed, Finish, MakeDue, Owner, Store, StoreChange, Unbegin

BEGIN_DELAY_S = 0.05
"""The process of a run is stored so much later: most short runs end before, and then need one transaction less."""
PROGRESS_INTERVAL_S = 1.0
"""Progress is stored at most this often a job; so reports are read that often, not whenever a job writes one."""

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
"""Lacks of the machine that may pass."""

log = get_logger()


class Attempts:
    """Begins attempts in this node's slots and commits how they end."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        outputs: OutputFiles,
        make_launcher: Callable[[OnReports], Launcher],
        owner: Owner,
        *,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._directory = os.getcwd()
        self._store = store
        self._outputs = outputs
        self.launcher = make_launcher(self._on_reports)
        self._owner = owner
        self._on_fatal = on_fatal
        self._running: dict[str, Running] = {}
        self._slots = Slots(settings.slots)
        self._settling: set[str] = set()
        """Runs out of `_running` whose end is not yet committed."""
        self._stops: dict[str, str] = {}
        """Runs to be stopped (and the want) whose claim is committed but not yet launched here."""
        self._begins: dict[str, tuple[float, Begin]] = {}
        """Processes to be stored, by run, and since when; the oldest first."""
        self._begins_due: asyncio.TimerHandle | None = None
        self._early: list[Report] | None = []
        """Reports that came before recovery was through; None afterwards."""
        self._due: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    # --- life --------------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to claim, with what waits already: recovery is through."""
        early, self._early = self._early or [], None
        self._slots.open = True
        self._on_reports(early)
        await self._on_due()
        self._spawn(self._watch_reports(), "reports")

    def quiesce(self) -> None:
        """Begin nothing more; what runs goes on."""
        self._slots.open = False

    async def wait_idle(self, timeout_s: float | None) -> bool:
        """Wait until nothing runs here; False when the time is up first."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Let go of what still runs and commit what is known. Safe to repeat."""
        self.quiesce()
        if self._due:
            self._due.cancel()
        await self.launcher.close()
        self._store_begins(everything=True)
        await asyncio.gather(*(task for task in self._tasks if task.get_name() != "reports"), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def running(self) -> tuple[Claimed, ...]:
        """What holds a slot here."""
        return tuple(handle.claimed for handle in self._running.values())

    def take_up(self, claimed: Claimed, held: Held) -> None:
        """Hold an attempt that an earlier server began; a stop that was asked then is asked again."""
        paths = self._outputs.paths(claimed.job, claimed.number, claimed.attempt)
        self._hold(replace(claimed, owner=self._owner), paths)
        if held.pid is not None and held.start_ticks is not None and held.started_at is not None:
            # No news where the earlier server stored it; it may have died before.
            self._note_begun(Begun(held.run, held.pid, held.start_ticks, held.started_at))
        if held.silent or held.followed:
            reason = "its keeper does not answer" if held.silent else "its keeper is dead: followed to its end"
            log.warning("attempt cannot be held as usual", **names(claimed), reason=reason)
        if claimed.want is not None:
            self.stop(claimed.run, claimed.want)

    def stop(self, run: str, want: str) -> None:
        """Stop a run; the want is committed already."""
        handle = self._running.get(run)
        if handle is None:
            self._stops[run] = want
            return
        handle.claimed = replace(handle.claimed, want=want)
        self.launcher.stop(run, "stop")

    # --- claiming and launching --------------------------------------------------------------------------------------------------

    async def commit_and_claim(
        self, *changes: StoreChange, wanted: int | None = None, first: bool = False
    ) -> tuple[Any, list[Claimed]]:
        """Commit changes that make tasks ready, with a claim in the same transaction for the free slots.

        `wanted`: how many tasks they make ready, where that is known. Returns the outcome of the first change, and what was
        claimed and launched.
        """
        outcomes, claims = await self._commit(changes, arriving=True, wanted=wanted, first=first)
        return outcomes[0], claims

    async def _commit(
        self, changes: Sequence[StoreChange], *, arriving: bool = False, wanted: int | None = None, first: bool = True
    ) -> tuple[list[Any], list[Claimed]]:
        busy = len(self._running) + self._slots.reserved
        offer = self._slots.offer(len(self._running), self._now(), arriving=arriving, wanted=wanted)
        if not changes and not offer.limit:
            return [], []
        claims: list[Claimed] | None = None
        try:
            claim = [Claim(offer.limit, self._owner, now_us(), busy)] if offer.limit else []
            outcomes = await self._store.apply([*changes, *claim], first=first)
            claims = list(outcomes.pop()) if claim else []
        finally:
            self._slots.settle(offer, None if claims is None else len(claims))
            if claims is None:
                self._fill_soon()  # What was reserved for it may serve others.
        if claims and not self._slots.open:
            # The server began to leave while this was committed: what nobody saw begin goes back to the queue.
            await self._store.apply([runner.unbegin(claimed) for claimed in claims], first=True)
            claims = []
        self._launch(claims)
        self._fill_soon()
        self._note_idle()
        return outcomes, claims

    def _fill_soon(self) -> None:
        if self._slots.wants_claim(len(self._running), self._now()):
            self._spawn(self._fill(), "fill")

    async def _fill(self) -> None:
        await self._commit([])

    def _hold_claims(self) -> None:
        """The machine cannot start a process just now. Other tasks would meet the same lack, so all wait, and all are woken."""
        wait = self._slots.hold(self._now())
        asyncio.get_running_loop().call_later(wait, self._fill_soon)

    def _note_idle(self) -> None:
        if not (self._running or self._settling or self._slots.reserved):
            self._idle.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _launch(self, claims: Iterable[Claimed]) -> None:
        launches = []
        for claimed in claims:
            try:
                paths = self._outputs.prepare(claimed.job, claimed.number, claimed.attempt)
            except OSError as error:
                self._hold(claimed, self._outputs.paths(claimed.job, claimed.number, claimed.attempt))
                self._on_reports([_without_room(claimed.run, error)])
                continue
            self._hold(claimed, paths)
            cap, directory = self._settings.output_cap_bytes, self._directory
            launches.append(runner.launch(claimed, paths, output_cap_bytes=cap, directory=directory))
        if launches:
            self.launcher.launch(launches)
        for claimed in claims:
            if (want := self._stops.pop(claimed.run, None)) is not None:
                self.stop(claimed.run, want)

    def _hold(self, claimed: Claimed, paths: OutputPaths) -> None:
        self._running[claimed.run] = handle_of(claimed, paths)
        self._idle.clear()

    # --- reports -----------------------------------------------------------------------------------------------------------------

    def _on_reports(self, reports: Sequence[Report]) -> None:
        """What the launcher saw; called on the event loop."""
        if self._early is not None:
            self._early.extend(reports)
            return
        ended = []
        for report in reports:
            if isinstance(report, Begun):
                self._note_begun(report)
            else:
                ended.append(report)
        if ended:
            self._spawn(self._settle(ended), "settle")

    def _note_begun(self, begun: Begun) -> None:
        """Note the process of a run. It is stored a little later, and not at all if the run ends before: its end carries it."""
        handle = self._running.get(begun.run)
        if handle is None or handle.claimed.pid == begun.pid:
            return
        self._slots.relent()
        claimed = replace(handle.claimed, pid=begun.pid, start_ticks=begun.start_ticks, started_at=begun.started_at)
        handle.claimed = claimed
        log.info("attempt started", **names(claimed), pid=begun.pid)
        begin = Begin(claimed.task, begun.run, begun.pid, begun.start_ticks, begun.started_at)
        self._begins[begun.run] = (self._now(), begin)
        self._wait_for_begins()

    def _wait_for_begins(self) -> None:
        if self._begins and self._begins_due is None:
            oldest = next(iter(self._begins.values()))[0]
            self._begins_due = asyncio.get_running_loop().call_at(oldest + BEGIN_DELAY_S, self._store_begins)

    def _store_begins(self, *, everything: bool = False) -> None:
        self._begins_due = None
        until = self._now() if everything else self._now() - BEGIN_DELAY_S
        due = {run: begin for run, (since, begin) in self._begins.items() if since <= until}
        for run in due:
            del self._begins[run]
        if due:
            self._spawn(self._store_changes(list(due.values())), "begins")
        self._wait_for_begins()

    async def _store_changes(self, changes: Sequence[StoreChange]) -> None:
        await self._store.apply(changes, first=True)

    async def _settle(self, ended: Sequence[Report]) -> None:
        """Commit a batch of ends and claim for the slots that they free."""
        handles = {report.run: handle for report in ended if (handle := self._running.pop(report.run, None))}
        settled = [report for report in ended if report.run in handles]
        # A report that came twice must not be acknowledged before the first one of its kind is committed.
        late = [report for report in ended if report.run not in handles and report.run not in self._settling]
        self._settling |= handles.keys()
        try:
            if settled:
                await self._settle_batch(settled, handles)
            await self.settle_late(late)
        finally:
            self._settling -= handles.keys()
        self.launcher.ack([report.run for report in (*settled, *late)])
        self._note_idle()

    async def _settle_batch(self, settled: Sequence[Report], handles: dict[str, Running]) -> None:
        for run in handles:
            self._begins.pop(run, None)
        if any(isinstance(report, Unbegun) and handles[report.run].claimed.want is None for report in settled):
            self._hold_claims()
        words = await self._words(settled, handles)
        finishes = [self._change(report, handles[report.run].claimed, words[report.run]) for report in settled]
        requeued = any(isinstance(finish, Unbegin) for finish in finishes)
        outcomes, _ = await self._commit(finishes, arriving=requeued)
        for report, finish, done in zip(settled, finishes, outcomes, strict=True):
            await self._committed(handles[report.run].claimed, report, finish, words[report.run], done=done)

    async def settle_late(self, late: Sequence[Report]) -> None:
        """Ends of runs that nobody waits for any more: a task that was called lost gets its true end after all."""
        for report in late:
            if not isinstance(report, Ended):
                continue
            claimed = await self._store.run(report.run)
            if claimed is None or claimed.status is not Status.LOST:
                continue
            paths = self._outputs.paths(claimed.job, claimed.number, claimed.attempt)
            handle = handle_of(claimed, paths)
            words = (await asyncio.to_thread(read_words, self._outputs, [(handle, report)]))[report.run]
            change = runner.finish_late(claimed, report, words)
            [done] = await self._store.apply([change], first=True)
            log_end(claimed, change, words, done=done)

    async def _words(self, settled: Sequence[Report], handles: dict[str, Running]) -> dict[str, Words]:
        """What each ended attempt left to read. Files are read off the event loop; most trivial jobs leave none."""
        words = {report.run: Words() for report in settled}
        to_read = [
            (handles[report.run], report)
            for report in settled
            if isinstance(report, Ended) and handles[report.run].has_words(report)
        ]
        if to_read:
            words |= await asyncio.to_thread(read_words, self._outputs, to_read)
        return words

    def _change(self, report: Report, claimed: Claimed, words: Words) -> Finish | Unbegin:
        match report:
            case Ended():
                return runner.finish(claimed, report, words)
            case SpawnFailed():
                return runner.refuse(claimed, report)
            case Unbegun():
                log.info("attempt did not begin", **names(claimed), reason=report.error)
                return runner.unbegin(claimed)
            case _:
                return runner.lose(claimed, Cause.VANISHED)

    async def _committed(
        self, claimed: Claimed, report: Report, change: Finish | Unbegin, words: Words, *, done: bool
    ) -> None:
        """After the commit of one end: log it, or decide again where the race was lost to a stop."""
        self._stops.pop(report.run, None)
        if not done and isinstance(change, Finish) and change.change is Change.RETRY:
            claimed = replace(claimed, want="stop")
            change = self._change(report, claimed, words)
            [done] = await self._store.apply([change], first=True)
        if change.due_at is not None:
            self._schedule(change.due_at)
        if isinstance(change, Finish):
            log_end(claimed, change, words, done=done)

    # --- time --------------------------------------------------------------------------------------------------------------------

    def _schedule(self, due_at: int) -> None:
        """Wake up at this instant (wall time, as stored), or earlier if something else is due before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0, due_at - now_us()) / MICROSECONDS
        if self._due is None or when < self._due.when():
            if self._due:
                self._due.cancel()
            self._due = loop.call_at(when, lambda: self._spawn(self._on_due(), "due"))

    async def _on_due(self) -> None:
        self._due = None
        if not self._slots.open:
            return
        await self.commit_and_claim(MakeDue(now_us()), first=True)
        if (due_at := await self._store.next_due()) is not None:
            self._schedule(due_at)

    async def _watch_reports(self) -> None:
        """Store what running jobs report of their progress, coalesced."""
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S)
            handles = [handle for handle in self._running.values() if handle.claimed.pid is not None]
            if not handles:
                continue
            changed = await asyncio.to_thread(read_reports, handles)
            if changed:
                await self._store.apply([progress_of(handle) for handle in changed], first=True)

    # --- tasks of our own --------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Going on would mean reports that are neither committed nor known: the journals are the truth, a new start reads them.
            log.critical("a duty failed", task=task.get_name(), exc_info=error)
            self._on_fatal(error)


def _without_room(run: str, error: OSError) -> Report:
    """What is wrong for this job only ends it; what any job would meet just now lets it wait."""
    sentence = f"No place for its output: {error.strerror} ({error.filename})."
    if error.errno in PASSING:
        return Unbegun(run, sentence)
    return SpawnFailed(run, error.errno or 0, sentence)
