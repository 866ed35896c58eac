"""Keeps columns in step with a store: the whole history once, then each task again whose events say that it changed.

`catch_up` brings the columns to what the store holds at that moment. The first time it loads everything; after that it reads the events above
the last one it has seen, and the rows of the tasks that they name. What changes during the load has an event above the number that was
remembered before it, and is read again. Reading the same twice changes nothing, so wherever it breaks off it goes on. Where events are missing
(they are pruned by age) everything is loaded afresh, beside the old columns, which stay whole until then.

A task enters with the end of its first attempt. What waits or runs is not among the rows (but for `Columns.active`), unless it takes out an
outcome that was there: a finished task that was restarted. So the columns mostly grow at their end, which costs nothing per row there is.

Assumes `run`: one thread, in which the columns live, and nobody else changes them. Events say nothing of the instant at which a process began:
until an attempt ends, it counts from its claim.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Protocol, TypeVar

from jobmgr.events import TASK_UPDATE, Event
from jobmgr.history import HistoryRow
from jobmgr.job import FINISHED, Status, parse_job_id
from jobmgr.log import get_logger
from jobmgr.stats.columns import STATUS_CODES, Columns
from jobmgr.store.base import Store

PACE_S = 0.25
"""At most so often the columns follow by themselves…"""
REST = 10
"""… and after each time they rest so many times as long as it took, so that it takes at most about a tenth of the time…"""
LONGEST_REST_S = 10.0
"""… but never longer. A question does not wait for that."""

PAGE = 250
TASKS = 1000

_UNFINISHED = frozenset({Status.PENDING.value, Status.RUNNING.value, Status.PAUSED.value})
_UNFINISHED_CODES = frozenset(map(STATUS_CODES.__getitem__, _UNFINISHED))
_FINISHED = frozenset(status.value for status in FINISHED)

T = TypeVar("T")
_log = get_logger()


class InThread(Protocol):
    """Runs a function in the one thread of the columns."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """What the function returns."""


class Feed:
    """The columns of a store's history. Use on one event loop. `replaced`: called in their thread when others took their place."""

    def __init__(self, store: Store, run: InThread, *, replaced: Callable[[], None] = lambda: None) -> None:
        self.columns = Columns()
        """As of the last `catch_up`. Another object after a gap in the events."""
        self._store = store
        self._run = run
        self._replaced = replaced
        self._seq: int | None = None
        """The last event that the columns have seen; None: nothing is loaded."""
        self._lock = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def loaded(self) -> bool:
        """Whether the history has been read."""
        return self._seq is not None

    def hear(self, _events: Sequence[Event]) -> None:
        """There are events: the subscriber of the store, called at every commit, so it only takes note."""
        self._news.set()

    async def follow(self) -> None:
        """Keep in step until cancelled, in batches. Until the history was read there is nothing to keep in step."""
        while True:
            await self._news.wait()
            self._news.clear()
            began = time.monotonic()
            try:
                if self.loaded:
                    await self.catch_up()
            except Exception:  # noqa: BLE001 - whatever it was, jobs have no part in it, and there will be another time
                _log.exception("statistics cannot follow the history")
                began -= LONGEST_REST_S
            rest = REST * (time.monotonic() - began)
            await asyncio.sleep(min(max(PACE_S, rest), LONGEST_REST_S))

    async def catch_up(self) -> None:
        """Bring the columns to what the store holds now, or a little later."""
        async with self._lock:
            if self._seq is None:
                self._seq = await self._load()
            newest = await self._store.last_seq()
            while self._seq < newest:
                page = await self._store.events(after=self._seq)
                if page and page[0].seq == self._seq + 1:
                    await self._take(page)
                    self._seq = page[-1].seq
                else:  # They are numbered without a gap: what is missing was pruned.
                    self._seq = await self._load()
                    newest = await self._store.last_seq()

    # --- the whole

    async def _load(self) -> int:
        """Read the whole history. Returns the number of the last event that it has for sure."""
        began = time.monotonic()
        columns, seq = Columns(), await self._store.last_seq()
        after, held = (-1, -1), list[HistoryRow]()
        while page := await self._store.history(after=after, limit=PAGE):
            after = page[-1].place
            held = await self._run(partial(_put_page, columns, held + page))
        await self._run(partial(_put_tasks, columns, held))
        await self._run(partial(self._replace, columns))
        seconds = round(time.monotonic() - began, 1)
        _log.info("history loaded for statistics", attempts=len(columns), seconds=seconds)
        return seq

    def _replace(self, columns: Columns) -> None:
        """In their thread, so that nobody who still computes on the old ones keeps them afterwards."""
        self.columns = columns
        self._replaced()

    # --- what changed

    async def _take(self, events: Sequence[Event]) -> None:
        tasks, deleted = _changes(events)
        while tasks:
            rows = await self._store.history_of(tasks[:TASKS])
            await self._change(partial(_put_again, self.columns, rows))
            tasks = tasks[bisect_right(tasks, _task_of(rows[-1])) if rows else TASKS :]
        if deleted:
            await self._change(partial(_drop, self.columns, deleted))

    async def _change(self, change: Callable[[], None]) -> None:
        """Half a change would never be noticed: after a failure all is loaded afresh."""
        try:
            await self._run(change)
        except Exception:
            self._seq = None
            raise


def _changes(events: Iterable[Event]) -> tuple[list[tuple[int, int]], set[int]]:
    """Which tasks (job, number) are another than before, in order, and which jobs are gone."""
    tasks, deleted = set(), set()
    for event in events:
        if event.kind == TASK_UPDATE:
            tasks.add((event.job, int(event.data["taskId"].rpartition(".")[2])))
        elif event.data.get("status") == "deleted":
            deleted.add(event.job)
    return sorted(task for task in tasks if task[0] not in deleted), deleted


def _task_of(row: HistoryRow) -> tuple[int, int]:
    job = parse_job_id(row.job_id)
    assert job is not None, "a store gives ids of ours"
    return job, row.task


# --- in the thread of the columns


def _put_page(columns: Columns, rows: Sequence[HistoryRow]) -> list[HistoryRow]:
    """Put whole tasks, and return the rows of the last one, which may go on in the next page."""
    last = rows[-1].place[0]
    whole = len(rows)
    while whole and rows[whole - 1].place[0] == last:
        whole -= 1
    _put_tasks(columns, rows[:whole])
    return list(rows[whole:])


def _put_tasks(columns: Columns, rows: Iterable[HistoryRow]) -> None:
    for key, of_task in groupby(rows, _key):
        _put(columns, key, list(of_task))
    columns.settle()


def _put_again(columns: Columns, rows: Iterable[HistoryRow]) -> None:
    """Bring tasks to these rows. What is there already stays: a forgotten row costs a copy of all others."""
    tasks = {key: list(of_task) for key, of_task in groupby(rows, _key)}
    known = _known(columns, tasks.keys())
    outdated = [key for key, have in known.items() if not _goes_on(have, _counted(tasks[key]))]
    columns.forget(outdated)
    for key in outdated:
        del known[key]
    for key, of_task in tasks.items():
        _put(columns, key, of_task, known=len(known.get(key, ())))
    columns.settle()


def _put(columns: Columns, key: int, rows: Sequence[HistoryRow], *, known: int = 0) -> None:
    columns.put(key, _counted(rows)[known:])
    columns.note(key, rows[-1])


def _drop(columns: Columns, jobs: Collection[int]) -> None:
    import numpy as np

    gone = np.isin(columns["job"], np.fromiter(jobs, "i8", len(jobs)))
    active = {key for key, row in columns.active.items() if parse_job_id(row.job_id) in jobs}
    columns.forget(active.union(columns["key"][gone].tolist()))


def _key(row: HistoryRow) -> int:
    return row.place[0]


def _counted(rows: Sequence[HistoryRow]) -> Sequence[HistoryRow]:
    """The rows of a task without the one that goes on, unless an outcome is no longer true because of it."""
    goes_on = rows[-1].status in _UNFINISHED and rows[-1].finished_at is None
    takes_out = len(rows) > 1 and rows[-2].status in _FINISHED
    return rows[:-1] if goes_on and not takes_out else rows


_Told = tuple[int, int, int]


def _known(columns: Columns, keys: Collection[int]) -> dict[int, list[_Told]]:
    """Attempt, round and status of the rows that are there of these tasks, by task."""
    where = columns.where(keys)
    known: defaultdict[int, list[_Told]] = defaultdict(list)
    told = (columns[name][where].tolist() for name in ("key", "attempt", "round", "status"))
    for key, *row in zip(*told, strict=True):
        known[key].append((row[0], row[1], row[2]))
    return known


def _goes_on(have: Sequence[_Told], rows: Sequence[HistoryRow]) -> bool:
    """Whether the rows begin with what is there. What has ended stays as it is, but for a lost one whose true end came late."""
    beginning = [(row.attempt, row.round, STATUS_CODES[row.status]) for row in rows[: len(have)]]
    return beginning == have and all(status not in _UNFINISHED_CODES for _, _, status in have)
