"""Which jobs, in which order: a filter and an order as one statement, and the reading of the jobs found.

Finding and reading are two steps: what is found is small (a value and an id), however large the jobs are, and a page of them is cut where it
has taken in enough bytes. Each step reads by key and is done when it returns: nothing is held while a client reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from jobmgr.job import Status
from jobmgr.store import rows
from jobmgr.store import statements as sql
from jobmgr.store.listing import JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.records import Job
from jobmgr.store.sqlite_text import Text

PAGE_BYTES = 1024 * 1024

_COLUMNS = {SortBy.FINISHED_AT: "finished_at", SortBy.DURATION: "duration_us", SortBy.NAME: "name"}
_READ_JOB = Text(sql.READ_JOB)
_READ_STATUSES = Text(sql.READ_STATUSES)


def find_jobs(
    found: JobFilter, order: JobOrder, after: JobKey | None, limit: int, connection: sqlite3.Connection
) -> list[JobKey]:
    """The keys beyond `after`; those without a value stand last."""
    column = _COLUMNS.get(order.by)
    if column is None:
        return _page(found, order, "", after, limit, connection)
    keys = [] if after and after.value is None else _page(found, order, column, after, limit, connection)
    if len(keys) < limit:
        rest = after if after and after.value is None else None
        keys += _page(found, order, "", rest, limit - len(keys), connection, lacking=column)
    return keys


def _page(
    found: JobFilter,
    order: JobOrder,
    column: str,
    after: JobKey | None,
    limit: int,
    connection: sqlite3.Connection,
    *,
    lacking: str = "",
) -> list[JobKey]:
    conditions, values = _conditions(found)
    way, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
    if lacking:
        conditions.append(f"j.{lacking} IS NULL")
    if column:
        conditions.append(f"j.{column} IS NOT NULL")
    if after and column:
        conditions.append(f"(j.{column}, j.id) {beyond} (?, ?)")
        values += [after.value, after.id]
    elif after:
        conditions.append(f"j.id {beyond} ?")
        values.append(after.id)
    by = f"j.{column} {way}, j.id {way}" if column else f"j.id {way}"
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    text = f"SELECT {f'j.{column}' if column else 'NULL'}, j.id FROM jobs j {where} ORDER BY {by} LIMIT ?"
    return [JobKey(*row) for row in connection.execute(text, (*values, limit)).fetchall()]


def count_jobs(found: JobFilter, connection: sqlite3.Connection) -> int:
    """How many pass the filter."""
    conditions, values = _conditions(found)
    return int(
        connection.execute(f"SELECT count(*) FROM jobs j WHERE {' AND '.join(conditions)}", values).fetchone()[0]
    )


def _conditions(found: JobFilter) -> tuple[list[str], list[object]]:
    """What stands behind WHERE, and its values."""
    conditions: list[str] = []
    values: list[object] = []
    if found.statuses is not None:
        conditions.append(f"j.status IN ({', '.join('?' * len(found.statuses))})")
        values += sorted(found.statuses)
    for condition, value in (
        ("j.name = ?", found.name),
        ("j.type = ?", found.type),
        ("j.created_at >= ?", found.since),
        ("j.created_at < ?", found.until),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    for key, value in found.labels.items():
        conditions.append("EXISTS (SELECT 1 FROM labels l WHERE l.key = ? AND l.value = ? AND l.job = j.id)")
        values += [key, value]
    if found.q is not None:
        conditions.append(_CONTAINS)
        values += [found.q] * 3
    return conditions, values


_CONTAINS = """(instr(lower(j.name), lower(?)) > 0
  OR EXISTS (SELECT 1 FROM specs s, json_each(s.spec, '$.args') a WHERE s.job = j.id AND instr(lower(a.value), lower(?)) > 0)
  OR EXISTS (SELECT 1 FROM tasks t, json_each(t.args) a
    WHERE t.id BETWEEN j.first_task AND j.first_task + j.num_tasks - 1 AND t.args IS NOT NULL AND instr(lower(a.value), lower(?)) > 0))"""


def read_jobs(ids: Sequence[int], connection: sqlite3.Connection) -> list[Job]:
    """The jobs of these ids, in this order, until a page is full."""
    jobs: list[Job] = []
    size = 0
    for job in ids:
        row = connection.execute(_READ_JOB, (job,)).fetchone()
        if row is not None:
            jobs.append(rows.job_of(row))
            size += len(row[2])
        if size > PAGE_BYTES:
            break
    return jobs


def read_statuses(first: int, last: int, connection: sqlite3.Connection) -> dict[int, Status]:
    """The statuses of a range of ids."""
    return {job: Status(status) for job, status in connection.execute(_READ_STATUSES, (first, last))}
