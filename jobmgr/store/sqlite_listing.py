"""Which jobs, in which order: a filter and an order as statements over an index, and the reading of the jobs found.

Finding and reading are two steps: what is found is small (a value and an id), however large the jobs are, and a page of them is cut where it
has taken in enough bytes. Each read is one short transaction that is done when it returns: nothing is held while a client reads, and the log
of the database can be emptied in between.

What costs what. A list walks one index in the order that is wanted: that of the order, or, in the order of ids, that of one condition: a
status, a name, a label, a type. Without a further condition only what is found is read. Each further condition (`q`, `since` and `until`, and
any condition on a list that is not in the order of ids) is asked of every job met on the way, a window of them in one read; windows grow and
shrink so that each takes about `LOOK_S`, and a search that finds nothing in a million jobs is some hundred short reads of a few seconds
together. Several statuses are as many walks, merged. Where to begin for `since` and `until` is looked up in their index; an `until` with
oldest first then goes on to the end, for a clock may have been set back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from jobmgr.job import ACTIVE, Status
from jobmgr.store import rows
from jobmgr.store import statements as sql
from jobmgr.store.listing import OLDEST_FIRST, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.records import Job
from jobmgr.store.sqlite_filter import (
    ALL_JOBS,
    JOB_OF_LABEL,
    JOBS_BY,
    JOBS_WITH,
    Condition,
    conditions,
    joined,
    walked_label,
)
from jobmgr.store.sqlite_text import Text

PAGE_BYTES = 1024 * 1024
LOOK_S = 0.02
"""So long one read that asks every job it meets should take."""
FIRST_WINDOW = 256
MAX_WINDOW = 20_000
_LAST_ID = 2**63 - 1

_IDS_BETWEEN = Text(sql.IDS_BETWEEN)
_COUNT_BETWEEN = Text(sql.COUNT_BETWEEN)
_COUNT_BEFORE = Text(sql.COUNT_BEFORE)
# An environment of a megabyte is not shown, and so not fetched.
_SHOWN_SPEC = "CASE WHEN length(s.spec) > 2000 THEN json_remove(s.spec, '$.env', '$.secret_env') ELSE s.spec END"
_READ_JOB = Text(sql.READ_JOB.replace("s.spec", _SHOWN_SPEC, 1))
_READ_STATUSES = Text(sql.READ_STATUSES)

T = TypeVar("T")


class Reading(Protocol):
    """Runs a function in a thread, on a connection that reads."""

    def __call__(self, read: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]:
        """What the function returns."""


# --- finding


@dataclass(frozen=True, slots=True)
class Look:
    """What one read found, up to which place it looked (None: to the end), and the time of its thread that it took.

    Not the time that passed: on a busy machine that is mostly waiting, and windows that shrink for it would make all the more of it.
    """

    keys: list[JobKey]
    end: JobKey | None
    seconds: float = 0.0


async def find_jobs(read: Reading, found: JobFilter, order: JobOrder, after: JobKey | None, limit: int) -> list[JobKey]:
    """As many keys beyond `after` as wanted, by as many looks as that takes."""
    keys: list[JobKey] = []
    window = FIRST_WINDOW
    while len(keys) < limit:
        seen = await read(partial(look, found, order, after, limit - len(keys), window))
        keys += seen.keys
        if seen.end is None:
            break
        after, window = seen.end, next_window(window, seen.seconds)
    return keys


def next_window(window: int, seconds: float) -> int:
    """So many that a look takes about `LOOK_S`; at most twice as many as before, for the next ones may be larger."""
    return max(1, min(2 * window, MAX_WINDOW, int(window * LOOK_S / max(seconds, 1e-6))))


def look(
    found: JobFilter, order: JobOrder, after: JobKey | None, limit: int, window: int, connection: sqlite3.Connection
) -> Look:
    """Find up to `limit` (at least 1) keys beyond `after`, among the next `window` jobs where each must be asked."""
    began = time.thread_time()
    with _one_state(connection):
        seen = _Looking(order, _DOWN if order.descending else _UP, limit, window, connection).look(found, after)
    return replace(seen, seconds=time.thread_time() - began)


def find_at_once(
    found: JobFilter, order: JobOrder, after: JobKey | None, limit: int, connection: sqlite3.Connection
) -> list[JobKey]:
    """The same within a transaction that goes on: a filter that few jobs pass makes it a long one."""
    keys: list[JobKey] = []
    while len(keys) < limit:
        way = _DOWN if order.descending else _UP
        seen = _Looking(order, way, limit - len(keys), MAX_WINDOW, connection).look(found, after)
        keys, after = keys + seen.keys, seen.end
        if after is None:
            break
    return keys


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class _Way:
    """A direction: its word, what is beyond and short of something in it, and ids that stand before and behind all others."""

    word: str
    beyond: str
    short_of: str
    start: int
    behind: int


_UP = _Way("ASC", ">", "<", -1, _LAST_ID)
_DOWN = _Way("DESC", "<", ">", _LAST_ID, -1)


@dataclass(frozen=True, slots=True)
class _Walk:
    """An index to be walked: conditions that hold for the part of it that is walked, and those that each job met is asked."""

    table: str
    hold: tuple[Condition, ...]
    asked: tuple[Condition, ...]
    value: str = "NULL"
    id: str = "j.id"
    join: str = ""
    before: int | None = None
    """In the order of ids: those short of this one only."""


@dataclass(frozen=True, slots=True)
class _Looking:
    """One look: in which order and direction, how far, on which connection."""

    order: JobOrder
    way: _Way
    limit: int
    window: int
    connection: sqlite3.Connection

    def look(self, found: JobFilter, after: JobKey | None) -> Look:
        """Each order is one part, but that of `finishedAt`, where those that are not finished follow in the order of ids."""
        if self.order.by is SortBy.CREATED_AT or found.statuses == frozenset():
            return self._by_id(found, after)
        if self.order.by is SortBy.FINISHED_AT and after is not None and after.value is None:
            active = ACTIVE if found.statuses is None else found.statuses & ACTIVE
            return self._by_id(replace(found, statuses=active), after)
        seen = self._by_value(found, after)
        if seen.end is None and self.order.by is SortBy.FINISHED_AT:
            return Look(seen.keys, JobKey(None, self.way.start))
        return seen

    # --- in the order of ids

    def _by_id(self, found: JobFilter, after: JobKey | None) -> Look:
        beyond = self.way.start if after is None else after.id
        if beyond == self.way.start and (found.since is not None or found.until is not None):
            lowest, highest = self.connection.execute(_IDS_BETWEEN, _between(found)).fetchone()
            if lowest is None:
                return Look([], None)
            beyond = highest + 1 if self.order.descending else lowest - 1
        return self._merged([self._ids(_walk(one), beyond) for one in _one_status_each(found)])

    def _merged(self, looks: Sequence[Look]) -> Look:
        """What several walks found, as far as all of them have looked."""
        nearest = max if self.order.descending else min
        ends = [one.end.id for one in looks if one.end is not None]
        end = nearest(ends, default=None)
        ids = sorted((key.id for one in looks for key in one.keys), reverse=self.order.descending)
        ids = [number for number in ids if end is None or nearest(number, end) == number][: self.limit]
        if len(ids) == self.limit:
            end = ids[-1]
        return Look([JobKey(None, number) for number in ids], None if end is None else JobKey(None, end))

    def _ids(self, walk: _Walk, beyond: int) -> Look:
        hold, end = self._window(walk, beyond)
        return self._kept(walk, hold, f"{walk.id} {self.way.word}", end)

    def count(self, walk: _Walk, beyond: int) -> tuple[int, int | None]:
        """How many there are among the window, and up to which id that was (None: to the end)."""
        hold, end = self._window(walk, beyond)
        join = walk.join if walk.asked else ""
        text, values = joined(f"SELECT count(*) FROM {walk.table} {join}", (*hold, *walk.asked))
        return self.connection.execute(text, values).fetchone()[0], None if end is None else end.id

    def _window(self, walk: _Walk, beyond: int) -> tuple[tuple[Condition, ...], JobKey | None]:
        """The conditions of the part of the index that a window is, and where it ends.

        One bound on either side: of two SQLite may search by the farther one, and pass over all jobs in between in every window.
        """
        last = _LAST_ID if walk.before is None else walk.before - 1
        low, high = (beyond + 1, last) if self.way is _UP else (0, min(beyond - 1, last))
        end = self._window_end(walk, (*walk.hold, _ids_between(walk, low, high)), f"{walk.id} {self.way.word}")
        if end is not None:
            low, high = (low, end.id) if self.way is _UP else (end.id, high)
        return (*walk.hold, _ids_between(walk, low, high)), end

    # --- in the order of values

    def _by_value(self, found: JobFilter, after: JobKey | None) -> Look:
        """First the other jobs with the value of `after`, then those with values beyond it.

        Two walks, for SQLite looks up no id within a value for `(value, id) > (?, ?)`: it would meet all of a million jobs of one name again.
        """
        column, table = JOBS_BY[self.order.by]
        asked, hold = tuple(conditions(found).values()), _before(found)
        if after is None:
            return self._values(_Walk(table, (*hold, (f"{column} IS NOT NULL", ())), asked, column))
        if after.id == self.way.behind:
            beyond = (f"{column} {self.way.beyond} ?", (after.value,))
            return self._values(_Walk(table, (*hold, beyond), asked, column))
        equal = _Walk(table, ((f"{column} = ?", (after.value,)),), asked, column, before=found.before)
        seen = self._ids(equal, after.id)
        return seen if seen.end is not None else Look(seen.keys, JobKey(after.value, self.way.behind))

    def _values(self, walk: _Walk) -> Look:
        """A window ends before the value of its last key: the jobs with that value are a walk of their own."""
        hold = walk.hold
        by = f"{walk.value} {self.way.word}, {walk.id} {self.way.word}"
        last = self._window_end(walk, hold, by)
        if last is None:
            return self._kept(walk, hold, by, None)
        hold = (*hold, (f"{walk.value} {self.way.short_of} ?", (last.value,)))
        return self._kept(walk, hold, by, JobKey(last.value, self.way.start))

    # --- both ways

    def _window_end(self, walk: _Walk, hold: tuple[Condition, ...], by: str) -> JobKey | None:
        """The last key of the window; None where none is needed, and where it reaches to the end."""
        if not walk.asked:
            return None
        text, values = joined(f"SELECT {walk.value}, {walk.id} FROM {walk.table}", hold)
        row = self.connection.execute(f"{text} ORDER BY {by} LIMIT 1 OFFSET ?", (*values, self.window - 1)).fetchone()
        return None if row is None else JobKey(*row)

    def _kept(self, walk: _Walk, hold: tuple[Condition, ...], by: str, end: JobKey | None) -> Look:
        """The jobs that meet every condition."""
        join = walk.join if walk.asked else ""
        text, values = joined(f"SELECT {walk.value}, {walk.id} FROM {walk.table} {join}", (*hold, *walk.asked))
        found = self.connection.execute(f"{text} ORDER BY {by} LIMIT ?", (*values, self.limit)).fetchall()
        keys = [JobKey(*row) for row in found]
        return Look(keys, keys[-1] if len(keys) == self.limit else end)


def _walk(found: JobFilter) -> _Walk:
    """The walk for a filter with at most one status: by the condition that the fewest jobs should meet."""
    asked, label = conditions(found), walked_label(found)
    if label is not None and (found.statuses is None or Status.COMPLETED in found.statuses) and found.name is None:
        del asked[label[0]]
        rest = tuple(asked.values())
        return _Walk(JOBS_WITH["label"], (label[1],), rest, id="l.job", join=JOB_OF_LABEL, before=found.before)
    few = found.statuses is not None and Status.COMPLETED not in found.statuses
    for name in ("status", "name", "type") if few else ("name", "type", "status"):
        if name in asked:
            return _Walk(JOBS_WITH[name], (asked.pop(name),), tuple(asked.values()), before=found.before)
    return _Walk(ALL_JOBS, (), tuple(asked.values()), before=found.before)


def _one_status_each(found: JobFilter) -> list[JobFilter]:
    if found.statuses is None:
        return [found]
    return [replace(found, statuses=frozenset({status})) for status in sorted(found.statuses)]


def _before(found: JobFilter) -> tuple[Condition, ...]:
    return () if found.before is None else (("j.id < ?", (found.before,)),)


def _ids_between(walk: _Walk, low: int, high: int) -> Condition:
    return f"{walk.id} BETWEEN ? AND ?", (low, high)


def _between(found: JobFilter) -> tuple[int, int]:
    return (0 if found.since is None else found.since, _LAST_ID if found.until is None else found.until)


# --- counting


async def count_jobs(read: Reading, found: JobFilter) -> int:
    """How many pass the filter. By one condition: a count in its index; by more each job is asked, in short reads as for a list."""
    if found == JobFilter(since=found.since, until=found.until, before=found.before):
        return await read(partial(_count_submitted, found))
    total = 0
    for one in _one_status_each(found):
        after: int | None = _UP.start
        window = FIRST_WINDOW
        while after is not None:
            count, after, seconds = await read(partial(_count, one, after, window))
            total, window = total + count, next_window(window, seconds)
    return total


def _count_submitted(found: JobFilter, connection: sqlite3.Connection) -> int:
    before = _LAST_ID if found.before is None else found.before
    if found.since is None and found.until is None:
        return int(connection.execute(_COUNT_BEFORE, (before,)).fetchone()[0])
    return int(connection.execute(_COUNT_BETWEEN, (*_between(found), before)).fetchone()[0])


def _count(found: JobFilter, after: int, window: int, connection: sqlite3.Connection) -> tuple[int, int | None, float]:
    """How many of the next window of jobs, up to which id that was (None: to the end), and how long it took."""
    began = time.thread_time()
    with _one_state(connection):
        count, end = _Looking(OLDEST_FIRST, _UP, 0, window, connection).count(_walk(found), after)
    return count, end, time.thread_time() - began


# --- reading


def read_jobs(ids: Sequence[int], connection: sqlite3.Connection) -> list[Job]:
    """The jobs of these ids, in this order, until a page is full."""
    jobs: list[Job] = []
    size = 0
    for job in ids:
        row = connection.execute(_READ_JOB, (job,)).fetchone()
        if row is not None:
            jobs.append(rows.job_of(row))
            size += rows.job_size(row)
        if size > PAGE_BYTES:
            break
    return jobs


def read_statuses(first: int, last: int, connection: sqlite3.Connection) -> dict[int, Status]:
    """The statuses of a range of ids."""
    return {job: Status(status) for job, status in connection.execute(_READ_STATUSES, (first, last))}
