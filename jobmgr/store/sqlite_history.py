"""A page of the history: job by job, so that what was submitted is read and parsed once for all of its attempts in the page.

The jobs are found as in lists, by the same filter. A page sees one state of the database, and is cut where it has taken in enough bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from jobmgr.history import HistoryRow
from jobmgr.job import JobSpec, Status, job_id
from jobmgr.store import statements as sql
from jobmgr.store.listing import JobKey
from jobmgr.store.specs import decode_args, decode_spec
from jobmgr.store.sqlite_listing import PAGE_BYTES, Reading
from jobmgr.store.sqlite_text import Text

_JOB_OF_TASK = Text(sql.JOB_OF_TASK)
_HISTORY_JOB = Text(sql.HISTORY_JOB)
_READ_HISTORY = Text(sql.READ_HISTORY)

_ALIVE = frozenset({Status.RUNNING, Status.PAUSED})


@dataclass(frozen=True, slots=True)
class _JobFacts:
    """What all rows of a job share."""

    id: str
    spec: JobSpec
    first_task: int
    round: int
    priority: int
    created_at: int


async def read_history(
    read: Reading, find: Callable[[int, int], Awaitable[Sequence[JobKey]]], after: tuple[int, int], limit: int
) -> list[HistoryRow]:
    """Attempts above `after`, until `limit` or a page is full. `find` gives so many wanted jobs above an id, oldest first."""
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
    connection.execute("BEGIN")  # Each of the reads below sees the same state.
    try:
        page: list[HistoryRow] = []
        size = attempts = 0
        for job in ids:
            with closing(_rows_of_job(job, after, limit - attempts, connection)) as rows_of_job:
                for rows in rows_of_job:
                    page += rows
                    attempts += 1
                    size += sum(map(len, rows[0].args or ()))
                    if attempts == limit or size > PAGE_BYTES:
                        return page
        return page
    finally:
        connection.execute("COMMIT")


def _rows_of_job(
    job: int, after: tuple[int, int], limit: int, connection: sqlite3.Connection
) -> Generator[list[HistoryRow], None, None]:
    """The row of each attempt; with the newest, the row that says how its task stands where that differs."""
    found = connection.execute(_HISTORY_JOB, (job,)).fetchone()
    if found is None:
        return  # Deleted meanwhile.
    spec, num_tasks, first_task, round_, priority, created_at = found
    facts = _JobFacts(job_id(job), decode_spec(spec, num_tasks), first_task, round_, priority, created_at)
    span = max(first_task, after[0]), first_task + num_tasks - 1
    for row in connection.execute(_READ_HISTORY, (*span, *after, limit)):
        yield list(_rows_of_attempt(facts, row))


def _rows_of_attempt(facts: _JobFacts, row: Sequence[Any]) -> Iterator[HistoryRow]:
    task, number, args, status, newest, failures, attempt, round_, ended_as = row[:9]
    arguments = facts.spec.arguments(number, decode_args(args))
    if attempt is not None:
        yield _attempt(facts, number, arguments, (task, attempt), row[7:])
    if attempt is None or (attempt == newest and (status, facts.round) != (ended_as, round_)):
        yield _standing(facts, number, arguments, (task, newest), status, failures)


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
        job_name=facts.spec.name,
        script=facts.spec.script,
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
        job_name=facts.spec.name,
        script=facts.spec.script,
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
