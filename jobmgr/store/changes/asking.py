"""What a person asks of a job: stop, restart, delete; and the server's own wish at its shutdown.

All work on all tasks of a job at once, in the database: a job of 100,000 tasks needs no memory here.
"""

from __future__ import annotations

from jobmgr.job import Cause, Status, Verb, allows
from jobmgr.store import statements as sql
from jobmgr.store.base import Delete, Deleted, Refused, Restart, Stop, Stopping, WantStop
from jobmgr.store.changes.ending import BETWEEN_ATTEMPTS, NEVER_BEGAN
from jobmgr.store.ledger import JobRow, Ledger, Telling
from jobmgr.store.sqlite_text import Text

_STOPPED_EVENTS = Text(sql.STOPPED_EVENTS)
_STOP_WAITING = Text(sql.STOP_WAITING)
_RUNS_OF_JOB = Text(sql.RUNS_OF_JOB)
_WANT_OF_JOB = Text(sql.WANT_OF_JOB)
_WANT_OF_RUN = Text(sql.WANT_OF_RUN)
_RESTARTED_EVENTS = Text(sql.RESTARTED_EVENTS)
_RESTART_TASKS = Text(sql.RESTART_TASKS)
_DELETES_OF_TASKS = (Text(sql.DELETE_ATTEMPTS), Text(sql.DELETE_TASKS))
_DELETES_OF_JOB = (Text(sql.DELETE_LABELS), Text(sql.DELETE_SPEC), Text(sql.DELETE_JOB))


def _row_for(ledger: Ledger, job: int, verb: Verb, at: int) -> JobRow | Refused:
    row = ledger.job(job, at)
    if row is None:
        return Refused(None)
    return row if allows(row.now, verb) else Refused(row.now)


def stop(ledger: Ledger, change: Stop) -> Stopping | Refused:
    """Stop what waits, and keep the wish for what runs."""
    row = _row_for(ledger, change.job, Verb.STOP, change.at)
    if isinstance(row, Refused):
        return row
    runs = ledger.execute(_RUNS_OF_JOB, row.first_task, row.last_task).fetchall()
    if runs:
        ledger.execute(_WANT_OF_JOB, change.want, row.first_task, row.last_task)
    return Stopping(tuple(runs), _stop_waiting(ledger, row))


def _stop_waiting(ledger: Ledger, row: JobRow) -> int:
    pending, retried = row.counts[Status.PENDING], row.counts[Status.RETRIED]
    waiting = pending + retried
    if not waiting:
        return 0
    ledger.emit_all(_STOPPED_EVENTS, row, tasks=waiting)
    ledger.execute(_STOP_WAITING, row.first_task, row.last_task)
    row.move(Status.PENDING, Status.STOPPED, tasks=pending)
    row.move(Status.RETRIED, Status.STOPPED, tasks=retried)
    ledger.counters["outcomes"] += 1
    row.ended(row.at)
    # The exit code of a single task's last attempt stays: it is still true.
    code, signal = (row.exit_code, row.signal) if row.single else (None, None)
    row.tell(0, Status.STOPPED, Telling(Cause.STOP, _sentence(row, waiting), code, signal))
    return waiting


def _sentence(row: JobRow, waiting: int) -> str:
    if not row.attempts:
        return NEVER_BEGAN
    return BETWEEN_ATTEMPTS if row.single else f"Stopped while {waiting} of its {row.num_tasks} tasks waited."


def want_stop(ledger: Ledger, change: WantStop) -> int:
    """Keep the wish for these runs."""
    return sum(ledger.execute(_WANT_OF_RUN, change.want, task, run).rowcount for task, run in change.runs)


def restart(ledger: Ledger, change: Restart) -> bool | Refused:
    """Begin a new round: every task waits again."""
    row = _row_for(ledger, change.job, Verb.RESTART, change.at)
    if isinstance(row, Refused):
        return row
    ledger.emit_all(_RESTARTED_EVENTS, row, tasks=row.num_tasks)
    ledger.execute(_RESTART_TASKS, change.at, row.first_task, row.last_task)
    ledger.counters["outcomes"] += 1
    _begin_round(row, change.at)
    return True


def _begin_round(row: JobRow, at: int) -> None:
    row.counts = dict.fromkeys(Status, 0) | {Status.PENDING: row.num_tasks}
    row.round += 1
    row.round_at = at
    row.retries = row.attempts = 0
    row.progress = row.cause = row.error = row.exit_code = row.signal = row.told_by = None
    row.started_at = row.ended_at = row.finished_at = row.duration_us = None


def delete(ledger: Ledger, change: Delete) -> Deleted | Refused:
    """Delete the job with all that belongs to it, except its events."""
    row = _row_for(ledger, change.job, Verb.DELETE, change.at)
    if isinstance(row, Refused):
        return row
    for text in _DELETES_OF_TASKS:
        ledger.execute(text, row.first_task, row.last_task)
    for text in _DELETES_OF_JOB:
        ledger.execute(text, row.id)
    ledger.counters["jobs"] -= 1
    ledger.counters["outcomes"] += 1
    ledger.drop(row)
    return Deleted(change.job)
