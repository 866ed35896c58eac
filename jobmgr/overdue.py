"""Tells once of each attempt that runs unusually long: an event, a line in the log, a note in the store. Nothing is ever ended for it.

What has run for less than `floor_s` is not looked at, so that short jobs cost nothing, not even a history that is read. Then it is asked what is
usual, and the attempt is looked at again when it reaches that. There is no polling: one timer, for the attempt that is due next.

In memory only: which runs were told of. After a restart they are asked for again, and the store says that they were told before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.errors import JobmgrError
from jobmgr.events import TASK_UPDATE, Event
from jobmgr.job import Status
from jobmgr.log import get_logger
from jobmgr.running import names
from jobmgr.stats.expectations import began_at, subject_of
from jobmgr.stats.forecast import LEAST_UNUSUAL_S, Subject
from jobmgr.store.base import Claimed, Overdue, Store

LEAST_REST_S = 1.0
"""Between two looks, however many attempts are due one after the other."""
AFTER_FAILURE_S = 60.0
PAGE = 500

log = get_logger()

Usual = Callable[[Sequence[Subject]], Awaitable[Sequence[int | None]]]
"""Of each, beyond which duration (microseconds) it is unusually long; None: nobody knows."""


class OverdueWatch:
    """Watches the attempts of this node from `start` to `stop`; both may be repeated."""

    def __init__(
        self, store: Store, usual: Usual, *, node: str, floor_s: float = LEAST_UNUSUAL_S, rest_s: float = LEAST_REST_S
    ) -> None:
        self._store = store
        self._usual = usual
        self._node = node
        self._floor_s = floor_s
        self._rest_s = rest_s
        self._told: set[str] = set()
        """Runs that still go on and need no further look."""
        self._began = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._subscribed = False

    def start(self) -> None:
        """Begin, in the background, with what runs already."""
        if self._task is None:
            if not self._subscribed:
                self._store.subscribe(self._hear)
                self._subscribed = True
            self._task = asyncio.get_running_loop().create_task(self._run(), name="overdue")

    async def stop(self) -> None:
        """End, and wait for it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _hear(self, events: Sequence[Event]) -> None:
        if not self._began.is_set() and any(
            event.kind == TASK_UPDATE and event.data.get("status") == Status.RUNNING for event in events
        ):
            self._began.set()

    async def _run(self) -> None:
        while True:
            self._began.clear()  # Before the look: what begins during it may not be seen by it.
            wait_s = await self._look_safely()
            await self._rest(wait_s)

    async def _rest(self, wait_s: float | None) -> None:
        """So long, but if something begins, only until that can be due. None: until something begins."""
        clock = asyncio.get_running_loop().time
        until = float("inf") if wait_s is None else clock() + max(wait_s, self._rest_s)
        try:
            async with asyncio.timeout_at(None if wait_s is None else until):
                await self._began.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(until, clock() + max(self._floor_s, self._rest_s)) - clock())

    async def _look_safely(self) -> float | None:
        try:
            return await self._look()
        except (JobmgrError, OSError) as error:
            log.warning("what runs unusually long cannot be told yet", reason=str(error))
        except Exception:  # A failing forecast is no reason to stop telling, let alone to stop the server.
            log.exception("what runs unusually long cannot be found")
        return AFTER_FAILURE_S

    async def _look(self) -> float | None:
        """Tell of what is overdue. Returns in how many seconds something may be; None: nothing runs that may."""
        runs = await self._open_runs()
        self._told &= {run.run for run in runs}
        waits = []
        old: list[tuple[Claimed, int]] = []
        for run in runs:
            if run.run not in self._told:
                elapsed = now_us() - began_at(run)
                left = self._floor_s - elapsed / MICROSECONDS
                waits += [left] if left > 0 else []
                old += [] if left > 0 else [(run, elapsed)]
        usual = await self._usual([subject_of(run) for run, _ in old]) if old else []
        for (run, elapsed), usual_us in zip(old, usual, strict=True):
            if usual_us is not None and elapsed > usual_us:
                await self._tell(run, elapsed, usual_us)
            else:  # Where nobody knows yet, somebody may when it has run twice as long.
                waits.append(((usual_us or 2 * elapsed) - elapsed) / MICROSECONDS)
        return min(waits, default=None)

    async def _open_runs(self) -> list[Claimed]:
        runs: list[Claimed] = []
        after = -1
        while page := await self._store.open_runs(after=after, limit=PAGE):
            after = page[-1].task
            runs += (run for run in page if run.owner.node == self._node and run.status is Status.RUNNING)
        return runs

    async def _tell(self, run: Claimed, elapsed: int, usual_us: int) -> None:
        [told] = await self._store.apply([Overdue(run.task, run.run, now_us(), usual_us)])
        self._told.add(run.run)
        if told:  # Otherwise it has ended, or an earlier server told of it.
            seconds, usual = (round(us / MICROSECONDS, 1) for us in (elapsed, usual_us))
            log.warning("attempt runs unusually long", **names(run), seconds=seconds, usualSeconds=usual)
