"""Rows of the database as the values of the contract. Each function takes the columns of one statement of `statements`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from jobmgr.events import Event
from jobmgr.job import Cause, JobSpec, Status
from jobmgr.store.base import Claimed, Owner
from jobmgr.store.records import Attempt, Job, Task
from jobmgr.store.specs import decode_args, decode_shown

_STATUSES = tuple(Status)
ROW_BYTES = 500
_HAS_PROCESS = frozenset({Status.RUNNING, Status.PAUSED})


def _cause(text: str | None) -> Cause | None:
    return None if text is None else Cause(text)


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def counts_of(columns: Sequence[int]) -> dict[Status, int]:
    """The counters of a job, those that are not 0."""
    return {status: count for status, count in zip(_STATUSES, columns, strict=True) if count}


def job_of(row: Sequence[Any]) -> Job:
    """A row of READ_JOB."""
    take = iter(row)
    (
        number,
        name,
        spec_text,
        status_text,
        cause,
        error,
        retries,
        exit_code,
        signal,
        progress,
        priority,
        round_,
        num_tasks,
    ) = islice(take, 13)
    created_at, started_at, finished_at, duration_us, node, pid, message, result, output_bytes = islice(take, 9)
    status, spec = Status(status_text), decode_shown(spec_text)
    return Job(
        id=number,
        name=name,
        script=spec.script,
        args=spec.args,
        type=spec.type,
        params=spec.params,
        labels=spec.labels,
        status=status,
        cause=_cause(cause),
        error=error,
        retries=retries,
        exit_code=exit_code,
        signal=signal,
        progress=progress,
        message=message,
        result=_json(result),
        priority=priority,
        round=round_,
        num_tasks=num_tasks,
        counts=counts_of(list(take)),
        node=node,
        pid=pid if status in _HAS_PROCESS else None,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        duration_us=duration_us,
        output_bytes=output_bytes,
    )


def job_size(row: Sequence[Any]) -> int:
    """About how many bytes a row of READ_JOB takes: its texts of any length."""
    return ROW_BYTES + sum(len(text) for text in (row[2], row[5], row[19], row[20]) if text is not None)


def attempt_of(job: int, task: int, task_number: int, columns: Sequence[Any]) -> Attempt:
    """The ATTEMPT_COLUMNS of a row."""
    number, round_, run, node, pid, status, cause, error, exit_code, signal, core_dumped, progress, message = columns[
        :13
    ]
    claimed_at, started_at, ended_at, duration_us, queue_wait_us, cpu_us, peak_rss_bytes = columns[13:20]
    read_bytes, write_bytes, output_bytes, leftovers, result = columns[20:25]
    return Attempt(
        job=job,
        task=task,
        task_number=task_number,
        number=number,
        round=round_,
        run=run,
        node=node,
        pid=pid,
        status=Status(status),
        cause=_cause(cause),
        error=error,
        exit_code=exit_code,
        signal=signal,
        core_dumped=bool(core_dumped),
        progress=progress,
        message=message,
        claimed_at=claimed_at,
        started_at=started_at,
        ended_at=ended_at,
        duration_us=duration_us,
        queue_wait_us=queue_wait_us,
        cpu_us=cpu_us,
        peak_rss_bytes=peak_rss_bytes,
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        output_bytes=output_bytes,
        leftovers=leftovers,
        result=_json(result),
    )


def attempt_row(row: Sequence[Any]) -> Attempt:
    """A row of READ_ATTEMPTS."""
    return attempt_of(row[0], row[1], row[2], row[3:])


def task_of(row: Sequence[Any]) -> Task:
    """A row of READ_TASKS."""
    number, job, place, status, attempt, failures, args, due_at, *columns = row
    newest = attempt_of(job, number, place, columns) if columns[0] is not None else None
    return Task(number, job, place, Status(status), attempt, failures, decode_args(args), due_at, newest)


def open_run(row: Sequence[Any], spec: JobSpec) -> Claimed:
    """A row of OPEN_RUNS, with the spec of its job."""
    job, task, number, attempt, run, args, failures, claimed_at, submitted_at, node, incarnation, boot_id = row[:12]
    status, want, pid, start_ticks, started_at, num_tasks, round_ = row[12:]
    return Claimed(
        job=job,
        task=task,
        number=number,
        attempt=attempt,
        run=run,
        spec=spec,
        args=decode_args(args),
        failures=failures,
        claimed_at=claimed_at,
        submitted_at=submitted_at,
        owner=Owner(node, incarnation, boot_id),
        status=Status(status),
        want=want,
        pid=pid,
        start_ticks=start_ticks,
        started_at=started_at,
        num_tasks=num_tasks,
        round=round_,
    )


def event_of(row: Sequence[Any]) -> Event:
    """A row of EVENTS_AFTER."""
    return Event(row[0], row[1], row[2], row[3], json.loads(row[4]))
