"""StatsAnalyzer: reads the history through the store's own verbs and answers `GET /stats`.

First form: the basic patterns, counted afresh when something was committed since the last answer, page by page and off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, tzinfo

from jobmgr.stats.basic import BasicCounts, Outcome, Summary
from jobmgr.store.base import Store
from jobmgr.store.history import FinishedTask

PAGE = 5000


class StatsAnalyzer:
    """What goes with failure in this store's history."""

    def __init__(self, store: Store, *, timezone: tzinfo = UTC) -> None:
        self._store = store
        self._timezone = timezone
        self._answered: tuple[int, Summary] | None = None
        self._lock = asyncio.Lock()

    async def summary(self) -> Summary:
        """The body of `GET /stats`. Callers that come while it is counted wait for the same count."""
        async with self._lock:
            seq = await self._store.last_seq()
            if self._answered is None or self._answered[0] != seq:
                self._answered = (seq, await self._count())
            return self._answered[1]

    async def _count(self) -> Summary:
        counts = BasicCounts(self._timezone)
        after = -1
        while page := await self._store.finished_tasks(after=after, limit=PAGE):
            after = page[-1].task
            await asyncio.to_thread(_add, counts, page)
        return counts.summary(await self._store.count_jobs())


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
