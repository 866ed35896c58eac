"""Submit: insert jobs with their tasks, once per idempotency key.

Tasks with the same arguments are one statement, whatever their number; tasks with their own come from a generator, never as a list of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jobmgr.addresses import receiver_of
from jobmgr.job import JobSpec, Status
from jobmgr.store import statements as sql
from jobmgr.store.base import Submit, Submitted
from jobmgr.store.changes.webhooks import INSERT_WEBHOOK, filter_text, next_webhook
from jobmgr.store.ledger import JobRow, Ledger, named_as
from jobmgr.store.specs import dumps, encode_args, encode_spec
from jobmgr.store.sqlite_text import Text
from jobmgr.store.webhooks import EVERY_JOB

_FIND_KEY = Text(sql.FIND_KEY)
_INSERT_KEY = Text(sql.INSERT_KEY)
_INSERT_JOB = Text(sql.INSERT_JOB)
_INSERT_SPEC = Text(sql.INSERT_SPEC)
_INSERT_LABEL = Text(sql.INSERT_LABEL)
_INSERT_TASK = Text(sql.INSERT_TASK)
_INSERT_TASKS = Text(sql.INSERT_TASKS)


def submit(ledger: Ledger, change: Submit) -> Submitted:
    """Insert the jobs, or answer what the key got before."""
    if change.key is not None and (found := ledger.execute(_FIND_KEY, change.key).fetchone()):
        return _replay(*found, body_hash=change.body_hash)
    first = ledger.counters["next_job"]
    jobs = tuple(range(first, first + len(change.specs)))
    if change.key is not None:
        ledger.execute(_INSERT_KEY, change.key, change.body_hash or "", first, len(jobs), change.at)
    rows = _job_rows(ledger, change)
    ledger.execute_many(_INSERT_JOB, (_columns(row, spec) for row, spec in zip(rows, change.specs, strict=True)))
    ledger.execute_many(_INSERT_SPEC, _spec_rows(ledger, rows, change))
    ledger.execute_many(_INSERT_LABEL, _label_rows(rows, change))
    ledger.execute_many(INSERT_WEBHOOK, _callback_rows(ledger, rows, change))
    for row, spec in zip(rows, change.specs, strict=True):
        ledger.add(row)
        if not _one_by_one(spec):
            ledger.execute(_INSERT_TASKS, row.num_tasks, row.first_task, row.id, spec.priority, change.at)
    ledger.execute_many(_INSERT_TASK, _task_rows(rows, change))
    return Submitted(jobs)


def _replay(kept_hash: str, first_job: int, count: int, *, body_hash: str | None) -> Submitted:
    if kept_hash != (body_hash or ""):
        return Submitted((), mismatch=True)
    return Submitted(tuple(range(first_job, first_job + count)), replayed=True)


def _task_count(spec: JobSpec) -> int:
    return spec.num_tasks if spec.tasks is None else len(spec.tasks)


def _one_by_one(spec: JobSpec) -> bool:
    """Whether its tasks are inserted row by row: they have their own arguments, or there is one."""
    return spec.tasks is not None or spec.num_tasks == 1


def _job_rows(ledger: Ledger, change: Submit) -> list[JobRow]:
    """The rows to insert, with ids and tasks' ids taken from the counters."""
    counters, rows = ledger.counters, []
    for spec in change.specs:
        tasks = _task_count(spec)
        if tasks < 1:
            raise ValueError(f"a job needs at least one task, not {tasks}")
        named = named_as(spec.name, spec.type, spec.labels)
        rows.append(_new_row(counters["next_job"], named, counters["next_task"], tasks, at=change.at))
        counters["next_job"] += 1
        counters["next_task"] += tasks
    counters["jobs"] += len(rows)
    counters["outcomes"] += 1
    return rows


def _new_row(job: int, named: dict[str, Any], first_task: int, tasks: int, *, at: int) -> JobRow:
    return JobRow(
        id=job,
        named=named,
        first_task=first_task,
        num_tasks=tasks,
        created_at=at,
        status=Status.PENDING,
        round=1,
        retries=0,
        attempts=0,
        progress=None if tasks == 1 else 0,
        cause=None,
        error=None,
        exit_code=None,
        signal=None,
        told_by=None,
        round_at=at,
        started_at=None,
        ended_at=None,
        finished_at=None,
        duration_us=None,
        counts=dict.fromkeys(Status, 0) | {Status.PENDING: tasks},
        at=at,
    )


def _columns(row: JobRow, spec: JobSpec) -> tuple[Any, ...]:
    own = (row.id, spec.name, spec.type, spec.priority, row.first_task, row.num_tasks, len(spec.args), row.created_at)
    return *own, *row.columns()


def _spec_rows(ledger: Ledger, rows: list[JobRow], change: Submit) -> Iterator[tuple[int, str]]:
    for row, spec in zip(rows, change.specs, strict=True):
        text = encode_spec(spec)
        ledger.remember_spec(
            row.id, replace(spec, tasks=None, num_tasks=row.num_tasks) if spec.tasks else spec, len(text)
        )
        yield row.id, text


def _label_rows(rows: list[JobRow], change: Submit) -> Iterator[tuple[Any, ...]]:
    for row, spec in zip(rows, change.specs, strict=True):
        for key, value in spec.labels.items():
            yield row.id, key, value


def _callback_rows(ledger: Ledger, rows: list[JobRow], change: Submit) -> Iterator[tuple[Any, ...]]:
    """A webhook for each job that is to be told of, at each of its ends."""
    told = dumps(["finished"]), filter_text(EVERY_JOB), None
    for row, spec in zip(rows, change.specs, strict=True):
        if (url := spec.callback_url) is not None:
            own = next_webhook(ledger), url, receiver_of(url)
            yield *own, *told, row.id, True, None, ledger.counters["last_seq"], change.at


def _task_rows(rows: list[JobRow], change: Submit) -> Iterator[tuple[Any, ...]]:
    for row, spec in zip(rows, change.specs, strict=True):
        if _one_by_one(spec):
            for number, args in enumerate(spec.tasks if spec.tasks is not None else (None,)):
                yield row.first_task + number, row.id, number, spec.priority, change.at, encode_args(args)
