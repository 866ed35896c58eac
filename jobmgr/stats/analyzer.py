"""StatsAnalyzer: answers what is asked of the history, in a thread of its own.

The columns live in one thread, and so does all that is computed from them: no job and no request ever waits for a computation but the one that
asked for it. The history is read some seconds after the start, or with the first question; from then on the columns keep in step (`feed`), and a
question first brings them to what the store holds, so that a job that ended before it was asked is counted.

An answer stands while no outcome has changed. After that a cheap one is computed again. A dear one (more than `DEAR_S`) stands for `MAX_AGE_S`;
and while less than 1 % has changed it is given, marked as not fresh, for up to `MAX_STALE_S`, with a new one computed behind it.
Callers that come while the same question is computed share the next computation.

A computation that fails fails its request only, and the next one tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Protocol, TypeVar

from jobmgr.clock import now_us
from jobmgr.errors import ShuttingDown
from jobmgr.log import get_logger
from jobmgr.stats import summary
from jobmgr.stats.columns import Columns
from jobmgr.stats.expectations import Expectations
from jobmgr.stats.feed import Feed
from jobmgr.stats.findings import Eta, NameReport, Stats
from jobmgr.stats.forecast import LEAST_UNUSUAL_S, Subject
from jobmgr.stats.libraries import import_for_good
from jobmgr.stats.query import EVERYTHING, Question
from jobmgr.stats.report import report_of
from jobmgr.store.base import Store
from jobmgr.store.records import Job

LOAD_AFTER_S = 5.0
"""So long after the start the history is read: what was running is taken up first, and who only starts and stops a server pays nothing."""
DEAR_S = 0.5
"""A computation that takes longer is not repeated for every change: nobody waits so long for a page. What takes less is always fresh."""
MAX_AGE_S = 2.0
"""So long after a dear computation nothing newer is computed."""
MAX_STALE_S = 60.0
FEW = 100
"""One change to so many finished tasks is little."""
KEPT_ANSWERS = 16

T = TypeVar("T")
_log = get_logger()


class Summarize(Protocol):
    """`summary.Analyses`, or what stands in for it."""

    def __call__(self, columns: Columns, question: Question, /, *, total_jobs: int, now: int, zone: tzinfo) -> Stats:
        """The answer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    stats: Stats
    number: int
    """The how manieth computation it was."""
    version: int
    """Of the outcomes, from before it."""
    ended: float
    took: float

    def may_be_old(self, changes: int, now: float) -> bool:
        """Whether it may be given although so many outcomes have changed."""
        age = now - self.ended
        little = changes * FEW < self.stats["analysis"]["finishedTasks"]
        return self.took > DEAR_S and (age < MAX_AGE_S or (little and age < MAX_STALE_S))


class StatsAnalyzer:
    """What goes with failure in this store's history. `clock`: seconds that only go forward."""

    def __init__(
        self,
        store: Store,
        *,
        timezone: tzinfo = UTC,
        clock: Callable[[], float] = time.monotonic,
        summarize: Summarize | None = None,
        slots: int = 1,
        unusual_s: float = LEAST_UNUSUAL_S,
    ) -> None:
        self._store = store
        self._zone = timezone
        self._clock = clock
        self._analyses = summary.Analyses()
        self._summarize = summarize or self._analyses
        self._feed = Feed(store, self._in_thread, replaced=self._let_go)
        self._expectations = Expectations(store, self.run, slots=slots, unusual_s=unusual_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stats")
        self._answers: OrderedDict[Question, _Answer] = OrderedDict()
        self._begun = 0
        self._lock = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._behind: dict[Question, asyncio.Task[None]] = {}
        self._closed = False

    # --- life

    async def start(self) -> None:
        """Hear of what happens, and read the history soon, behind everything else, so that the first question need not wait for it."""
        self._store.subscribe(self._feed.hear)
        self._following = asyncio.create_task(self._feed.follow(), name="stats-feed")
        self._loading = asyncio.create_task(self._load_soon(), name="stats-load")

    async def close(self) -> None:
        """Let go; what is being computed is for nobody. Safe to repeat, and before `start`."""
        self._closed = True
        tasks = [*self._behind.values(), *filter(None, (self._following, self._loading))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._expectations.close(), *tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether something is computed that nobody waits for."""
        return bool(self._behind)

    # --- questions

    async def stats(self, question: Question = EVERYTHING) -> Stats:
        """The body of `GET /stats`."""
        answer = self._answers.get(question)
        if answer is None:
            return (await self._computed(question)).stats
        self._answers.move_to_end(question)
        changes = await self._store.outcomes_version() - answer.version
        if not changes:
            return answer.stats
        now = self._clock()
        if not answer.may_be_old(changes, now):
            return (await self._computed(question)).stats
        if now - answer.ended >= MAX_AGE_S:
            self._compute_behind(question)
        return _not_fresh(answer.stats)

    async def of_name(self, name: str) -> NameReport | None:
        """The body of `GET /stats/jobs/{name}`; None: nothing of that name has ended."""
        return await self.run(lambda columns: report_of(columns, name, now=now_us(), zone=self._zone))

    async def etas(self, jobs: Sequence[Job]) -> dict[int, Eta]:
        """When those of these jobs that run will end, and those that wait will begin. Waits for no load of the history."""
        return await self._expectations.etas(jobs)

    async def usual_us(self, subjects: Sequence[Subject]) -> list[int | None]:
        """Of each, the duration in microseconds beyond which it is unusually long; None: too few have ended to say."""
        return await self._expectations.usual_us(subjects)

    async def run(self, function: Callable[[Columns], T]) -> T:
        """What the function says of the columns as of now; it runs in their thread, and must not keep or change them."""
        await self._caught_up()
        return await self._in_thread(lambda: function(self._feed.columns))

    # --- computing

    async def _caught_up(self) -> None:
        if not self._feed.loaded:
            await self._in_thread(import_for_good)
        await self._feed.catch_up()

    async def _computed(self, question: Question) -> _Answer:
        """An answer whose computation began after this was asked."""
        begun = self._begun
        async with self._lock:
            answer = self._answers.get(question)
            return answer if answer is not None and answer.number > begun else await self._compute(question)

    async def _compute(self, question: Question) -> _Answer:
        self._begun += 1
        number, version = (
            self._begun,
            await self._store.outcomes_version(),
        )  # What changes from here on is a reason to compute again.
        await self._caught_up()
        total, began = await self._store.count_jobs(), self._clock()
        stats = await self._in_thread(
            lambda: self._summarize(self._feed.columns, question, total_jobs=total, now=now_us(), zone=self._zone)
        )
        ended = self._clock()
        self._answers[question] = answer = _Answer(stats, number, version, ended, ended - began)
        if len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    def _compute_behind(self, question: Question) -> None:
        """Compute for the next one who asks, once at a time."""
        if question not in self._behind:
            self._behind[question] = task = asyncio.create_task(self._quietly(question), name="stats-behind")
            task.add_done_callback(lambda _: self._behind.pop(question, None))

    async def _quietly(self, question: Question) -> None:
        try:
            await self._computed(question)
        except Exception:  # noqa: BLE001 - whatever it was, nobody waits for it; the next question that does will hear of it
            _log.exception("statistics cannot be computed")
            self._answers.pop(question, None)

    def _let_go(self) -> None:
        """Of what was made of the columns before: two million attempts are not held twice until somebody asks again."""
        self._analyses.forget()
        self._expectations.forget()

    async def _load_soon(self) -> None:
        await asyncio.sleep(LOAD_AFTER_S)
        try:
            await self.run(len)
        except Exception:  # noqa: BLE001 - whatever it was, nobody waits for it; the first question tries again and hears of it
            _log.exception("the history cannot be read for statistics")

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._closed:
            raise ShuttingDown("The statistics are closed.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _not_fresh(stats: Stats) -> Stats:
    return {**stats, "analysis": {**stats["analysis"], "fresh": False}}
