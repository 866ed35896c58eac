"""What keeps the disk from growing: every hour old events, idempotency keys and deliveries go, and output of jobs that no longer exist.

Works in small steps behind everything else. Waiting between rounds is all it does most of the time; `stop` ends it anywhere, and the next
start goes on.
"""

from __future__ import annotations

import asyncio

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.config import Settings
from jobmgr.errors import JobmgrError
from jobmgr.log import get_logger
from jobmgr.output import OutputFiles
from jobmgr.store.base import Store
from jobmgr.store.pruning import Prune

INTERVAL_S = 3600.0
DAY_US = 86_400 * MICROSECONDS
HOUR_US = 3600 * MICROSECONDS
BETWEEN_PAGES_S = 0.05
JOBS_PAGE = 1000

log = get_logger()


class Upkeep:
    """Runs from `start` to `stop`; both may be repeated."""

    def __init__(self, settings: Settings, store: Store, outputs: OutputFiles) -> None:
        self._settings = settings
        self._store = store
        self._outputs = outputs
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="upkeep")

    async def stop(self) -> None:
        """End, and wait for it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            for duty in (self._sweep, self._prune):
                try:
                    await duty()
                except (JobmgrError, OSError) as error:  # A full disk, a busy store: there is another round.
                    log.warning("upkeep was cut short", duty=duty.__name__.strip("_"), reason=str(error))
            await asyncio.sleep(INTERVAL_S)

    async def _sweep(self) -> None:
        swept = await self._outputs.sweep(_Living(self._store))
        if swept:
            log.info("output without a job removed", jobs=swept)

    async def _prune(self) -> None:
        now = now_us()
        prune = Prune(
            events_before=now - int(self._settings.event_days * DAY_US),
            keys_before=now - int(self._settings.idempotency_hours * HOUR_US),
            watchers_before=now - int(self._settings.watcher_days * DAY_US),
            deliveries_before=now - int(self._settings.delivery_days * DAY_US),
        )
        pruned = 0
        while rows := (await self._store.apply([prune]))[0]:
            pruned += rows
            await asyncio.sleep(BETWEEN_PAGES_S)
        if pruned:
            log.info("old rows removed", rows=pruned)


class _Living:
    """Whether a job exists; asks the store once for a thousand neighbours."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._page = -1
        self._jobs: set[int] = set()

    async def __call__(self, job: int) -> bool:
        page = job // JOBS_PAGE
        if page != self._page:
            found = await self._store.job_ids(after=page * JOBS_PAGE - 1, limit=JOBS_PAGE)
            self._page, self._jobs = page, set(found)
        return job in self._jobs
