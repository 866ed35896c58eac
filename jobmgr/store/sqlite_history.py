"""A page of the history: job by job, so that what was submitted is read and parsed once for all of its attempts in the page.

All jobs are walked together with their tasks, by two statements a page. Where a filter is given, jobs are found as in lists, and read one by
one. A page sees one state of the database, and is cut where it has taken in enough bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from jobmgr.history import HistoryRow
from jobmgr.job import Status, job_id
from jobmgr.store import statements as sql
from jobmgr.store.listing import JobKey
from jobmgr.store.specs import Program, decode_args, decode_program
from jobmgr.store.sqlite_listing import PAGE_BYTES, Reading
from jobmgr.store.sqlite_text import Text

_JOB_OF_TASK = Text(sql.JOB_OF_TASK)
_HISTORY_JOB = Text(sql.HISTORY_JOB)
_HISTORY_JOBS = Text(sql.HISTORY_JOBS)
_READ_HISTORY = Text(sql.READ_HISTORY)

_ALIVE = frozenset({Status.RUNNING, Status.PAUSED})
_START = (-1, -1)
_LAST = 2**63 - 1
PAGE_ROWS = 5000
"""A page of named tasks ends with the task that reaches so many rows."""

Find = Callable[[int, int], Awaitable[Sequence[JobKey]]]
"""So many wanted jobs above an id, oldest first."""


class _JobFacts(
    NamedTuple
):  # One is made for every job of a history: a tuple is made several times faster than a frozen dataclass.
    """What all rows of a job share."""

    number: int
    id: str
    name: str
    program: Program
    first_task: int
    num_tasks: int
    round: int
    priority: int
    created_at: int


# --- every job


def read_all(after: tuple[int, int], limit: int, connection: sqlite3.Connection) -> list[HistoryRow]:
    """Attempts above `after`, whatever their job, until `limit` or a page is full."""
    with _one_state(connection):
        first = _job_of_task(max(after[0], 0), connection)
        if first is None:
            return []
        found = connection.execute(_READ_HISTORY, (max(after[0], 0), _LAST, *after, limit))
        jobs = connection.execute(_HISTORY_JOBS, (first,))
        with closing(found), closing(jobs):
            return _cut(_walked(found, jobs), limit)


def _walked(found: Iterable[Sequence[Any]], jobs: Iterator[Sequence[Any]]) -> Iterator[list[HistoryRow]]:
    """The rows of each attempt, with the jobs read on as their tasks come: both stand in the same order."""
    facts: _JobFacts | None = None
    for row in found:
        while facts is None or facts.number < row[0]:
            facts = _facts(next(jobs))
        rows = _rows_of_attempt(facts, row)
        del row  # Not held while the next one is read: it may be large.
        yield rows
        del rows


# --- the jobs of a filter


async def read_history(read: Reading, find: Find, after: tuple[int, int], limit: int) -> list[HistoryRow]:
    """Attempts above `after` of the jobs that `find` gives, until `limit` or a page is full."""
    # From the start on it is `find` that knows best where to begin: its filter may pass late jobs only.
    job = 0 if after[0] < 0 else await read(partial(_job_of_task, after[0]))
    while job is not None:
        # One more than the limit: of the first one everything may have been given before.
        ids = [key.id for key in await find(job - 1, limit + 1)]
        page = await read(partial(_read_page, ids, after, limit)) if ids else []
        if page or not ids:
            return page
        job = ids[-1] + 1  # All of them were deleted meanwhile.
    return []


def _job_of_task(task: int, connection: sqlite3.Connection) -> int | None:
    """The job of this task, or of the next one there is."""
    found = connection.execute(_JOB_OF_TASK, (task,)).fetchone()
    return None if found is None else int(found[0])


def _read_page(
    ids: Sequence[int], after: tuple[int, int], limit: int, connection: sqlite3.Connection
) -> list[HistoryRow]:
    with _one_state(connection), closing(_rows_of_jobs(ids, after, limit, connection)) as rows:
        return _cut(rows, limit)


def _rows_of_jobs(
    ids: Sequence[int], after: tuple[int, int], limit: int, connection: sqlite3.Connection
) -> Generator[list[HistoryRow], None, None]:
    for job in ids:
        facts = _facts_of(job, connection)
        if facts is not None:
            span = max(facts.first_task, after[0]), facts.first_task + facts.num_tasks - 1
            with closing(connection.execute(_READ_HISTORY, (*span, *after, limit))) as found:
                for row in found:
                    yield _rows_of_attempt(facts, row)


# --- named tasks


def read_tasks(tasks: Sequence[tuple[int, int]], connection: sqlite3.Connection) -> list[HistoryRow]:
    """All rows of these tasks (job, number), in their order; whole tasks, as many as fit into a page."""
    page: list[HistoryRow] = []
    size = 0
    with _one_state(connection):
        for job, of_job in groupby(tasks, itemgetter(0)):
            if (facts := _facts_of(job, connection)) is None:
                continue
            for _, number in of_job:
                rows = _rows_of_task(facts, number, connection)
                page += rows
                size += sum(sum(map(len, row.args or ())) for row in rows[:1])
                if len(page) >= PAGE_ROWS or size > PAGE_BYTES:
                    return page
    return page


def _rows_of_task(facts: _JobFacts, number: int, connection: sqlite3.Connection) -> list[HistoryRow]:
    if not 0 <= number < facts.num_tasks:
        return []
    task = facts.first_task + number
    found = connection.execute(_READ_HISTORY, (task, task, *_START, _LAST)).fetchall()
    return [row for columns in found for row in _rows_of_attempt(facts, columns)]


# --- all of them


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _cut(attempts: Iterable[list[HistoryRow]], limit: int) -> list[HistoryRow]:
    """The rows of so many attempts, or of as many as fit into a page by their size."""
    page: list[HistoryRow] = []
    size = 0
    for count, rows in enumerate(attempts, 1):
        page += rows
        size += sum(map(len, rows[0].args or ()))
        if count == limit or size > PAGE_BYTES:
            break
    return page


def _facts_of(job: int, connection: sqlite3.Connection) -> _JobFacts | None:
    """None: deleted meanwhile."""
    found = connection.execute(_HISTORY_JOB, (job,)).fetchone()
    return None if found is None else _facts(found)


def _facts(row: Sequence[Any]) -> _JobFacts:
    number, name, spec, *rest = row
    return _JobFacts(number, job_id(number), name, decode_program(spec), *rest)


def _rows_of_attempt(facts: _JobFacts, row: Sequence[Any]) -> list[HistoryRow]:
    """The row of an attempt; after that of the newest, how its task stands where that differs."""
    _, task, number, args, status, newest, failures, attempt, round_, ended_as = row[:10]
    arguments = facts.program.arguments(number, decode_args(args))
    rows = [] if attempt is None else [_attempt(facts, number, arguments, (task, attempt), row[8:])]
    if attempt is None or (attempt == newest and (status, facts.round) != (ended_as, round_)):
        rows.append(_standing(facts, number, arguments, (task, newest), status, failures))
    return rows


def _attempt(
    facts: _JobFacts, number: int, arguments: tuple[str, ...], place: tuple[int, int], columns: Sequence[Any]
) -> HistoryRow:
    round_, status, node, claimed_at, started_at, ended_at, cause, exit_code, signal, retries = columns[:10]
    duration_us, queue_wait_us, peak_rss_bytes, cpu_us, read_bytes, write_bytes, output_bytes, concurrency = columns[
        10:
    ]
    return HistoryRow(
        job_id=facts.id,
        task=number,
        job_name=facts.name,
        script=facts.program.script,
        args=arguments,
        priority=facts.priority,
        group=None,
        node=node,
        created_at=facts.created_at,
        # Until its process is stored, it is the instant at which it was asked for, as everywhere.
        started_at=claimed_at if started_at is None and status in _ALIVE else started_at,
        finished_at=ended_at,
        status=status,
        cause=cause,
        exit_code=exit_code,
        signal=signal,
        round=round_,
        attempt=place[1],
        retries=retries,
        duration_us=duration_us,
        queue_wait_us=queue_wait_us,
        peak_rss_bytes=peak_rss_bytes,
        cpu_us=cpu_us,
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        output_bytes=output_bytes,
        concurrency=concurrency,
        place=place,
    )


_UNKNOWN = dict.fromkeys(
    (
        "group", "node", "started_at", "finished_at", "cause", "exit_code", "signal", "duration_us", "queue_wait_us",
        "peak_rss_bytes", "cpu_us", "read_bytes", "write_bytes", "output_bytes", "concurrency",
    )
)  # fmt: skip


def _standing(
    facts: _JobFacts, number: int, arguments: tuple[str, ...], place: tuple[int, int], status: str, failures: int
) -> HistoryRow:
    """How a task stands that its newest attempt does not tell."""
    return HistoryRow(
        job_id=facts.id,
        task=number,
        job_name=facts.name,
        script=facts.program.script,
        args=arguments,
        priority=facts.priority,
        created_at=facts.created_at,
        status=status,
        round=facts.round,
        attempt=0,
        retries=failures,
        place=place,
        **_UNKNOWN,
    )
