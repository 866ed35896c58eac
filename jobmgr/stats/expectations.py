"""What is expected of the jobs that a client looks at, without ever holding up the list that shows them.

All that runs, and the first of what waits, is looked at in one go at most once a second, whoever asks. A request waits a moment for it, not for a
long load of the history: until there is something to say it says nothing. What it gets may be `OLDEST_S` old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.errors import JobmgrError
from jobmgr.job import Status
from jobmgr.log import get_logger
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Eta
from jobmgr.stats.forecast import LEAST_UNUSUAL_S, Forecasts, Subject
from jobmgr.stats.outlook import Going, Waiting, begins, ends, tasks_by_job
from jobmgr.store.base import Claimed, Store
from jobmgr.store.records import Job, Queued

FRESH_S = 1.0
OLDEST_S = 5.0
PATIENCE_S = 0.1
"""A request waits so long for a new look, and only if that has just begun."""
MOST_RUNS = 2000
MOST_QUEUE = 100
"""Of so many tasks at the head of the queue it is said when they begin."""
PAGE = 500

T = TypeVar("T")
_log = get_logger()


class RunOnColumns(Protocol):
    """Runs a function on the columns as of now, in their thread."""

    def __call__(self, function: Callable[[Columns], T], /) -> Awaitable[T]:
        """What the function returns."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at one instant, by job."""

    ends: Mapping[int, Eta] = field(default_factory=dict)
    begins: Mapping[int, Eta] = field(default_factory=dict)
    at: float = float("-inf")

    def of(self, job: Job) -> Eta | None:
        expected = {Status.RUNNING: self.ends, Status.PENDING: self.begins}.get(job.status)
        return None if expected is None else expected.get(job.id)


class Expectations:
    """Looks at what a store has running and waiting. Use on one event loop.

    `slots`: of this node. `unusual_s`: what has not run so long is never called unusually long.
    """

    def __init__(self, store: Store, run: RunOnColumns, *, slots: int, unusual_s: float = LEAST_UNUSUAL_S) -> None:
        self._store = store
        self._run = run
        self._slots = slots
        self._unusual_s = unusual_s
        self._look = _Look()
        self._looking: asyncio.Task[None] | None = None
        self._began = 0.0
        self._forecasts: Forecasts | None = None

    async def etas(self, jobs: Sequence[Job]) -> dict[int, Eta]:
        """By job: when those of them that run will end, and those that wait will begin; without those of which nothing is known."""
        asked = [job for job in jobs if job.status in (Status.RUNNING, Status.PENDING)]
        if not asked:
            return {}
        if time.monotonic() - self._look.at > FRESH_S:
            await self._look_again()
        if time.monotonic() - self._look.at > OLDEST_S:
            return {}
        return {job.id: eta for job in asked if (eta := self._look.of(job)) is not None}

    async def usual_us(self, subjects: Sequence[Subject]) -> list[int | None]:
        """Of each, beyond which duration it is unusually long; None: too few have ended to say. Waits for the history."""
        return await self._run(lambda columns: [self._forecasts_of(columns).usual_us(subject) for subject in subjects])

    def forget(self) -> None:
        """Let go of the columns, when others take their place. Call it in their thread."""
        self._forecasts = None

    async def close(self) -> None:
        """Let go. Safe to repeat."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_again(self) -> None:
        """Begin a new look unless one is under way, and wait a moment for it."""
        now = time.monotonic()
        if self._looking is None:
            self._began = now
            self._looking = asyncio.create_task(self._look_around(), name="expectations")
        if (patience := self._began + PATIENCE_S - now) > 0:
            await asyncio.wait({self._looking}, timeout=patience)

    async def _look_around(self) -> None:
        try:
            runs = await self._open_runs()
            queue = await self._store.queue(MOST_QUEUE)
            self._look = await self._run(lambda columns: self._seen(columns, runs, queue))
        except JobmgrError as error:  # Somebody leaves, or the database is busy: there is another second.
            _log.info("no expectations", reason=str(error))
        except Exception:  # noqa: BLE001 - a list of jobs must not fail, nor this be forgotten, because a forecast cannot be made
            _log.exception("expectations cannot be computed")
            self._look = _Look(at=time.monotonic())
        finally:
            self._looking = None

    async def _open_runs(self) -> list[Claimed]:
        runs: list[Claimed] = []
        while len(runs) < MOST_RUNS and (
            page := await self._store.open_runs(after=runs[-1].task if runs else -1, limit=PAGE)
        ):
            runs += page
        return runs

    def _seen(self, columns: Columns, runs: Sequence[Claimed], queue: Sequence[Queued]) -> _Look:
        forecasts, now = self._forecasts_of(columns), now_us()
        going = [Going(run.job, subject_of(run), began_at(run)) for run in runs if run.status is Status.RUNNING]
        waiting = [Waiting(task.job, Subject(task.name, None, task.args, task.timeout)) for task in queue]
        return _Look(
            ends(forecasts, going, now=now, waiting=tasks_by_job(waiting)),
            begins(forecasts, going, waiting, slots=self._slots, now=now),
            time.monotonic(),
        )

    def _forecasts_of(self, columns: Columns) -> Forecasts:
        if self._forecasts is None or self._forecasts.columns is not columns:
            self._forecasts = Forecasts(columns, unusual_s=self._unusual_s)
        return self._forecasts


def subject_of(run: Claimed) -> Subject:
    """What is known of a running attempt."""
    spec = run.spec
    limits = [] if spec.timeout is None else [spec.timeout]
    if spec.deadline is not None:  # Counted from the submission.
        limits.append(spec.deadline - max(began_at(run) - run.submitted_at, 0) / MICROSECONDS)
    return Subject(spec.name, None, spec.arguments(run.number, run.args), min(limits, default=None))


def began_at(run: Claimed) -> int:
    """When its process began; until that is known, when it was asked for."""
    return run.claimed_at if run.started_at is None else run.started_at
