"""StatsAnalyzer: reads the history through the store's own verbs and answers `GET /stats`.

First form: the basic patterns, counted afresh, page by page and off the event loop, when an outcome has changed since the last answer. Not for
every request of a busy server though: an answer stands for ten times as long as its count took, but never longer than `MAX_AGE_S`. So with
a short history it is always fresh, and with a long one it may be so many seconds old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from jobmgr.stats.basic import BasicCounts, Outcome, Summary
from jobmgr.store.base import Store
from jobmgr.store.history import FinishedTask

PAGE = 5000
MAX_AGE_S = 2.0
COUNTS_STAND = 10
"""An answer stands so many times as long as its count took: counting takes at most about a tenth of the time, but for `MAX_AGE_S`."""


@dataclass(frozen=True, slots=True)
class _Answer:
    version: int
    until: float
    """It stands until this moment whatever changes, and afterwards until something has changed."""
    summary: Summary


class StatsAnalyzer:
    """What goes with failure in this store's history. `clock`: seconds that only go forward."""

    def __init__(self, store: Store, *, timezone: tzinfo = UTC, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._timezone = timezone
        self._clock = clock
        self._answer: _Answer | None = None
        self._lock = asyncio.Lock()

    async def summary(self) -> Summary:
        """The body of `GET /stats`, up to `MAX_AGE_S` old. Callers that come while it is counted wait for the same count."""
        async with self._lock:
            if self._answer is None or (self._clock() >= self._answer.until and await self._has_changed(self._answer)):
                self._answer = await self._count()
            return self._answer.summary

    async def _has_changed(self, answer: _Answer) -> bool:
        return await self._store.outcomes_version() != answer.version

    async def _count(self) -> _Answer:
        began = self._clock()
        version = await self._store.outcomes_version()  # Before the count: what changes during it is counted again.
        counts = BasicCounts(self._timezone)
        after = -1
        while page := await self._store.finished_tasks(after=after, limit=PAGE):
            after = page[-1].task
            await asyncio.to_thread(_add, counts, page)
        summary = counts.summary(await self._store.count_jobs())
        ended = self._clock()
        return _Answer(version, ended + min(MAX_AGE_S, COUNTS_STAND * (ended - began)), summary)


def _add(counts: BasicCounts, page: Sequence[FinishedTask]) -> None:
    for task in page:
        counts.add(
            Outcome(
                job_name=task.job_name,
                argument_count=task.argument_count,
                duration_ms=(task.duration_us or 0) / 1000,
                retries=int(task.retried),
                success=task.succeeded,
                submitted_at=task.created_at,
            )
        )
